/** The link between the topics of this process and a broker. */
import { Buffer } from "node:buffer";
import process from "node:process";
import { entryOf, type Logger } from "../common/logger.ts";
import { show } from "../common/show.ts";
import type { Broker, BrokerStatus, HistoryPosition } from "./broker.ts";
import { decodeEnvelope, encodeEntry, encodePrefix } from "./envelope.ts";

/** Figures of the link between an app and its broker, as {@link App.stats} returns them. */
export interface BrokerStats {
  /** True when the link is up: messages that are published now can reach other processes. */
  readonly isConnected: boolean;
  /** Messages that the broker has taken, or that are on their way to it. */
  readonly published: number;
  /** Those of them that are on their way. */
  readonly pending: number;
  /** Messages that have come from other processes. */
  readonly received: number;
  /**
   * Messages that did not reach other processes because the broker was away, was too slow or has failed. The sockets of
   * this process got them.
   */
  readonly dropped: number;
}

/** What a relay calls. None of these functions may throw. */
export interface RelayEvents {
  /** Whether this process wants the messages of a topic. */
  readonly isWanted: (topic: string) => boolean;
  /** Another process, `origin`, has published a message. */
  readonly onMessage: (topic: string, data: string | Buffer, origin: string) => void;
  /** A message was appended to a history, by this process or another. */
  readonly onAppended: (topic: string, position: HistoryPosition, bytes: Uint8Array) => void;
  /** The broker has taken the subscription to a topic, for the first time or again. */
  readonly onSubscribed: (topic: string) => void;
  /** The topic is not wanted any more. */
  readonly onUnsubscribed: (topic: string) => void;
  /** The link is up, for the first time or again. */
  readonly onConnected: () => void;
}

/** Messages to one topic that are sent to the broker as one. */
interface Batch {
  readonly topic: string;
  readonly parts: Buffer[];
  byteLength: number;
}

/**
 * The topic at which processes tell each other which sockets are present. No topic of an application begins with
 * U+0000.
 */
export const PRESENCE_TOPIC = "\0presence";

/** The most bytes that may be on their way to the broker. A slow broker must not fill the memory of this process. */
export const MAX_IN_FLIGHT_BYTES: number = 16 * 1024 * 1024;
/** Fewer unsubscribed topics than this are not worth a sweep. */
const SWEEP_FROM = 64;
/** The time after which a subscription that the broker has refused is tried again. */
const RETRY_MS = 1000;
/** The most bytes of a batch, unless it has a single message that is larger. */
export const MAX_BATCH_BYTES: number = 64 * 1024;

/**
 * The link between the topics of this process and a broker. Whatever the broker does, no method throws, and no caller
 * has to wait. Messages that the broker cannot take are counted and dropped. When the link is cut and when it is up
 * again, this is logged once each.
 */
export class Relay {
  readonly #broker: Broker;
  readonly #prefix: Buffer;
  readonly #origin: string;
  readonly #events: RelayEvents;
  readonly #logger: Logger;
  /**
   * The last request to the broker for each topic: true for `subscribe`, false for `unsubscribe`. A topic that was
   * unsubscribed stays in the map until there are 64 more of such topics than of subscribed ones. Then all of them are
   * deleted at once. The reason is that of the map in `Topics`: deleting and adding keys of a large map over and over
   * makes it slow.
   */
  readonly #asked = new Map<string, boolean>();
  /** The number of topics in `#asked` that are true. */
  #subscribed = 0;
  /** Topics whose subscription is looked at when the turn ends. */
  readonly #changed = new Set<string>();
  #batch: Batch | undefined;
  #isScheduled = false;
  #isConnected = false;
  #hasLoggedAway = false;
  #isClosed = false;
  #inFlightBytes = 0;
  #published = 0;
  #pending = 0;
  #received = 0;
  #dropped = 0;
  /** The kinds of warnings that were logged since the link was last up: each kind is logged once. */
  readonly #warnings = new Set<string>();

  constructor(broker: Broker, origin: string, logger: Logger, events: RelayEvents) {
    this.#broker = broker;
    this.#origin = origin;
    this.#prefix = encodePrefix(origin);
    this.#logger = logger;
    this.#events = events;
  }

  /** Begins to listen to the broker. */
  start(): void {
    this.#broker.onMessage((topic, bytes, position) => this.#receive(topic, bytes, position));
    this.#broker.onStatus((status) => this.#onStatus(status));
  }

  get stats(): BrokerStats {
    return {
      isConnected: this.#isConnected,
      published: this.#published + this.#pending,
      pending: this.#pending,
      received: this.#received,
      dropped: this.#dropped,
    };
  }

  /**
   * Notes that a topic may have become wanted, or unwanted. This is looked at when the turn ends, so that a socket that
   * leaves a topic and comes back in the same turn misses no message.
   */
  touch(topic: string): void {
    this.#changed.add(topic);
    this.#schedule();
  }

