/** The topics of an app: subscribing, publishing and presence, with and without a broker. */
import { type BinaryData, toBytes } from "../common/bytes.ts";
import { Emitter } from "../common/emitter.ts";
import { entryOf, type Logger } from "../common/logger.ts";
import { show } from "../common/show.ts";
import { checkNames, inRange, throwInvalidOption } from "../common/validate.ts";
import { type Broker, HISTORY_PREFIX } from "./broker.ts";
import type { FollowingSocket } from "./history/follower.ts";
import type { Histories, TopicMessages } from "./history/histories.ts";
import { type ResolvedHistory, resolveTopic, type TopicOptions } from "./history/history-options.ts";
import { MemoryHistories } from "./history/memory-histories.ts";
import { formatId } from "./history/position.ts";
import { RemoteHistories } from "./history/remote-histories.ts";
import type { Followed } from "./history/topic-history.ts";
import { TopicPatterns } from "./history/topic-patterns.ts";
import { copyData } from "./presence-message.ts";
import { Presence, type PresenceOptions, type Present } from "./presence.ts";
import { type BrokerStats, PRESENCE_TOPIC, Relay } from "./relay.ts";
import { checkTopic } from "./topic-name.ts";
import { type Subscriber, Topics } from "./topics.ts";

/** A socket, as the topics see it. */
export interface Member extends Subscriber, FollowingSocket {
  readonly id: string;
  subscriptions: Set<string> | undefined;
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
  readonly maxHistoryBytes: number;
  readonly maxHistoryTopics: number;
  readonly maxRecoveries: number;
  readonly logger: Logger;
}

const EVENTS = ["join", "leave"] as const;
/** The most messages that an application reads at once. */
const MAX_READ = 10_000;

/** The topics of an app. They connect the sockets of this process and, through a broker, those of other processes. */
export class PubSub<Socket extends Member> extends Emitter<PubSubEvents<Socket>> {
  readonly #topics = new Topics<Socket>();
  readonly #settings: PubSubSettings;
  readonly #relay: Relay | undefined;
  readonly #presence: Presence;
  /** The topics that have a history. Undefined until the first one is declared. */
  #patterns: TopicPatterns | undefined;
  #histories: Histories<Socket> | undefined;
  /** The same, if a broker keeps them. */
  #remoteHistories: RemoteHistories<Socket> | undefined;
  /** How many followers with a `since` got all that they had missed, and how many did not. */
  #recovered = 0;
  #lost = 0;
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
      isWanted: (name) => name === PRESENCE_TOPIC || this.#topics.count(topicOf(name)) > 0,
      onMessage: (topic, data, origin) => this.#onRemoteMessage(topic, data, origin),
      onAppended: (name, position, bytes) => this.#remoteHistories?.onMessage(topicOf(name), position, bytes),
      onSubscribed: (name) => this.#remoteHistories?.onSubscribed(topicOf(name)),
      onUnsubscribed: (name) => this.#remoteHistories?.onUnsubscribed(topicOf(name)),
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

