/** Puts messages at the end of histories in JetStream. */
import { randomBytes } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import type { HistoryPosition } from "../app/pubsub/broker.ts";
import { isConflict, isStreamMissing, isUnanswered } from "./nats-errors.ts";
import { encodeRecord, type HistoryRecord, lastOffset, maxRecordBytes } from "./nats-record.ts";
import type { HistoryStream } from "./nats-stream.ts";
import type { StreamNeeds } from "./nats-stream-setup.ts";

/** The end of a history, to which the next message is put. */
interface Tail {
  /** The sequence of the topic's last message in the stream. 0 if there is none. */
  readonly seq: number;
  readonly epoch: string;
  /** The offset of the last message of the epoch. 0 if there is none. */
  readonly offset: number;
}

/** A call of `append` that is not done. */
interface Call {
  readonly messages: readonly Uint8Array[];
  readonly bytes: number;
  readonly needs: StreamNeeds;
  readonly resolve: (position: HistoryPosition) => void;
  readonly reject: (reason: unknown) => void;
}

/** The calls of one topic, of which the first ones are on their way. */
interface Queue {
  sent: Call[];
  waiting: Call[];
}

/** The most topics whose ends are remembered. */
const MAX_TAILS = 10_000;
/** The messages of several calls are joined up to that many bytes. */
const MAX_JOINED_BYTES = 64 * 1024;
/** More than the headers of a message have. They count in its length. */
const HEADER_BYTES = 1024;
/** How often messages are sent again because another process was faster. */
const MAX_ATTEMPTS = 1_000;
/** How often they are sent again without a pause. */
const HASTY_ATTEMPTS = 10;
const MAX_PAUSE_MS = 10;
const EPOCH_BYTES = 12;

/**
 * Appends messages. For each topic, one message of the stream is on its way, and all calls that have come meanwhile go
 * together after it. The server stores a message only behind the one that this process takes for the last of the topic.
 * So each offset is given once, whichever processes append at the same time.
 */
export class Appender {
  readonly #stream: HistoryStream;
  /** The queue of each topic. */
  readonly #queues = new Map<string, Queue>();
  /** The end of the history under each subject. */
  readonly #tails = new Tails();

  constructor(stream: HistoryStream) {
    this.#stream = stream;
  }

