import { Buffer } from "node:buffer";
import type { HistoryLimits, HistoryPosition } from "../broker.ts";

/** A message in the history of a topic. */
export interface LoggedMessage {
  readonly offset: number;
  readonly data: string | Buffer;
}

interface Entry extends LoggedMessage {
  readonly atMs: number;
  readonly bytes: number;
}

/** The messages that all logs of an app have together, and their bytes. */
export interface LogMemory {
  messages: number;
  bytes: number;
}

/** What an entry takes besides its data: an object, and its place in an array. */
const ENTRY_BYTES = 64;
/** Fewer entries that were dropped are not worth a move of all others. */
const COMPACT_FROM = 64;

/**
 * The newest messages of a topic, without a gap. Offsets count from 1 in each epoch. An epoch and the offset of the
 * newest message stay when no message is kept any more.
 */
export class MessageLog {
  readonly #memory: LogMemory;
  #epoch: string;
  #newest: number;
  /** Where the log was before its first message, if it has seen that moment. A position there is not lost. */
  #origin: string | undefined;
  /** The entries from `#start` on. Those before it were dropped. */
  #entries: (Entry | undefined)[] = [];
  #start = 0;
  #bytes = 0;

  constructor(memory: LogMemory, epoch: string, newest = 0) {
    this.#memory = memory;
    this.#epoch = epoch;
    this.#newest = newest;
  }

  /** The position of the newest message. */
  get end(): HistoryPosition {
    return { epoch: this.#epoch, offset: this.#newest };
  }

  get epoch(): string {
    return this.#epoch;
  }

  get newest(): number {
    return this.#newest;
  }

  /** The offset of the oldest message that is kept: `newest` + 1 if none is. */
  get oldest(): number {
    return this.#newest - this.size + 1;
  }

  get size(): number {
    return this.#entries.length - this.#start;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Returns a message of the present epoch, if it is kept. */
  at(offset: number): LoggedMessage | undefined {
    return offset < this.oldest ? undefined : this.#entries[this.#start + offset - this.oldest];
  }

  /**
   * Finds the offset behind which a reader goes on who is at a position.
   *
   * @param after the position; undefined is the place before the oldest message
   * @returns undefined if the log does not have all messages behind the position
   */
  offsetOf(after: HistoryPosition | undefined): number | undefined {
    if (after === undefined) return this.oldest - 1;
    const isHere = after.epoch === this.#epoch || (after.epoch === this.#origin && after.offset === 0);
    return isHere && after.offset >= this.oldest - 1 && after.offset <= this.#newest ? after.offset : undefined;
  }

  /** Puts a message at the end. */
  append(data: string | Buffer, nowMs: number): LoggedMessage {
    const bytes = ENTRY_BYTES + (typeof data === "string" ? Buffer.byteLength(data) : data.length);
    const entry: Entry = { offset: ++this.#newest, data, atMs: nowMs, bytes };
    this.#entries.push(entry);
    this.#count(1, bytes);
    return entry;
  }

  /** Begins a history where there was none. Positions of the time before are those before its first message. */
  begin(epoch: string): void {
    this.#origin = this.#epoch;
    this.#epoch = epoch;
  }

  /** Forgets all messages, and goes on behind another position. */
  reset({ epoch, offset }: HistoryPosition): void {
    this.clear();
    this.#epoch = epoch;
    this.#newest = offset;
    this.#origin = undefined;
  }

  /** Drops the messages that are too many or too old. */
  trim({ size, maxAgeMs }: HistoryLimits, nowMs: number): void {
    while (this.size > size || (this.size > 0 && nowMs - this.#entries[this.#start]!.atMs >= maxAgeMs)) {
      this.dropOldest();
    }
  }

  dropOldest(): void {
    this.#count(-1, -this.#entries[this.#start]!.bytes);
    this.#entries[this.#start++] = undefined;
    if (this.#start < COMPACT_FROM || this.#start * 2 < this.#entries.length) return;
    this.#entries.splice(0, this.#start);
    this.#start = 0;
  }

  /** Forgets all messages. */
  clear(): void {
    this.#count(-this.size, -this.#bytes);
    this.#entries = [];
    this.#start = 0;
  }

  #count(messages: number, bytes: number): void {
    this.#bytes += bytes;
    this.#memory.messages += messages;
    this.#memory.bytes += bytes;
  }
}
