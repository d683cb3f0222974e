/**
 * A broker in memory: a hub in place of a server, to which several apps of a test are linked, and the faults of both.
 */

import { setImmediate as nextTurn } from "node:timers/promises";
import {
  type Broker,
  type BrokerStatus,
  HISTORY_PREFIX,
  type HistoryLimits,
  type HistoryPage,
  type HistoryPosition,
  type HistoryRange,
} from "../../src/app/pubsub/broker.ts";
import { MemoryHistories } from "./memory-histories.ts";

export interface Published {
  readonly topic: string;
  readonly bytes: Buffer;
  /** The position of a message that was appended. */
  readonly position?: HistoryPosition;
}

/** The hub, which has the part of the server. */
export class Hub {
  /** All messages that the hub has taken, in order. */
  readonly published: Published[] = [];
  /** Decides whether a message is lost on its way to a link. */
  loses: (topic: string, to: MemoryBroker) => boolean = () => false;
  /** The histories of the topics. Losing one here is what a server does that has lost its data. */
  readonly histories: MemoryHistories = new MemoryHistories();
  readonly #links: MemoryBroker[] = [];
  readonly #muted = new Set<MemoryBroker>();

  /** Makes a link for one app. */
  link(isConnected: boolean = true): MemoryBroker {
    const link = new MemoryBroker(this, isConnected);
    this.#links.push(link);
    return link;
  }

  /**
   * Sends bytes to all subscribed links, including the link of the publisher, as Redis does. Without `from`, another
   * program publishes.
   */
  publish(topic: string, bytes: Uint8Array, from?: MemoryBroker): void {
    if (from !== undefined && this.#muted.has(from)) return;
    this.#deliver(topic, bytes);
  }

  /** Puts messages at the end of a history, and sends them to all subscribed links. */
  append(topic: string, messages: readonly Uint8Array[], limits: HistoryLimits): HistoryPosition {
    const last = this.histories.append(topic, messages, limits);
    for (const [i, bytes] of messages.entries()) {
      this.#deliver(topic, bytes, { ...last, offset: last.offset - messages.length + 1 + i });
    }
    return last;
  }

  #deliver(topic: string, bytes: Uint8Array, position?: HistoryPosition): void {
    this.published.push({ topic, bytes: Buffer.from(bytes), ...position && { position } });
    for (const link of this.#links) {
      if (link.topics.has(topic) && !this.loses(topic, link)) link.receive(topic, Buffer.from(bytes), position);
    }
  }

  /** Ignores all messages of a link, as if its process had died. */
  mute(link: MemoryBroker): void {
    this.#muted.add(link);
  }

  unmute(link: MemoryBroker): void {
    this.#muted.delete(link);
  }

  /**
   * The topics of the published messages, without those of the apps themselves, which begin with a control character.
   */
  get usersTopics(): string[] {
    return this.published.map(({ topic }) => topic).filter(isUsers);
  }

  /** Resolves when all that was under way has arrived, and all that followed from it too. */
  async settle(): Promise<void> {
    for (let quietTurns = 0; quietTurns < 3; quietTurns++) {
      await nextTurn();
      if (this.#links.some((link) => link.isBusy)) quietTurns = 0;
    }
  }
}

/** A request to the hub that is not done yet. */
interface Request {
  readonly byteLength: number;
  /** Makes the hub do the request. */
  run(): void;
  /** Settles the promise that the app has got. */
  answer(): void;
  reject(error: unknown): void;
}

/**
 * The link of one app. It does all requests in order, in a later turn. It reads the bytes of a message no sooner than
 * that, as a client with a queue may do.
 */
export class MemoryBroker implements Broker {
  /**
   * The calls of the app, such as `"subscribe news"` or `"append history:news"`, without those for the topic of the
   * apps themselves.
   */
  readonly calls: string[] = [];
  /** The topics that the link is subscribed to at the hub. */
  readonly topics: Set<string> = new Set();
  readonly #hub: Hub;
  readonly #requests: Request[] = [];
  #isConnected: boolean;
  #isStalled = false;
  #isScheduled = false;
  #onMessage: ((topic: string, bytes: Uint8Array, position?: HistoryPosition) => void) | undefined;
  #onStatus: ((status: BrokerStatus) => void) | undefined;

