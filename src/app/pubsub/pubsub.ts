import { type BinaryData, toBytes } from "../common/bytes.ts";
import { Emitter } from "../common/emitter.ts";
import type { Logger } from "../common/logger.ts";
import { show } from "../common/show.ts";
import { checkNames } from "../common/validate.ts";
import type { Broker } from "./broker.ts";
import { copyData } from "./presence-message.ts";
import { Presence, type PresenceOptions, type Present } from "./presence.ts";
import { type BrokerStats, PRESENCE_TOPIC, Relay } from "./relay.ts";
import { type Subscriber, Topics } from "./topics.ts";

/** What the topics need of a socket. */
export interface Member extends Subscriber {
  readonly id: string;
  readonly isOpen: boolean;
  /** `send` that tells whether the message was taken, though there may be no room for the next. */
  deliver(data: string | Uint8Array): boolean;
}

/** What is emitted when a socket of this process has subscribed to a topic, or has left the topic. */
export interface PubSubEvents<Socket> {
  join: [socket: Socket, topic: string];
  leave: [socket: Socket, topic: string];
}

export interface PubSubSettings {
  readonly broker: Broker | undefined;
  readonly maxTopicsPerSocket: number;
  readonly presence: PresenceOptions;
  readonly logger: Logger;
}

const EVENTS = ["join", "leave"] as const;
const MAX_TOPIC_LENGTH = 512;

/** The topics of an app: its own sockets, and behind a broker those of other processes. */
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

  /** How many topics have subscribers here. */
  get size(): number {
    return this.#topics.size;
  }

  get brokerStats(): BrokerStats | undefined {
    return this.#relay?.stats;
  }

  /** How many sockets of this process are subscribed. */
  count(topic: string): number {
    checkTopic(topic);
    return this.#topics.count(topic);
  }

  present(topic: string): Present[] {
    checkTopic(topic);
    return this.#presence.of(topic);
  }

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

  unsubscribe(member: Socket, topic: string): boolean {
    checkTopic(topic);
    if (!this.#topics.delete(topic, member)) return false;
    if (this.#topics.count(topic) === 0) this.#relay?.touch(topic);
    // An id is made when it is first asked for.
    if (this.#presence.isUsedAt(topic)) this.#presence.leave(topic, member.id);
    this.emit("leave", member, topic);
    return true;
  }

  /** A socket has ended, or is about to: it gets nothing any more. */
  leaveAll(member: Socket): void {
    for (const topic of member.subscriptions ?? []) this.unsubscribe(member, topic);
  }

  /** Sends a message to the subscribers of a topic, except to one, and gives how many of this process got it. */
  publish(topic: string, data: string | BinaryData, except?: Socket): number {
    checkTopic(topic);
    const message = typeof data === "string" ? data : toBytes(data);
    this.#relay?.publish(topic, message);
    return this.#deliver(topic, message, except);
  }

  /** Says goodbye to the other processes. A second call gives the promise of the first. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  protected onListenerError(event: keyof PubSubEvents<Socket>, error: unknown): void {
    this.#settings.logger.error(`SpaceNode: a listener of "${event}" has thrown:`, error);
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
 * Whether a value can be the name of a topic: a string of 1 to 512 characters that does not begin with U+0000 and has no lone surrogates. `subscribe` and `publish` throw for any
 * other value, since that is a fault of the program. Where a client chooses the topic, ask this first, and refuse the client.
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

/** @throws TypeError or RangeError for what is no name of a topic */
function checkTopic(topic: unknown): void {
  if (!isTopic(topic)) throw faultOf(topic);
}

/** Says why a value is no name of a topic. */
function faultOf(topic: unknown): Error {
  if (typeof topic !== "string" || topic === "") {
    return new TypeError(`A topic is a string that is not empty; got ${show(topic)}`);
  }
  if (topic.length > MAX_TOPIC_LENGTH) {
    return new RangeError(`A topic has at most ${MAX_TOPIC_LENGTH} characters; got ${topic.length}`);
  }
  if (topic.charCodeAt(0) === 0) return new RangeError(`A topic does not begin with U+0000; got ${show(topic)}`);
  // Another process would see another topic: UTF-8 has no lone surrogates.
  return new RangeError(`A topic has no lone surrogates; got ${show(topic)}`);
}

/** How a socket is subscribed. */
export interface SubscribeOptions {
  /** Who this is to the others, for `app.presence(topic)`: a value that JSON can say, of at most 1,024 bytes: what a client chooses of it has to be shortened or refused first. Without it the socket is not listed there. */
  presence?: unknown;
}
