/** The stream of JetStream that has the histories of all topics of a prefix. */
import { Buffer } from "node:buffer";
import type { NatsClient, NatsJetStream, NatsJetStreamManager, NatsMessage, NatsMessageQuery } from "./nats-client.ts";
import { isMessageMissing, StreamGoneError } from "./nats-errors.ts";
import { decodeRecord, type HistoryRecord } from "./nats-record.ts";
import { type FittingStream, setUpStream, type StreamNeeds } from "./nats-stream-setup.ts";

/** A message of the stream. */
export interface StoredRecord {
  readonly seq: number;
  /** When the server has stored the message, by its own clock, in milliseconds. */
  readonly time: number;
  /** Undefined if the message is not from a broker. */
  readonly record: HistoryRecord | undefined;
}

/** The state of a stream at one moment. */
export interface StreamState {
  /** When the stream was made, in milliseconds. */
  readonly created: number;
  /** The sequence of the first message that is kept: `last` + 1 if none is. */
  readonly first: number;
  /** The sequence of the last message that was stored. */
  readonly last: number;
}

const NS_PER_MS = 1e6;
const DEFAULT_MAX_PAYLOAD = 1024 * 1024;
/** The server removes a consumer by itself if nobody uses it for that long. */
const CONSUMER_EXPIRY_MS = 10_000;
const FETCH_TIMEOUT_MS = 5_000;
/** More than the headers and the reply subject of a message count in a fetch. */
const FETCH_OVERHEAD_BYTES = 1024;
/** A response that has taken longer tells little about the clock of the server. */
const MAX_CLOCK_DELAY_MS = 1_000;

/** The stream of a prefix. */
export class HistoryStream {
  readonly #connection: NatsClient;
  readonly #client: NatsJetStream;
  readonly #prefix: string;
  #manager: NatsJetStreamManager | undefined;
  /** The stream, once it was there. */
  #found: FittingStream | undefined;
  /** How often the stream may have gone since the start. */
  #losses = 0;
  /** The value of `#losses` when the check began that has found the stream. */
  #foundAfter = 0;
  /** Settles when the last check of the stream is over. */
  #checking: Promise<void> = Promise.resolve();
  /** How far the clock of the server is ahead of the one of this process. Undefined if that is not known. */
  #aheadMs: number | undefined;

  constructor(connection: NatsClient, client: NatsJetStream, prefix: string) {
    this.#connection = connection;
    this.#client = client;
    this.#prefix = prefix;
  }

  /** The most bytes that the server takes in one message. */
  get maxPayload(): number {
    return this.#connection.info?.max_payload ?? DEFAULT_MAX_PAYLOAD;
  }

  /**
   * The subject of a topic in the stream. It names the life of the stream, so that no sequence of a stream that was
   * deleted is taken for one of the stream that was made anew.
   */
  subject(topic: string): string {
    return `${subjectOf(this.#prefix, topic)}.${this.#found!.created.toString(36)}.history`;
  }