  /** Figures of the histories. Undefined while no topic has one. */
  get historyStats(): HistoryStats | undefined {
    if (this.#histories === undefined) return undefined;
    return { ...this.#histories.kept, recovered: this.#recovered, lost: this.#lost };
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
   * Gives topics a history.
   *
   * @param pattern the name of a topic, or the start of names and a `*`
   * @throws TypeError or RangeError if the pattern or an option is not valid, Error if the pattern was declared before,
   *   if a socket is subscribed to such a topic, or if the broker keeps no history
   */
  declare(pattern: string, options: TopicOptions): void {
    checkTopic(pattern);
    const history = resolveTopic(options);
    for (const topic of this.#topics.names()) {
      if (!TopicPatterns.matches(pattern, topic)) continue;
      throw new Error(`A socket is subscribed to ${show(topic)} already: call app.topic before the app listens`);
    }
    if (history !== undefined) this.#histories ??= this.#openHistories(pattern);
    this.#patterns ??= new TopicPatterns();
    this.#patterns.add(pattern, history);
  }

  #openHistories(pattern: string): Histories<Socket> {
    const { broker, maxHistoryBytes, maxHistoryTopics, maxRecoveries } = this.#settings;
    const membersOf = (topic: string): readonly Socket[] => this.#topics.membersOf(topic);
    if (broker === undefined) return new MemoryHistories({ maxHistoryBytes, maxHistoryTopics }, membersOf);
    const { append, read } = broker;
    if (typeof append !== "function" || typeof read !== "function") {
      const missing = typeof append === "function" ? "read" : "append";
      throw new Error(`The broker keeps no history for ${show(pattern)}: it has no method ${missing}`);
    }
    return this.#remoteHistories = new RemoteHistories({
      broker: { append: append.bind(broker), read: read.bind(broker) },
      maxHistoryBytes,
      maxRecoveries,
      membersOf,
      optionsOf: (topic) => this.#patterns!.find(topic),
      onFailure: (method, error) => this.#relay!.onFailure(method, error),
    });
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
    if (!this.#add(member, topic, options.presence)) return false;
    this.emit("join", member, topic);
    return true;
  }

  /**
   * Subscribes a socket to a topic with a history, from a position on.
   *
   * @throws TypeError or RangeError if the topic or an option is not valid, RangeError if the socket has too many
   *   topics, Error if the topic has no history or the socket follows it already
   */
  async follow(member: Socket, topic: string, options: FollowOptions): Promise<Followed> {
    checkTopic(topic);
    checkNames("follow", options, ["since", "presence"]);
    const since = checkSince(options.since);
    const history = this.#historyOf(topic);
    const histories = this.#histories!;
    if (histories.isFollowedBy(member, topic)) throw new Error(`The socket follows ${show(topic)} already`);
    const isNew = this.#add(member, topic, options.presence);
    if (!member.isOpen) return { recovered: false, id: "" };
    const followed = histories.follow(member, topic, history, since);
    if (isNew) this.emit("join", member, topic);
    const result = await followed;
    // Without an id, the socket has left before anything was decided.
    if (since !== undefined && result.id !== "") {
      if (result.recovered) this.#recovered++;
      else this.#lost++;
    }
    return result;
  }

  /** Adds a socket to a topic. Returns false if it was there already, or is not open. */
  #add(member: Socket, topic: string, presence: unknown): boolean {
    const data = presence === undefined ? undefined : copyData(presence);
    if (!member.isOpen) return false;
    const { maxTopicsPerSocket } = this.#settings;
    if (member.subscriptions?.size === maxTopicsPerSocket && !member.subscriptions.has(topic)) {
      throw new RangeError(`A socket subscribes to at most ${maxTopicsPerSocket} topics (maxTopicsPerSocket)`);
    }
    const isNew = this.#topics.add(topic, member);
    if (isNew && this.#topics.count(topic) === 1) this.#touch(topic);
    if (data !== undefined) this.#presence.join(topic, member.id, data);
    return isNew;
  }

  /** Unsubscribes a socket from a topic. Returns false if it was not subscribed. */
  unsubscribe(member: Socket, topic: string): boolean {
    checkTopic(topic);
    if (!this.#topics.delete(topic, member)) return false;
    if (this.#topics.count(topic) === 0) this.#touch(topic);
    this.#histories?.leave(member, topic);
    // A socket makes its id when the id is first read. Most sockets need none, so it is read only if the topic has
    // presence.
    if (this.#presence.isUsedAt(topic)) this.#presence.leave(topic, member.id);
    this.emit("leave", member, topic);
    return true;
  }

  /** A topic may have become wanted or unwanted by this process. */
  #touch(topic: string): void {
    this.#relay?.touch(this.#patterns?.find(topic) === undefined ? topic : HISTORY_PREFIX + topic);
  }

  /** Unsubscribes a socket from all its topics, because it has begun to close. */
  leaveAll(member: Socket): void {
    for (const topic of member.subscriptions ?? []) this.unsubscribe(member, topic);
  }

  /**
   * Sends a message to all subscribers of a topic except one. Returns the number of sockets of this process that took
   * it. At a topic with a history nobody is excepted: the position of each follower goes on with each message.
   */
  publish(topic: string, data: string | BinaryData, except?: Socket): number {
    checkTopic(topic);
    const message = typeof data === "string" ? data : toBytes(data);
    const history = this.#patterns?.find(topic);
    if (history !== undefined) return this.#histories!.publish(topic, history, message);
    this.#relay?.publish(topic, message);
    return this.#deliver(topic, message, except);
  }

  /**
   * Puts a message into the history of a topic, and sends it to all subscribers.
   *
   * @returns a promise of the message's id, which rejects if the message is not in the history
   * @throws the errors of `publish`, and Error if the topic has no history, through the promise
   */
  async append(topic: string, data: string | BinaryData): Promise<string> {
    checkTopic(topic);
    const message = typeof data === "string" ? data : toBytes(data);
    const history = this.#historyOf(topic);
    return formatId(await this.#histories!.append(topic, history, message));
  }

  /**
   * Reads a part of the history of a topic.
   *
   * @throws TypeError or RangeError if the topic or an option is not valid, Error if the topic has no history or the
   *   broker is away, through the promise
   */
  async history(topic: string, options: HistoryReadOptions): Promise<TopicMessages> {
    checkTopic(topic);
    checkNames("history", options, ["since", "limit"]);
    const since = checkSince(options.since);
    const limit = inRange("limit", options.limit, 100, 1, MAX_READ);
    const history = this.#historyOf(topic);
    return await this.#histories!.read(topic, history, { since, limit });
  }

  /** @throws Error if the topic has no history */
  #historyOf(topic: string): ResolvedHistory {
    const history = this.#patterns?.find(topic);
    if (history !== undefined) return history;
    const name = show(topic);
    throw new Error(`The topic ${name} has no history: app.topic(${name}, { history: true }) gives it one`);
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
    this.#histories?.close();
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

/** The topic for the name under which the broker knows it. */
function topicOf(name: string): string {
  return name.startsWith(HISTORY_PREFIX) ? name.slice(HISTORY_PREFIX.length) : name;
}

/** @throws TypeError if the value is neither a string nor left out */
function checkSince(since: string | null | undefined): string | undefined {
  if (since === null || since === undefined) return undefined;
  return typeof since === "string" ? since : throwInvalidOption("since", since, "an id, or empty");
}

/** Figures of the histories of an app, as {@link App.stats} returns them. */
export interface HistoryStats {
  /** Topics of which a history is kept in this process. With a broker: those to which its sockets are subscribed. */
  readonly topics: number;
  /** Messages that are kept in this process. A broker may keep more. */
  readonly messages: number;
  /** The memory that these messages take, in bytes, as `maxHistoryBytes` counts it. */
  readonly bytes: number;
  /** Calls of `socket.follow` with a `since` that got all that their sockets had missed, since the app was created. */
  readonly recovered: number;
  /** Calls of `socket.follow` with a `since` behind which messages were lost, since the app was created. */
  readonly lost: number;
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

/** Options of `socket.follow`. */
export interface FollowOptions extends SubscribeOptions {
  /**
   * The id of the last message that the client has: the messages behind it come first. An empty string stands for the
   * place before the oldest message that is kept. What a client sends may be handed in as it is: a text that is no id
   * recovers nothing. Default, also for `null`: none, the socket gets new messages only.
   */
  since?: string | null | undefined;
}

/** Options of {@link App.history}. */
export interface HistoryReadOptions {
  /**
   * The id behind which to begin. An empty string stands for the place before the oldest message that is kept. Default,
   * also for `null`: none, the newest messages are read.
   */
  since?: string | null | undefined;
  /** The most messages, from 1 to 10,000. Default: 100. */
  limit?: number | undefined;
}
