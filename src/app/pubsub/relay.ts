import { Buffer } from "node:buffer";
import process from "node:process";
import type { Logger } from "../common/logger.ts";
import { show } from "../common/show.ts";
import type { Broker, BrokerStatus } from "./broker.ts";
import { decodeEnvelope, encodeEntry, encodePrefix } from "./envelope.ts";

/** Figures of the link to other processes. */
export interface BrokerStats {
  /** Whether what is published now can reach other processes. */
  readonly isConnected: boolean;
  /** Messages that were handed to the broker. */
  readonly published: number;
  /** Messages that came from other processes. */
  readonly received: number;
  /** Messages that could not be handed on, because the broker was away or too slow. This process's own sockets got them. */
  readonly dropped: number;
}

/** Who hears of other processes. Nothing here may throw. */
export interface RelayEvents {
  /** Whether messages of a topic are of interest here. */
  readonly isWanted: (topic: string) => boolean;
  readonly onMessage: (topic: string, data: string | Buffer, origin: string) => void;
  /** The broker is there, for the first time or again. */
  readonly onConnected: () => void;
}

/** Messages to one topic that leave as one. */
interface Batch {
  readonly topic: string;
  readonly parts: Buffer[];
  byteLength: number;
}

/** Where processes tell each other who is present. No topic of a user begins with this character. */
export const PRESENCE_TOPIC = "\0presence";

/** What a broker may have on its way, in bytes; a slow one must not fill our memory. */
const MAX_IN_FLIGHT_BYTES = 16 * 1024 * 1024;
/** Below this, topics that are not subscribed any more are not worth looking for. */
const SWEEP_FROM = 64;
/** When a subscription is tried again that a broker has refused. */
const RETRY_MS = 1000;
/** A batch does not grow beyond this, unless by a single message. */
const MAX_BATCH_BYTES = 64 * 1024;

/**
 * The link between the topics of this process and a broker. Whatever the broker does, nothing is thrown here, and nobody waits: messages that it cannot take are counted
 * and dropped, and its coming and going is logged once each.
 */
export class Relay {
  readonly #broker: Broker;
  readonly #prefix: Buffer;
  readonly #origin: string;
  readonly #events: RelayEvents;
  readonly #logger: Logger;
  /** What the broker has been asked for last: true to bring a topic, false to bring it no more. The latter are swept out when they are more, for the reason that `Topics` has. */
  readonly #asked = new Map<string, boolean>();
  #subscribed = 0;
  readonly #changed = new Set<string>();
  #batch: Batch | undefined;
  #isScheduled = false;
  #isConnected = false;
  #isAwaySaid = false;
  #isClosed = false;
  #inFlightBytes = 0;
  #published = 0;
  #received = 0;
  #dropped = 0;
  /** What has been warned of since the broker was last connected. */
  readonly #warnings = new Set<string>();

  constructor(broker: Broker, origin: string, logger: Logger, events: RelayEvents) {
    this.#broker = broker;
    this.#origin = origin;
    this.#prefix = encodePrefix(origin);
    this.#logger = logger;
    this.#events = events;
  }

  /** Begins to listen. */
  start(): void {
    this.#broker.onMessage((topic, bytes) => this.#receive(topic, bytes));
    this.#broker.onStatus((status) => this.#onStatus(status));
  }

  get stats(): BrokerStats {
    return {
      isConnected: this.#isConnected,
      published: this.#published,
      received: this.#received,
      dropped: this.#dropped,
    };
  }

  /** A topic may have become wanted, or no longer be. Looked at when the turn ends, so that who leaves and comes back at once misses nothing. */
  touch(topic: string): void {
    this.#changed.add(topic);
    this.#schedule();
  }

