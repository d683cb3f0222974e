/** The topics of an app: subscribing, publishing and presence, with and without a broker. */
import { type BinaryData, toBytes } from "../common/bytes.ts";
import { Emitter } from "../common/emitter.ts";
import { entryOf, type Logger } from "../common/logger.ts";
import { show } from "../common/show.ts";
import { checkNames } from "../common/validate.ts";
import type { Broker } from "./broker.ts";
import { copyData } from "./presence-message.ts";
import { Presence, type PresenceOptions, type Present } from "./presence.ts";
import { type BrokerStats, PRESENCE_TOPIC, Relay } from "./relay.ts";
import { type Subscriber, Topics } from "./topics.ts";

/** A socket, as the topics see it. */
export interface Member extends Subscriber {
  readonly id: string;
  readonly isOpen: boolean;
  /**
   * Sends a message. Returns true if the message was queued, even if the socket has no room for the next one: that is
   * the difference from `send` of a socket.
   */
  deliver(data: string | Uint8Array): boolean;
}

/** The events: a socket of this process has subscribed to a topic, or has left it. */
export interface PubSubEvents<Socket> {
  join: [socket: Socket, topic: string];
  leave: [socket: Socket, topic: string];
}

/** The options of an app that matter to its topics. */
export interface PubSubSettings {
  readonly broker: Broker | undefined;
  readonly maxTopicsPerSocket: number;
  readonly presence: PresenceOptions;
  readonly logger: Logger;
}

const EVENTS = ["join", "leave"] as const;
const MAX_TOPIC_LENGTH = 512;

/** The topics of an app. They connect the sockets of this process and, through a broker, those of other processes. */
export class PubSub<Socket extends Member> extends Emitter<PubSubEvents<Socket>> {
  readonly #topics = new Topics<Socket>();
  readonly #settings: PubSubSettings;
  readonly #relay: Relay | undefined;
  readonly #presence: Presence;
  #closing: Promise<void> | undefined;

