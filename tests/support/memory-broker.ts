/** A broker in memory: a hub that several apps of a test are linked to, as they would be to a server, and what can go wrong with one. */

import { setImmediate as nextTurn } from "node:timers/promises";
import type { Broker, BrokerStatus } from "../../src/app/pubsub/broker.ts";

export interface Published {
  readonly topic: string;
  readonly bytes: Buffer;
}

/** The server's part. */
export class Hub {
  /** All that it has taken, in order. */
  readonly published: Published[] = [];
  /** Whether a message gets lost on its way to one of the links. */
  loses: (topic: string, to: MemoryBroker) => boolean = () => false;
  readonly #links: MemoryBroker[] = [];
  readonly #muted = new Set<MemoryBroker>();

  /** A link for one app. */
  link(isConnected: boolean = true): MemoryBroker {
    const link = new MemoryBroker(this, isConnected);
    this.#links.push(link);
    return link;
  }

  /** Gives bytes to who is subscribed, the publisher too: as Redis does, and as any other program may. */
  publish(topic: string, bytes: Uint8Array, from?: MemoryBroker): void {
    if (from !== undefined && this.#muted.has(from)) return;
    this.published.push({ topic, bytes: Buffer.from(bytes) });
    for (const link of this.#links) {
      if (link.topics.has(topic) && !this.loses(topic, link)) link.receive(topic, Buffer.from(bytes));
    }
  }

  /** Nothing that comes from a link is heard any more, as when its process has died. */
  mute(link: MemoryBroker): void {
    this.#muted.add(link);
  }

  unmute(link: MemoryBroker): void {
    this.#muted.delete(link);
  }

  /** What users have published. Topics that begin with a control character are the apps' own. */
  get usersTopics(): string[] {
    return this.published.map(({ topic }) => topic).filter(isUsers);
  }

  /** Resolves when all that was under way has arrived, and what came of that too. */
  async settle(): Promise<void> {
    for (let quietTurns = 0; quietTurns < 3; quietTurns++) {
      await nextTurn();
      if (this.#links.some((link) => link.isBusy)) quietTurns = 0;
    }
  }
}

/** Something that the hub has been asked for, and has not done yet. */
interface Step {
  readonly byteLength: number;
  run(): void;
  readonly done: PromiseWithResolvers<void>;
}

/** One app's end. What it is asked for is done in order, in a later turn, and bytes are read no sooner than that, as a client with a queue may. */
export class MemoryBroker implements Broker {
  /** What it was asked for, such as `"subscribe news"`. The apps' own topics are left out. */
  readonly calls: string[] = [];
  /** What it is subscribed to at the hub. */
  readonly topics: Set<string> = new Set();
  readonly #hub: Hub;
  readonly #steps: Step[] = [];
  #isConnected: boolean;
  #isHeld = false;
  #isScheduled = false;
  #onMessage: ((topic: string, bytes: Uint8Array) => void) | undefined;
  #onStatus: ((status: BrokerStatus) => void) | undefined;

  constructor(hub: Hub, isConnected: boolean) {
    this.#hub = hub;
    this.#isConnected = isConnected;
  }

  /** Whether something is under way. What is held is not. */
  get isBusy(): boolean {
    return this.#steps.length > 0 && !this.#isHeld;
  }

  /** Bytes that it was given to publish, and that the hub has not taken. */
  get waitingBytes(): number {
    return this.#steps.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** The users' topics that it is subscribed to, sorted. */
  get usersTopics(): string[] {
    return [...this.topics].filter(isUsers).sort();
  }

  // What can go wrong

  /** The link is cut. The hub forgets it, and what was under way is lost. */
  disconnect(error?: Error): void {
    this.#isConnected = false;
    this.topics.clear();
    for (const { done } of this.#steps.splice(0)) done.reject(error ?? new Error("The link was cut"));
    this.tell({ isConnected: false, error });
  }

  /** It is there again, and knows of no subscription. */
  reconnect(): void {
    this.#isConnected = true;
    this.tell({ isConnected: true });
  }

  /** Says how it stands, true or not. */
  tell(status: BrokerStatus): void {
    this.#onStatus?.(status);
  }

  /** The hub takes nothing, until `release`. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    this.#schedule();
  }

  /** Brings a message, whether it was subscribed or not. */
  receive(topic: string, bytes: Uint8Array): void {
    this.#onMessage?.(topic, bytes);
  }

  // Broker

  onMessage(listener: (topic: string, bytes: Uint8Array) => void): void {
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

  close(): Promise<void> {
    this.calls.push("close");
    return this.#do(() => this.topics.clear());
  }

  #note(method: string, topic: string): void {
    if (isUsers(topic)) this.calls.push(`${method} ${topic}`);
  }

  #do(run: () => void, byteLength: number = 0): Promise<void> {
    if (!this.#isConnected) return Promise.reject(new Error("There is no link"));
    const done = Promise.withResolvers<void>();
    this.#steps.push({ run, byteLength, done });
    this.#schedule();
    return done.promise;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isHeld) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#isHeld) return;
      for (const { run, done } of this.#steps.splice(0)) {
        run();
        done.resolve();
      }
    });
  }
}

function isUsers(topic: string): boolean {
  return topic.charCodeAt(0) >= 0x20;
}
