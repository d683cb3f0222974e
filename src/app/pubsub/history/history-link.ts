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

/** The most bytes that may be on their way to the broker. A slow broker must not fill the memory of this process. */
const MAX_IN_FLIGHT_BYTES = 16 * 1024 * 1024;
/** The most bytes of a batch, unless it has a single message that is larger. */
const MAX_BATCH_BYTES = 64 * 1024;
/** The time after which a read that has failed is tried again. */
const RETRY_MS = 500;

/** Appends to the histories of a broker, and reads from them, with a limit on what is under way. */
export class HistoryLink {
  readonly #broker: HistoryBroker;
  readonly #maxReads: number;
  readonly #onFailure: (method: string, error: unknown) => void;
  readonly #batches = new Map<string, Batch>();
  #inFlightBytes = 0;
  #reads = 0;
  readonly #waitingReads: (() => void)[] = [];
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
        return await this.readOnce(topic, range, limits);
      } catch {
        await new Promise<void>((resolve) => void setTimeout(resolve, RETRY_MS).unref());
      }
    }
    return undefined;
  }

  /** Reads a part of a history. Rejects if the broker cannot. */
  async readOnce(topic: string, range: HistoryRange, limits: HistoryLimits): Promise<HistoryPage> {
    if (this.#reads === this.#maxReads) await new Promise<void>((resolve) => void this.#waitingReads.push(resolve));
    else this.#reads++;
    try {
      return await this.#broker.read(HISTORY_PREFIX + topic, range, limits);
    } catch (error) {
      this.#onFailure("read a history", error);
      throw error;
    } finally {
      const next = this.#waitingReads.shift();
      if (next === undefined) this.#reads--;
      else next();
    }
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