  append(topic: string, messages: readonly Uint8Array[], needs: StreamNeeds): Promise<HistoryPosition> {
    const bytes = maxRecordBytes(messages);
    const most = this.#stream.maxPayload - HEADER_BYTES;
    if (bytes > most) {
      const limit = `${this.#stream.maxPayload} bytes, the max_payload of the NATS server`;
      return Promise.reject(
        new RangeError(`Messages of ${bytes} bytes are too long for one append: the limit is ${limit}`),
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<HistoryPosition>();
    const call: Call = { messages, bytes, needs, resolve, reject };
    const queue = this.#queues.get(topic);
    if (queue !== undefined) {
      queue.waiting.push(call);
    } else {
      const begun: Queue = { sent: [], waiting: [call] };
      this.#queues.set(topic, begun);
      void this.#work(topic, begun);
    }
    return promise;
  }

  /** Notes a message that the server has stored under a subject. */
  heard(subject: string, seq: number, record: HistoryRecord): void {
    if (seq > (this.#tails.get(subject)?.seq ?? 0)) this.#tails.set(subject, tailOf(seq, record));
  }

  /**
   * Rejects all calls. Messages that are on their way may be stored nevertheless. They are not sent again, since the
   * caller may do that.
   */
  cut(reason: unknown): void {
    const queues = [...this.#queues.values()];
    this.#queues.clear();
    for (const { sent, waiting } of queues) {
      for (const { reject } of [...sent, ...waiting]) reject(reason);
    }
  }

  async #work(topic: string, queue: Queue): Promise<void> {
    // The calls of one turn go together.
    await undefined;
    const isCut = (): boolean => this.#queues.get(topic) !== queue;
    while (!isCut() && queue.waiting.length > 0) {
      const calls = queue.sent = takeCalls(queue.waiting);
      try {
        let { offset, epoch } = await this.#store(topic, calls, isCut);
        for (const { messages, resolve } of calls) resolve({ epoch, offset: offset += messages.length });
      } catch (error) {
        for (const { reject } of calls) reject(error);
      }
    }
    if (!isCut()) this.#queues.delete(topic);
  }

  /** Stores the messages of some calls as one. Resolves to the position in front of them. */
  async #store(topic: string, calls: readonly Call[], isCut: () => boolean): Promise<HistoryPosition> {
    const messages = calls.flatMap((call) => call.messages);
    const needs = {
      size: Math.max(...calls.map((call) => call.needs.size)),
      ageMs: Math.max(...calls.map((call) => call.needs.ageMs)),
    };
    for (let attempt = 1, known: Tail | undefined;; attempt++) {
      await this.#stream.ensure(needs);
      const subject = this.#stream.subject(topic);
      let tail: Tail;
      try {
        tail = known = this.#tails.get(subject) ?? await this.#look(subject, known);
        // If the calls were rejected meanwhile, nobody expects the messages to be stored any more.
        if (isCut()) throw new Error("The NATS server is away");
        const payload = encodeRecord(tail.epoch, tail.offset + 1, messages);
        const seq = await this.#stream.publish(subject, payload, tail.seq);
        this.#tails.set(subject, { ...tail, seq, offset: tail.offset + messages.length });
      } catch (error) {
        // What was heard meanwhile may be the end.
        if (this.#tails.get(subject) === known) this.#tails.delete(subject);
        if (isStreamMissing(error) || isUnanswered(error)) this.#stream.forget();
        else if (!isConflict(error)) throw error;
        if (attempt === MAX_ATTEMPTS) {
          throw new Error(`The messages are not stored: each of ${attempt} attempts failed`, { cause: error });
        }
        if (attempt > HASTY_ATTEMPTS) await wait(Math.random() * MAX_PAUSE_MS);
        continue;
      }
      // The stream may have gone just before. Then nobody finds the messages under their subject.
      if (tail.seq === 0) await this.#stream.state();
      return tail;
    }
  }

  /**
   * Finds the end of a history.
   *
   * @param known what was taken for the end before
   */
  async #look(subject: string, known: Tail | undefined): Promise<Tail> {
    // A history that begins must not begin in a stream that is gone.
    await this.#stream.state();
    const { seq, record } = await this.#stream.last(subject) ?? { seq: 0 };
    // The end lies before the end that was known when a server has lost its last messages. Their offsets must not be
    // given again in the same epoch.
    const isKept = record !== undefined && !(record.epoch === known?.epoch && seq < known.seq);
    const tail = isKept ? tailOf(seq, record) : { seq, epoch: randomBytes(EPOCH_BYTES).toString("hex"), offset: 0 };
    this.#tails.set(subject, tail);
    return tail;
  }
}

/**
 * Remembers ends, and forgets those that were not used for long. Two maps take turns, because Bun takes the longer to
 * find the first entry of a map, the more have been removed there.
 */
class Tails {
  #recent = new Map<string, Tail>();
  #older = new Map<string, Tail>();

  get(subject: string): Tail | undefined {
    return this.#recent.get(subject) ?? this.#older.get(subject);
  }

  set(subject: string, tail: Tail): void {
    this.#recent.set(subject, tail);
    if (this.#recent.size < MAX_TAILS / 2) return;
    this.#older = this.#recent;
    this.#recent = new Map();
  }

  delete(subject: string): void {
    this.#recent.delete(subject);
    this.#older.delete(subject);
  }
}

function tailOf(seq: number, record: HistoryRecord): Tail {
  return { seq, epoch: record.epoch, offset: lastOffset(record) };
}

/** Takes the calls whose messages go together: one in any case. */
function takeCalls(waiting: Call[]): Call[] {
  let bytes = 0;
  const tooMany = waiting.findIndex((call, i) => (bytes += call.bytes) > MAX_JOINED_BYTES && i > 0);
  return waiting.splice(0, tooMany === -1 ? waiting.length : tooMany);
}