  /** The time of the server, in milliseconds. */
  now(): number {
    return Date.now() + (this.#aheadMs ?? 0);
  }

  /**
   * Makes sure that the stream is there and keeps what is needed.
   *
   * @throws Error if the server has no JetStream, or if the stream is one that does not fit
   */
  async ensure(needs: StreamNeeds): Promise<void> {
    if (this.#keeps(needs)) return;
    await (this.#checking = this.#checking.catch(() => {}).then(() => this.#check(needs)));
  }

  #keeps({ size, ageMs }: StreamNeeds): boolean {
    return this.#found !== undefined && this.#foundAfter === this.#losses && this.#found.kept.size >= size &&
      this.#found.kept.ageMs >= ageMs;
  }

  async #check(needs: StreamNeeds): Promise<void> {
    // Another call may have checked the stream just before.
    if (this.#keeps(needs)) return;
    // The check that the manager makes by default is for the account, which may not be allowed to ask.
    this.#manager ??= await this.#client.jetstreamManager(false);
    const losses = this.#losses;
    this.#found = await setUpStream(this.#manager, this.#prefix, needs);
    this.#foundAfter = losses;
    // Only with a consumer do old servers tell the time.
    if (this.#aheadMs === undefined) this.#removeConsumer(await this.#addConsumer(this.subject("topic"), 1));
  }

  /** Notes that the stream may not be there any more. The next call of `ensure` checks that. */
  forget(): void {
    this.#losses++;
  }

  /**
   * Notes that the link is down. The next link may lead to another server, or to a server that has lost its data. A
   * check whose response is lost with the link keeps no later check waiting.
   */
  cut(): void {
    this.forget();
    this.#checking = Promise.resolve();
  }

  /**
   * Stores a message.
   *
   * @param previous the sequence of the last message of the subject; 0 if there is none
   * @returns the sequence of the message
   */
  async publish(subject: string, payload: Uint8Array, previous: number): Promise<number> {
    const { seq } = await this.#client.publish(subject, payload, { expect: { lastSubjectSequence: previous } });
    return seq;
  }

  /** Reads the last message of a subject. `state` comes first. */
  last(subject: string): Promise<StoredRecord | undefined> {
    return this.#message({ last_by_subj: subject });
  }

  /** Reads the first message of a subject from a sequence on. */
  next(subject: string, seq: number): Promise<StoredRecord | undefined> {
    return this.#message({ seq, next_by_subj: subject });
  }

  async #message(query: NatsMessageQuery): Promise<StoredRecord | undefined> {
    try {
      const message = await this.#manager!.streams.getMessage(this.#found!.name, query);
      return message === null
        ? undefined
        : { seq: message.seq, time: message.time.getTime(), record: decodeRecord(message.data) };
    } catch (error) {
      // The package nats rejects where @nats-io/jetstream gives null.
      if (isMessageMissing(error)) return undefined;
      throw error;
    }
  }

  /**
   * Reads the state of the stream. This has to come before messages are read: nats-server 2.9.10 ends with a panic when
   * it is asked for a message of a stream that it is making anew. See `setUpStream`.
   *
   * @throws StreamGoneError if the stream was deleted and made anew
   */
  async state(): Promise<StreamState> {
    const { name, created } = this.#found!;
    const { created: present, state } = await this.#manager!.streams.info(name);
    if (Date.parse(present) !== created) {
      this.forget();
      throw new StreamGoneError();
    }
    return {
      created,
      first: state.messages === 0 ? state.last_seq + 1 : state.first_seq,
      last: state.last_seq,
    };
  }

  /**
   * Reads the messages of a subject from a sequence on, until the loop over them ends.
   *
   * @param count the most messages
   * @param maxBytes ends the messages soon after that many bytes
   */
  async *fetch(subject: string, seq: number, count: number, maxBytes: number): AsyncGenerator<HistoryRecord> {
    const consumer = await this.#addConsumer(subject, seq);
    try {
      const next = `${this.#client.apiPrefix}.CONSUMER.MSG.NEXT.${this.#found!.name}.${consumer}`;
      const overhead = count * (FETCH_OVERHEAD_BYTES + 2 * subject.length);
      // The server sends nothing if the first message is longer than it may be.
      const wanted = {
        batch: count,
        max_bytes: Math.min(maxBytes + overhead + this.maxPayload, Number.MAX_SAFE_INTEGER),
        expires: FETCH_TIMEOUT_MS * NS_PER_MS,
      };
      const messages = await this.#connection.requestMany!(next, JSON.stringify(wanted), {
        strategy: "timer",
        maxWait: FETCH_TIMEOUT_MS,
        noMux: true,
      });
      for await (const { data, headers } of messages) {
        // A status tells that there is nothing more.
        if (headers !== undefined && headers.code >= 400) break;
        const record = decodeRecord(data);
        if (record !== undefined) yield record;
      }
    } finally {
      this.#removeConsumer(consumer);
    }
  }

  async #addConsumer(subject: string, seq: number): Promise<string> {
    const sentAt = Date.now();
    const { name, created } = await this.#manager!.consumers.add(this.#found!.name, {
      ack_policy: "none",
      deliver_policy: "by_start_sequence",
      opt_start_seq: seq,
      filter_subject: subject,
      inactive_threshold: CONSUMER_EXPIRY_MS * NS_PER_MS,
      mem_storage: true,
      num_replicas: 1,
    });
    // The server has made the consumer between the request and the response.
    const receivedAt = Date.now();
    if (this.#aheadMs === undefined || receivedAt - sentAt < MAX_CLOCK_DELAY_MS) {
      this.#aheadMs = Date.parse(created) - (sentAt + receivedAt) / 2;
    }
    return name;
  }

  #removeConsumer(name: string): void {
    // The server removes the consumer later if the request is lost.
    this.#manager!.consumers.delete(this.#found!.name, name).catch(() => {});
  }
}

/**
 * The subjects to which the server publishes what it has stored of a topic, whatever the life of the stream. Their last
 * token and that of the stream's subjects are not base64url of UTF-8. So they are the subject of no plain topic,
 * whatever the prefixes are.
 */
export function liveSubjects(prefix: string, topic: string): string {
  return `${subjectOf(prefix, topic)}.*.live`;
}

/** A record that the server has published, and its sequence. Undefined if a message is something else. */
export function liveRecord({ data, headers }: NatsMessage): { seq: number; record: HistoryRecord } | undefined {
  const record = decodeRecord(data);
  const seq = Number(headers?.get("Nats-Sequence"));
  return record !== undefined && seq > 0 ? { seq, record } : undefined;
}

/** The subject in the stream of a message that the server has published. */
export function storedSubject(liveSubject: string): string {
  return liveSubject.replace(/live$/, "history");
}

/** The subject of a plain topic. A topic may have characters that no subject may have. */
export function subjectOf(prefix: string, topic: string): string {
  return `${prefix}.${Buffer.from(topic).toString("base64url")}`;
}