  /** Hands a message on to the other processes. What is published to one topic in a row leaves as one at the end of the turn. */
  publish(topic: string, data: string | Uint8Array): void {
    if (!this.#isConnected || this.#isClosed) return void (this.#dropped += countOf(topic, 1));
    const entry = encodeEntry(data);
    // The order across topics is kept: only neighbours are joined. A large message goes by itself, since brokers have limits.
    const before = this.#batch;
    if (before !== undefined && (before.topic !== topic || before.byteLength + entry.length > MAX_BATCH_BYTES)) {
      this.#sendBatch();
    }
    const batch = this.#batch ??= { topic, parts: [this.#prefix], byteLength: this.#prefix.length };
    batch.parts.push(entry);
    batch.byteLength += entry.length;
    if (batch.byteLength >= MAX_BATCH_BYTES) this.#sendBatch();
    else this.#schedule();
  }

  /** Sends what waits and lets the broker go. */
  async close(): Promise<void> {
    this.#flush();
    this.#isClosed = true;
    await this.#ask("close", () => this.#broker.close());
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    process.nextTick(() => this.#flush());
  }

  #flush(): void {
    this.#isScheduled = false;
    if (this.#isClosed) return;
    for (const topic of this.#changed) this.#subscribe(topic);
    this.#changed.clear();
    this.#sendBatch();
  }

  #subscribe(topic: string): void {
    const isWanted = this.#events.isWanted(topic);
    if (isWanted === (this.#asked.get(topic) ?? false)) return;
    this.#asked.set(topic, isWanted);
    this.#subscribed += isWanted ? 1 : -1;
    if (isWanted) {
      void this.#ask("subscribe", () => this.#broker.subscribe(topic)).then((isDone) => this.#retry(topic, isDone));
    } else void this.#ask("unsubscribe", () => this.#broker.unsubscribe(topic));
    if (this.#asked.size > SWEEP_FROM + 2 * this.#subscribed) this.#sweep();
  }

  /** While the broker is away there is nothing to be tried again: all topics are asked for when it is back. */
  #retry(topic: string, isDone: boolean): void {
    if (isDone || !this.#isConnected || this.#isClosed) return;
    setTimeout(() => {
      if (this.#asked.get(topic) !== true) return;
      this.#asked.set(topic, false);
      this.#subscribed--;
      this.touch(topic);
    }, RETRY_MS).unref();
  }

  #sweep(): void {
    for (const [topic, isSubscribed] of this.#asked) if (!isSubscribed) this.#asked.delete(topic);
  }

  #sendBatch(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    const { topic, byteLength } = batch;
    const count = countOf(topic, batch.parts.length - 1);
    if (this.#inFlightBytes + byteLength > MAX_IN_FLIGHT_BYTES) {
      this.#dropped += count;
      return this.#warn("slow", `the broker is too slow: ${this.#inFlightBytes} bytes are on their way to it`);
    }
    const bytes = Buffer.concat(batch.parts, byteLength);
    this.#inFlightBytes += byteLength;
    this.#published += count;
    void this.#ask("publish", () => this.#broker.publish(topic, bytes)).then((isDone) => {
      this.#inFlightBytes -= byteLength;
      if (isDone) return;
      this.#published -= count;
      this.#dropped += count;
    });
  }

  /** Calls the broker. True once that has succeeded; a failure is warned of, and never thrown. */
  async #ask(what: string, call: () => Promise<unknown>): Promise<boolean> {
    try {
      await call();
      return true;
    } catch (error) {
      // While it is away all fails, and that has been said.
      if (this.#isConnected) this.#warn(what, `the broker could not ${what}:`, error);
      return false;
    }
  }

  #receive(topic: string, bytes: Uint8Array): void {
    if (this.#isClosed) return;
    const envelope = decodeEnvelope(bytes);
    if (envelope === undefined) {
      return this.#warn(
        "garbage",
        `the broker has brought ${bytes.length} bytes that are not from an app, at ${show(topic)}`,
      );
    }
    if (envelope.origin === this.#origin || !this.#events.isWanted(topic)) return;
    for (const message of envelope.messages) {
      this.#received += countOf(topic, 1);
      this.#events.onMessage(topic, message, envelope.origin);
    }
  }

  #onStatus({ isConnected, error }: BrokerStatus): void {
    if (this.#isClosed) return;
    const before = this.#isConnected;
    this.#isConnected = isConnected;
    if (!isConnected) return this.#sayAway(before, error);
    if (before) return;
    this.#warnings.clear();
    if (this.#isAwaySaid) this.#logger.info("SpaceNode: the broker is there; messages reach all processes.");
    this.#isAwaySaid = false;
    this.#sweep();
    const topics = [...this.#asked.keys()];
    this.#asked.clear();
    this.#subscribed = 0;
    for (const topic of topics) this.#subscribe(topic);
    this.#events.onConnected();
  }

  /** A broker that is only about to connect gives no reason. */
  #sayAway(wasConnected: boolean, error: unknown): void {
    if (this.#isAwaySaid || (!wasConnected && error === undefined)) return;
    this.#isAwaySaid = true;
    const reason = error === undefined ? [] : [error];
    this.#logger.warn("SpaceNode: the broker is away; messages reach this process only.", ...reason);
  }

  #warn(kind: string, ...message: [string, ...unknown[]]): void {
    if (this.#warnings.has(kind)) return;
    this.#warnings.add(kind);
    this.#logger.warn(`SpaceNode: ${message[0]}`, ...message.slice(1));
  }
}

/** What counts are the messages of users. */
function countOf(topic: string, messages: number): number {
  return topic === PRESENCE_TOPIC ? 0 : messages;
}