  /**
   * Sends a message to the other processes. Messages to the same topic, one behind the other, are sent as one batch
   * when the turn ends.
   */
  publish(topic: string, data: string | Uint8Array): void {
    if (!this.#isConnected || this.#isClosed) return void (this.#dropped += countOf(topic, 1));
    const entry = encodeEntry(data);
    // Only neighbours are joined, so that messages to different topics stay in order. Brokers limit the size of a
    // message, so batches are limited too.
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

  /** Sends the messages that wait, and closes the broker. */
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

  /** Subscribes to a topic or unsubscribes from it, if it has become wanted or unwanted. */
  #subscribe(topic: string): void {
    const isWanted = this.#events.isWanted(topic);
    if (isWanted === (this.#asked.get(topic) ?? false)) return;
    this.#asked.set(topic, isWanted);
    this.#subscribed += isWanted ? 1 : -1;
    if (isWanted) {
      void this.#ask("subscribe", () => this.#broker.subscribe(topic)).then((isDone) => {
        if (!isDone) this.#retry(topic);
        else if (this.#asked.get(topic) === true) this.#events.onSubscribed(topic);
      });
    } else {
      this.#events.onUnsubscribed(topic);
      void this.#ask("unsubscribe", () => this.#broker.unsubscribe(topic));
    }
    if (this.#asked.size > SWEEP_FROM + 2 * this.#subscribed) this.#sweep();
  }

  /**
   * Tries again to subscribe, if the broker has refused. While the link is down this is not needed: all topics are
   * subscribed to when it is up again.
   */
  #retry(topic: string): void {
    if (!this.#isConnected || this.#isClosed) return;
    setTimeout(() => {
      if (this.#asked.get(topic) !== true) return;
      this.#asked.set(topic, false);
      this.#subscribed--;
      this.touch(topic);
    }, RETRY_MS).unref();
  }

  /** Deletes the topics that were unsubscribed. */
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
      return this.#warn(
        "slow",
        `SpaceNode: the broker is too slow: ${this.#inFlightBytes} bytes are on their way to it`,
      );
    }
    const bytes = Buffer.concat(batch.parts, byteLength);
    this.#inFlightBytes += byteLength;
    this.#pending += count;
    void this.#ask("publish", () => this.#broker.publish(topic, bytes)).then((isDone) => {
      this.#inFlightBytes -= byteLength;
      this.#pending -= count;
      if (isDone) this.#published += count;
      else this.#dropped += count;
    });
  }

  /** Calls the broker. Returns true if the call has succeeded. A failure is logged as a warning, and never thrown. */
  async #ask(method: string, call: () => Promise<unknown>): Promise<boolean> {
    try {
      await call();
      return true;
    } catch (error) {
      this.onFailure(method, error);
      return false;
    }
  }

  /** Logs that the broker could not do something, once for each method until the link is up again. */
  onFailure(method: string, error: unknown): void {
    // While the link is down all calls fail, and that it is down has been logged already.
    if (this.#isConnected) this.#warn(method, entryOf(`SpaceNode: the broker could not ${method}`, error));
  }

  #receive(topic: string, bytes: Uint8Array, position?: HistoryPosition): void {
    if (this.#isClosed) return;
    if (position !== undefined) {
      this.#received++;
      return this.#events.onAppended(topic, position, bytes);
    }
    const envelope = decodeEnvelope(bytes);
    if (envelope === undefined) {
      return this.#warn(
        "garbage",
        `SpaceNode: the broker has brought ${bytes.length} bytes that are not from an app, at ${show(topic)}`,
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
    if (!isConnected) return this.#logAway(before, error);
    if (before) return;
    this.#warnings.clear();
    if (this.#hasLoggedAway) this.#logger.info("SpaceNode: the broker is there; messages reach all processes.");
    this.#hasLoggedAway = false;
    this.#sweep();
    const topics = [...this.#asked.keys()];
    this.#asked.clear();
    this.#subscribed = 0;
    for (const topic of topics) this.#subscribe(topic);
    this.#events.onConnected();
  }

  /** Logs once that the link is down. A broker that has only not connected yet gives no error, and is not logged. */
  #logAway(wasConnected: boolean, error: unknown): void {
    if (this.#hasLoggedAway || (!wasConnected && error === undefined)) return;
    this.#hasLoggedAway = true;
    const text = "SpaceNode: the broker is away; messages reach this process only";
    this.#logger.warn(error === undefined ? `${text}.` : entryOf(text, error));
  }

  /** Logs a warning, once for each kind until the link is up again. */
  #warn(kind: string, entry: string | Error): void {
    if (this.#warnings.has(kind)) return;
    this.#warnings.add(kind);
    this.#logger.warn(entry);
  }
}

/** The number of messages for the figures, which leave out the messages about presence. */
function countOf(topic: string, messages: number): number {
  return topic === PRESENCE_TOPIC ? 0 : messages;
}