  constructor(hub: Hub, isConnected: boolean) {
    this.#hub = hub;
    this.#isConnected = isConnected;
  }

  /** Whether a request is under way. While the link is stalled, none is. */
  get isBusy(): boolean {
    return this.#requests.length > 0 && !this.#isStalled;
  }

  /** The bytes of messages that the hub has not taken yet. */
  get waitingBytes(): number {
    return this.#requests.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** The topics that the link is subscribed to, sorted, without those of the apps themselves. */
  get usersTopics(): string[] {
    return [...this.topics].filter(isUsers).sort();
  }

  // Faults

  /** Cuts the link. The hub forgets its subscriptions, and all requests under way are rejected. */
  disconnect(error?: Error): void {
    this.#isConnected = false;
    this.topics.clear();
    for (const { reject } of this.#requests.splice(0)) reject(error ?? new Error("The link was cut"));
    this.tell({ isConnected: false, error });
  }

  /** Cuts the link when the hub has done all requests under way, and has not answered yet. */
  disconnectBeforeAnswers(error?: Error): void {
    for (const { run } of this.#requests) run();
    this.disconnect(error);
  }

  /** Restores the link, without any subscription. */
  reconnect(): void {
    this.#isConnected = true;
    this.tell({ isConnected: true });
  }

  /** Reports a state to the app, whether it is true or not. */
  tell(status: BrokerStatus): void {
    this.#onStatus?.(status);
  }

  /** Makes the hub take no request until `unstall`. */
  stall(): void {
    this.#isStalled = true;
  }

  unstall(): void {
    this.#isStalled = false;
    this.#schedule();
  }

  /** Gives a message to the app, whether its topic is subscribed or not. */
  receive(topic: string, bytes: Uint8Array, position?: HistoryPosition): void {
    this.#onMessage?.(topic, bytes, position);
  }

  // The interface Broker

  onMessage(listener: (topic: string, bytes: Uint8Array, position?: HistoryPosition) => void): void {
    this.#onMessage = listener;
  }

  onStatus(listener: (status: BrokerStatus) => void): void {
    this.#onStatus = listener;
    this.tell({ isConnected: this.#isConnected });
  }

  publish(topic: string, bytes: Uint8Array): Promise<void> {
    this.#note("publish", topic);
    return this.#do(() => this.#hub.publish(topic, bytes, this), bytes.length);
  }

  subscribe(topic: string): Promise<void> {
    this.#note("subscribe", topic);
    return this.#do(() => void this.topics.add(topic));
  }

  unsubscribe(topic: string): Promise<void> {
    this.#note("unsubscribe", topic);
    return this.#do(() => void this.topics.delete(topic));
  }

  append(topic: string, messages: readonly Uint8Array[], limits: HistoryLimits): Promise<HistoryPosition> {
    this.#note("append", topic);
    const byteLength = messages.reduce((sum, { length }) => sum + length, 0);
    return this.#do(() => this.#hub.append(topic, messages, limits), byteLength);
  }

  read(topic: string, range: HistoryRange, limits: HistoryLimits): Promise<HistoryPage> {
    this.#note("read", topic);
    return this.#do(() => this.#hub.histories.read(topic, range, limits));
  }

  close(): Promise<void> {
    this.calls.push("close");
    return this.#do(() => this.topics.clear());
  }

  #note(method: string, topic: string): void {
    if (isHistory(topic)) this.calls.push(`${method} ${topic.slice(1)}`);
    else if (isUsers(topic)) this.calls.push(`${method} ${topic}`);
  }

  #do<Result>(run: () => Result, byteLength: number = 0): Promise<Result> {
    if (!this.#isConnected) return Promise.reject(new Error("There is no link"));
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    let result: Result;
    this.#requests.push({ run: () => result = run(), byteLength, answer: () => resolve(result), reject });
    this.#schedule();
    return promise;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isStalled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#isStalled) return;
      for (const { run, answer } of this.#requests.splice(0)) {
        run();
        answer();
      }
    });
  }
}

function isHistory(topic: string): boolean {
  return topic.startsWith(HISTORY_PREFIX);
}

function isUsers(topic: string): boolean {
  return topic.charCodeAt(0) >= 0x20;
}
