/** Reads a part of a history in JetStream. */
import type {
  HistoryLimits,
  HistoryMessage,
  HistoryPage,
  HistoryPosition,
  HistoryRange,
} from "../app/pubsub/broker.ts";
import { type HistoryRecord, lastOffset } from "./nats-record.ts";
import type { HistoryStream, StoredRecord, StreamState } from "./nats-stream.ts";

/** How often a history is read again that has changed while it was read. */
const MAX_ATTEMPTS = 3;
/** Up to that many messages of the stream are read one by one, which is faster than with a consumer. */
const MAX_SINGLE_READS = 12;

/**
 * Reads a page. Messages that are appended after the start are not in it. If messages are missing each time, somebody
 * has deleted them, or they go faster than they can be read. Then the position is not complete.
 *
 * @throws Error if messages are missing, and no position was given
 */
export async function readPage(
  stream: HistoryStream,
  subject: string,
  range: HistoryRange,
  limits: HistoryLimits,
): Promise<HistoryPage> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const state = await stream.state();
    const [last, first] = await Promise.all([stream.last(subject), stream.next(subject, 1)]);
    // The topic has no history at a moment after that of the state.
    if (last?.record === undefined) return emptyPage(state, range);
    const page = first &&
      await new HistoryReader(stream, subject, first, { ...last, record: last.record }).read(range, limits);
    if (page !== undefined) return page;
  }
  if (range.after === undefined) throw new Error("Messages of a history are missing, or go before they can be read");
  const page = await readPage(stream, subject, { ...range, maxMessages: 0 }, limits);
  return { ...page, isComplete: false, messages: [] };
}

/** The page of a topic that has no history. */
function emptyPage(state: StreamState, { after }: HistoryRange): HistoryPage {
  const isComplete = after === undefined || placeOf(after, state) !== undefined;
  const epoch = after !== undefined && isComplete ? after.epoch : emptyEpoch(state);
  return { epoch, oldest: 1, newest: 0, isComplete, messages: [] };
}

/** A record of the history that is read. */
interface Stored extends StoredRecord {
  readonly record: HistoryRecord;
}

/** Reads one history as it was at one moment. */
class HistoryReader {
  readonly #stream: HistoryStream;
  readonly #subject: string;
  /** The first message of the topic. It may be of another epoch, or too old. */
  readonly #first: StoredRecord;
  readonly #last: Stored;
  readonly #epoch: string;
  readonly #newest: number;

  constructor(stream: HistoryStream, subject: string, first: StoredRecord, last: Stored) {
    this.#stream = stream;
    this.#subject = subject;
    this.#first = first;
    this.#last = last;
    this.#epoch = last.record.epoch;
    this.#newest = lastOffset(last.record);
  }

  /** Undefined if the history has changed meanwhile. */
  async read({ after, maxMessages, maxBytes }: HistoryRange, limits: HistoryLimits): Promise<HistoryPage | undefined> {
    const epoch = this.#epoch;
    const newest = this.#newest;
    const keptSince = this.#stream.now() - limits.maxAgeMs;
    const isKept = (each: StoredRecord): boolean => this.#has(each) && each.time > keptSince;
    const start = isKept(this.#last) ? await this.#search(this.#first, this.#last, isKept) : undefined;
    const oldest = start === undefined
      ? newest + 1
      : Math.max(start.record.messages[0]!.offset, newest - limits.size + 1);
    const offset = after === undefined ? oldest - 1 : await this.#offsetOf(after, start);
    const isComplete = offset !== undefined && offset >= oldest - 1 && offset <= newest;
    const page = { epoch, oldest, newest, isComplete };
    if (!isComplete || start === undefined || offset === newest || maxMessages < 1) return { ...page, messages: [] };
    const count = Math.min(maxMessages, newest - offset);
    const messages = await this.#collect(start, offset + 1, count, maxBytes);
    return messages && { ...page, messages };
  }

  /** True if a message is of the epoch that is read. */
  #has(each: StoredRecord): each is Stored {
    return each.record?.epoch === this.#epoch;
  }