  constructor(processId: string, settings: PubSubSettings) {
    super();
    this.#settings = settings;
    const { broker, presence, logger } = settings;
    if (broker === undefined) {
      this.#presence = new Presence(processId, presence);
      return;
    }
    const relay = this.#relay = new Relay(broker, processId, logger, {
      isWanted: (topic) => topic === PRESENCE_TOPIC || this.#topics.count(topic) > 0,
      onMessage: (topic, data, origin) => this.#onRemoteMessage(topic, data, origin),
      onConnected: () => this.#presence.greet(),
    });
    this.#presence = new Presence(processId, presence, (text) => relay.publish(PRESENCE_TOPIC, text));
    relay.touch(PRESENCE_TOPIC);
    relay.start();
  }

  protected get owner(): string {
    return "An app";
  }

  protected get events(): typeof EVENTS {
    return EVENTS;
  }

  /** The number of topics that have subscribers in this process. */
  get size(): number {
    return this.#topics.size;
  }

  /** Figures of the link to other processes. Undefined without a broker. */
  get brokerStats(): BrokerStats | undefined {
    return this.#relay?.stats;
  }

  /** Counts the sockets of this process that are subscribed to a topic. */
  count(topic: string): number {
    checkTopic(topic);
    return this.#topics.count(topic);
  }

  /** Lists the sockets that are present at a topic, in all processes. */
  present(topic: string): Present[] {
    checkTopic(topic);
    return this.#presence.of(topic);
  }

  /**
   * Subscribes a socket to a topic.
   *
   * @returns true if the subscription is new; false also if the socket is not open
   * @throws TypeError or RangeError if the topic or an option is not valid, RangeError if the socket has too many
   *   topics
   */
  subscribe(member: Socket, topic: string, options: SubscribeOptions): boolean {
    checkTopic(topic);
    checkNames("subscribe", options, ["presence"]);
    const data = options.presence === undefined ? undefined : copyData(options.presence);
    if (!member.isOpen) return false;
    const { maxTopicsPerSocket } = this.#settings;
    if (member.subscriptions?.size === maxTopicsPerSocket && !member.subscriptions.has(topic)) {
      throw new RangeError(`A socket subscribes to at most ${maxTopicsPerSocket} topics (maxTopicsPerSocket)`);
    }
    const isNew = this.#topics.add(topic, member);
    if (isNew && this.#topics.count(topic) === 1) this.#relay?.touch(topic);
    if (data !== undefined) this.#presence.join(topic, member.id, data);
    if (isNew) this.emit("join", member, topic);
    return isNew;
  }

  /** Unsubscribes a socket from a topic. Returns false if it was not subscribed. */
  unsubscribe(member: Socket, topic: string): boolean {
    checkTopic(topic);
    if (!this.#topics.delete(topic, member)) return false;
    if (this.#topics.count(topic) === 0) this.#relay?.touch(topic);
    // A socket makes its id when the id is first read. Most sockets need none, so it is read only if the topic has
    // presence.
    if (this.#presence.isUsedAt(topic)) this.#presence.leave(topic, member.id);
    this.emit("leave", member, topic);
    return true;
  }

  /** Unsubscribes a socket from all its topics, because it has begun to close. */
  leaveAll(member: Socket): void {
    for (const topic of member.subscriptions ?? []) this.unsubscribe(member, topic);
  }

  /**
   * Sends a message to all subscribers of a topic except one. Returns the number of sockets of this process that took
   * it.
   */
  publish(topic: string, data: string | BinaryData, except?: Socket): number {
    checkTopic(topic);
    const message = typeof data === "string" ? data : toBytes(data);
    this.#relay?.publish(topic, message);
    return this.#deliver(topic, message, except);
  }

  /**
   * Tells the other processes that this one is closing, and closes the broker. A second call returns the promise of the
   * first.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  protected onListenerError(event: keyof PubSubEvents<Socket>, error: unknown): void {
    this.#settings.logger.error(entryOf(`SpaceNode: a listener of "${event}" has thrown`, error));
  }

  async #close(): Promise<void> {
    this.#presence.stop();
    await this.#relay?.close();
  }

  #deliver(topic: string, message: string | Uint8Array, except?: Socket): number {
    let count = 0;
    for (const member of this.#topics.membersOf(topic)) {
      if (member !== except && member.deliver(message)) count++;
    }
    return count;
  }

  #onRemoteMessage(topic: string, data: string | Uint8Array, origin: string): void {
    if (topic !== PRESENCE_TOPIC) this.#deliver(topic, data);
    else if (typeof data === "string") this.#presence.receive(data, origin);
  }
}

/**
 * Whether a value can be the name of a topic: a string of 1 to 512 characters (UTF-16 code units) that does not begin
 * with U+0000 and has no lone surrogates.
 *
 * `subscribe` and `publish` throw for any other value, because a wrong topic is a fault of the program. If a client
 * chooses the topic, check it with this function first, and refuse the client:
 *
 * @example
 * ```ts
 * import { createApp, HttpError, isTopic } from "@spacenode/spacenode";
 *
 * const app = await createApp();
 * app.ws("/rooms/:room", {
 *   upgrade: (req) => {
 *     if (!isTopic(req.params.room)) throw new HttpError(404, "There is no such room");
 *   },
 * }, (socket, req) => {
 *   socket.subscribe(req.params.room);
 * });
 * ```
 */
export function isTopic(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= MAX_TOPIC_LENGTH &&
    value.charCodeAt(0) !== 0 && value.isWellFormed();
}

/** @throws TypeError or RangeError if the value cannot be the name of a topic */
function checkTopic(topic: unknown): void {
  if (!isTopic(topic)) throw faultOf(topic);
}

/** Makes the error that says why a value cannot be the name of a topic. */
function faultOf(topic: unknown): Error {
  if (typeof topic !== "string" || topic === "") {
    return new TypeError(`A topic is a string that is not empty; got ${show(topic)}`);
  }
  if (topic.length > MAX_TOPIC_LENGTH) {
    return new RangeError(`A topic has at most ${MAX_TOPIC_LENGTH} characters; got ${topic.length}`);
  }
  if (topic.charCodeAt(0) === 0) return new RangeError(`A topic does not begin with U+0000; got ${show(topic)}`);
  // UTF-8 has no lone surrogates: another process would see another topic.
  return new RangeError(`A topic has no lone surrogates; got ${show(topic)}`);
}

/** Options of `socket.subscribe`. */
export interface SubscribeOptions {
  /**
   * The value with which {@link App.presence} lists the socket at this topic, such as the name of its user. It must
   * have JSON of at most 1,024 bytes; shorten or refuse what a client chooses of it. A value without JSON is a
   * TypeError, a longer one a RangeError. Default: none, the socket is not listed.
   */
  presence?: unknown;
}
