/** The way to the histories that a broker keeps. */
import process from "node:process";
import {
  type Broker,
  HISTORY_PREFIX,
  type HistoryLimits,
  type HistoryPage,
  type HistoryPosition,
  type HistoryRange,
} from "../broker.ts";
import { MAX_BATCH_BYTES, MAX_IN_FLIGHT_BYTES } from "../relay.ts";
import { encodeRecord } from "./record.ts";

/** The methods of a broker that keep histories. */
export type HistoryBroker = Pick<Required<Broker>, "append" | "read">;

/** Messages of one topic that are appended as one. */
interface Batch {
  readonly topic: string;
  readonly limits: HistoryLimits;
  readonly records: Uint8Array[];
  readonly waiters: PromiseWithResolvers<HistoryPosition>[];
  bytes: number;
}

/** A read that waits until another one has ended. */
interface QueuedRead {
  readonly isWanted: () => boolean;
  readonly begin: () => void;
  readonly drop: (error: Error) => void;
}

/** The time after which a read that has failed is tried again. */
const RETRY_MS = 500;
/** Fewer reads that wait are not looked through for those that nobody wants any more. */
const PRUNE_FROM = 64;

/** Appends to the histories of a broker, and reads from them, with a limit on what is under way. */
export class HistoryLink {
  readonly #broker: HistoryBroker;
  readonly #maxReads: number;
  readonly #onFailure: (method: string, error: unknown) => void;
  readonly #batches = new Map<string, Batch>();
  #inFlightBytes = 0;
  #reads = 0;
  readonly #queue: QueuedRead[] = [];
  /** When the queue has this many reads, those that nobody wants any more are taken out. */
  #pruneFrom = PRUNE_FROM;
  #isClosed = false;

  /**
   * @param maxReads the most reads that are under way at the same time; others wait
   * @param onFailure is told of each call that has failed
   */
  constructor(broker: HistoryBroker, maxReads: number, onFailure: (method: string, error: unknown) => void) {
    this.#broker = broker;
    this.#maxReads = maxReads;
    this.#onFailure = onFailure;
  }

  /**
   * Appends a message. Messages to a topic of one turn are appended as one.
   *
   * @returns a promise of its position, which rejects if the message is not in the history, or if that is not known
   */
  append(topic: string, data: string | Uint8Array, limits: HistoryLimits): Promise<HistoryPosition> {
    if (this.#isClosed) return Promise.reject(new Error("The app has been closed"));
    const record = encodeRecord(data);
    if (this.#inFlightBytes + record.length > MAX_IN_FLIGHT_BYTES) {
      const message = `The broker is too slow: ${this.#inFlightBytes} bytes are on their way to it`;
      return Promise.reject(new Error(message));
    }
    this.#inFlightBytes += record.length;
    if (this.#batches.size === 0) process.nextTick(() => this.#flush());
    const before = this.#batches.get(topic);
    if (before !== undefined && before.bytes + record.length > MAX_BATCH_BYTES) this.#send(before);
    const batch = this.#batches.get(topic) ?? { topic, limits, records: [], waiters: [], bytes: 0 };
    this.#batches.set(topic, batch);
    const waiter = Promise.withResolvers<HistoryPosition>();
    batch.records.push(record);
    batch.waiters.push(waiter);
    batch.bytes += record.length;
    return waiter.promise;
  }

  /**
   * Reads a part of a history. A read that fails is tried again until it succeeds, because the broker may be away.
   *
   * @param isWanted tells whether the reader still waits
   * @returns undefined if the reader waits no longer, or if the link was closed
   */
  async read(
    topic: string,
    range: HistoryRange,
    limits: HistoryLimits,
    isWanted: () => boolean,
  ): Promise<HistoryPage | undefined> {
    while (!this.#isClosed && isWanted()) {
      try {
        return await this.readOnce(topic, range, limits, isWanted);
      } catch {
        await new Promise<void>((resolve) => void setTimeout(resolve, RETRY_MS).unref());
      }
    }
    return undefined;
  }

  /** Reads a part of a history. Rejects if the broker cannot, or if nobody wants the part any more. */
  async readOnce(
    topic: string,
    range: HistoryRange,
    limits: HistoryLimits,
    isWanted: () => boolean = () => true,
  ): Promise<HistoryPage> {
    if (this.#reads === this.#maxReads) await this.#queueUp(isWanted);
    else this.#reads++;
    try {
      if (!isWanted()) throw unwanted();
      return await this.#readFromBroker(topic, range, limits);
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#reads--;
      else next.begin();
    }
  }

  async #readFromBroker(topic: string, range: HistoryRange, limits: HistoryLimits): Promise<HistoryPage> {
    try {
      return await this.#broker.read(HISTORY_PREFIX + topic, range, limits);
    } catch (error) {
      this.#onFailure("read a history", error);
      throw error;
    }
  }

  /** Waits for the end of another read. A reader that has gone must not stay in memory while the broker is slow. */
  #queueUp(isWanted: () => boolean): Promise<void> {
    if (this.#queue.length >= this.#pruneFrom) {
      for (const read of this.#queue.splice(0)) {
        if (read.isWanted()) this.#queue.push(read);
        else read.drop(unwanted());
      }
      this.#pruneFrom = Math.max(PRUNE_FROM, this.#queue.length * 2);
    }
    return new Promise<void>((begin, drop) => void this.#queue.push({ isWanted, begin, drop }));
  }

  /** Sends what waits, and begins nothing more. */
  close(): void {
    this.#flush();
    this.#isClosed = true;
  }

  #flush(): void {
    for (const batch of this.#batches.values()) this.#send(batch);
  }

  #send(batch: Batch): void {
    this.#batches.delete(batch.topic);
    void this.#append(batch);
  }

  async #append({ topic, limits, records, waiters, bytes }: Batch): Promise<void> {
    try {
      const { epoch, offset } = await this.#broker.append(HISTORY_PREFIX + topic, records, limits);
      const first = offset - records.length + 1;
      for (const [at, { resolve }] of waiters.entries()) resolve({ epoch, offset: first + at });
    } catch (error) {
      this.#onFailure("append to a history", error);
      for (const { reject } of waiters) reject(error);
    } finally {
      this.#inFlightBytes -= bytes;
    }
  }
}

function unwanted(): Error {
  return new Error("Nobody waits for the history any more");
}
