/** The histories of topics in JetStream, as the broker over NATS has them. */
import { show } from "../app/common/show.ts";
import { isObject } from "../app/common/validate.ts";
import {
  HISTORY_PREFIX,
  type HistoryLimits,
  type HistoryPage,
  type HistoryPosition,
  type HistoryRange,
} from "../app/pubsub/broker.ts";
import { Appender } from "./nats-appender.ts";
import type { NatsClient, NatsJetStream, NatsMessage } from "./nats-client.ts";
import { isStreamMissing } from "./nats-errors.ts";
import { readPage } from "./nats-page.ts";
import { HistoryStream, liveRecord, liveSubjects, storedSubject } from "./nats-stream.ts";
import type { StreamNeeds } from "./nats-stream-setup.ts";

/** Makes a client of JetStream. */
export type JetStreamMaker = (connection: NatsClient) => NatsJetStream | PromiseLike<NatsJetStream>;

/** What is open on a connection. */
interface Opened {
  readonly stream: HistoryStream;
  readonly appender: Appender;
}

/** Ten years. The server counts in nanoseconds, and cannot count those of 300 years. */
export const MAX_TTL_MS = 315_360_000_000;

/** How often a read begins again because the stream was deleted. */
const MAX_ATTEMPTS = 3;

/** Appends to histories, reads them, and reads live messages. */
export class NatsHistory {
  readonly #prefix: string;
  readonly #ttlMs: number;
  readonly #makeClient: JetStreamMaker;
  /** Rejects each promise that waits for the server. */
  readonly #pending = new Set<(reason: unknown) => void>();
  readonly #idle = new Set<() => void>();
  #opening: Promise<Opened> | undefined;
  #opened: Opened | undefined;

  constructor(prefix: string, ttlMs: number, makeClient: JetStreamMaker) {
    this.#prefix = prefix;
    this.#ttlMs = ttlMs;
    this.#makeClient = makeClient;
  }

  /** Sets the connection, once. That a client cannot be made for it is reported to each call. */
  open(connection: NatsClient): void {
    this.#opening = this.#open(connection);
    this.#opening.catch(() => {});
  }

  async #open(connection: NatsClient): Promise<Opened> {
    const client = await this.#makeClient(connection);
    const isClient = isObject(client) && typeof client.publish === "function" &&
      typeof client.jetstreamManager === "function";
    if (!isClient) throw new TypeError(`jetstream must return a client of JetStream; it returned ${show(client)}`);
    if (connection.requestMany === undefined) throw new TypeError("jetstream needs a connection with requestMany");
    const stream = new HistoryStream(connection, client, this.#prefix);
    return this.#opened = { stream, appender: new Appender(stream) };
  }

  /** Rejects all that waits for the server. Nothing is sent again. */
  cut(reason: unknown): void {
    this.#opened?.stream.cut();
    this.#opened?.appender.cut(reason);
    for (const reject of this.#pending) reject(reason);
  }

  /** Resolves once nothing waits for the server any more. */
  async settled(): Promise<void> {
    if (this.#pending.size > 0) await new Promise<void>((resolve) => this.#idle.add(resolve));
  }

  append(topic: string, messages: readonly Uint8Array[], limits: HistoryLimits): Promise<HistoryPosition> {
    return this.#untilCut(async () => {
      const { appender } = await this.#opening!;
      return await appender.append(nameOf(topic), messages, this.#needs(limits));
    });
  }

  read(topic: string, range: HistoryRange, limits: HistoryLimits): Promise<HistoryPage> {
    return this.#untilCut(async () => {
      const { stream } = await this.#opening!;
      for (let attempt = 1;; attempt++) {
        await stream.ensure(this.#needs(limits));
        try {
          return await readPage(stream, stream.subject(nameOf(topic)), range, limits);
        } catch (error) {
          if (!isStreamMissing(error) || attempt === MAX_ATTEMPTS) throw error;
          stream.forget();
        }
      }
    });
  }

  /** The subjects of the messages of a topic that come live. */
  liveSubjects(topic: string): string {
    return liveSubjects(this.#prefix, nameOf(topic));
  }

  /** Gives each message of a record that has come live. */
  readLive(message: NatsMessage, listener: (bytes: Uint8Array, position: HistoryPosition) => void): void {
    const stored = liveRecord(message);
    if (stored === undefined) return;
    const { seq, record } = stored;
    this.#opened?.appender.heard(storedSubject(message.subject), seq, record);
    for (const { bytes, offset } of record.messages) listener(bytes, { epoch: record.epoch, offset });
  }

  #needs({ size, maxAgeMs }: HistoryLimits): StreamNeeds {
    return { size, ageMs: Math.min(Math.max(maxAgeMs, this.#ttlMs), MAX_TTL_MS) };
  }

  /** The result of some work, which rejects when the link is cut: the client may reject late, or never. */
  async #untilCut<T>(work: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#pending.add(reject);
    work().then(resolve, reject);
    try {
      return await promise;
    } finally {
      this.#pending.delete(reject);
      if (this.#pending.size === 0) {
        for (const resolve of this.#idle) resolve();
        this.#idle.clear();
      }
    }
  }
}

/** True if a broker's topic is the name of a topic with a history. */
export function hasHistory(topic: string): boolean {
  return topic.startsWith(HISTORY_PREFIX);
}

function nameOf(topic: string): string {
  return topic.slice(HISTORY_PREFIX.length);
}