  /** The offset of a position in this epoch. Undefined if it is of another epoch, or of none. */
  async #offsetOf(after: HistoryPosition, start: Stored | undefined): Promise<number | undefined> {
    if (after.epoch === this.#epoch) return Number.isSafeInteger(after.offset) ? after.offset : undefined;
    // The place where the topic had no history is the place in front of its first history, which has to be this one.
    if (start === undefined || start.seq !== this.#first.seq || !EMPTY_EPOCH.test(after.epoch)) return undefined;
    const place = placeOf(after, await this.#stream.state());
    return place !== undefined && start.seq > place ? 0 : undefined;
  }

  /**
   * Finds the first message for which a condition holds, which then holds for all behind it.
   *
   * @param before the first message of all
   * @param behind a message for which the condition holds
   * @param isFirst true of a message if the condition holds for no message in front of it
   * @param guess a sequence that is tried first
   */
  async #search(
    before: StoredRecord,
    behind: Stored,
    holds: (each: StoredRecord) => boolean,
    isFirst: (each: Stored) => boolean = () => false,
    guess?: number,
  ): Promise<Stored> {
    let found = holds(before) ? before as Stored : behind;
    let from = before.seq + 1;
    // No message of the topic lies between `to` and the one that is found.
    let to = found.seq;
    for (let probe = guess; from < to && !isFirst(found); probe = undefined) {
      const at = Math.min(Math.max(probe ?? Math.floor((from + to) / 2), from), to - 1);
      const each = await this.#stream.next(this.#subject, at);
      if (each !== undefined && each.seq < found.seq) {
        if (!holds(each)) {
          from = each.seq + 1;
          continue;
        }
        found = each as Stored;
      }
      to = at;
    }
    return found;
  }

  /**
   * Collects messages from an offset on. Undefined if they are not there any more.
   *
   * @param start a message that does not lie behind the offset
   */
  async #collect(
    start: Stored,
    offset: number,
    count: number,
    maxBytes: number,
  ): Promise<HistoryMessage[] | undefined> {
    const reaches = (each: StoredRecord): boolean => this.#has(each) && lastOffset(each.record) >= offset;
    const hasIt = ({ record }: Stored): boolean => record.messages[0]!.offset <= offset;
    // This is right if all messages behind are of this topic, and each is a record of its own.
    const guess = this.#last.seq - (this.#newest - offset);
    const begin = await this.#search(start, this.#last, reaches, hasIt, guess);
    const run = new Run(this.#epoch, offset, count, maxBytes);
    run.add(begin.record);
    let { seq } = begin;
    for (let i = 0; i < MAX_SINGLE_READS && run.isWanting; i++) {
      const isLast = run.next === this.#last.record.messages[0]!.offset;
      const each = isLast ? this.#last : await this.#stream.next(this.#subject, seq + 1);
      if (each?.record === undefined) return undefined;
      run.add(each.record);
      seq = each.seq;
    }
    if (run.isWanting) {
      for await (const record of this.#stream.fetch(this.#subject, seq + 1, run.missing, run.missingBytes)) {
        run.add(record);
        if (!run.isWanting) break;
      }
    }
    return run.isDone ? run.messages : undefined;
  }
}

/** Messages of an epoch, one behind the other, within limits. */
class Run {
  readonly messages: HistoryMessage[] = [];
  readonly #epoch: string;
  /** The offset of the message that is wanted next. */
  next: number;
  missing: number;
  missingBytes: number;
  isDone: boolean = false;
  /** False when nothing more is wanted, because all is there or because a message is missing. */
  isWanting: boolean = true;

  constructor(epoch: string, offset: number, count: number, maxBytes: number) {
    this.#epoch = epoch;
    this.next = offset;
    this.missing = count;
    this.missingBytes = maxBytes;
  }

  /** Takes from a record what is wanted. A record that does not have the next message ends the run. */
  add({ epoch, messages }: HistoryRecord): void {
    const start = this.next - messages[0]!.offset;
    this.isWanting = epoch === this.#epoch && start >= 0 && start < messages.length;
    if (!this.isWanting) return;
    for (const message of messages.slice(start)) {
      const isTooLong = message.bytes.length > this.missingBytes && this.messages.length > 0;
      if (!isTooLong) {
        this.messages.push(message);
        this.next++;
        this.missing--;
        this.missingBytes -= message.bytes.length;
      }
      this.isDone = isTooLong || this.missing === 0;
      if (this.isDone) break;
    }
    this.isWanting = !this.isDone;
  }
}

/**
 * The epoch of a topic that has no history: when the stream was made, and the sequence of the stream's last message. It
 * names the place in front of all that is stored later. Epochs of histories have no `-`.
 */
function emptyEpoch({ created, last }: StreamState): string {
  return `0-${created.toString(36)}-${last.toString(36)}`;
}

const EMPTY_EPOCH = /^0-([0-9a-z]{1,10})-([0-9a-z]{1,10})$/;

/**
 * The sequence in the stream behind which a topic had no history yet. Undefined if a history may have begun and may
 * have been lost since. A stream always keeps the last message of a topic, until it loses all that is in front of that
 * too. So nothing is lost if it has lost nothing from this sequence on.
 */
function placeOf({ epoch, offset }: HistoryPosition, { created, first, last }: StreamState): number | undefined {
  const found = EMPTY_EPOCH.exec(epoch);
  if (found === null || offset !== 0 || Number.parseInt(found[1]!, 36) !== created) return undefined;
  const place = Number.parseInt(found[2]!, 36);
  return place <= last && first <= place + 1 ? place : undefined;
}
