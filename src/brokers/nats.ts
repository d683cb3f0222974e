/** The broker over NATS. */
import { show } from "../app/common/show.ts";
import { checkNames, inRange, isObject, isPromise, throwInvalidOption } from "../app/common/validate.ts";
import type { Broker, BrokerStatus, HistoryPosition } from "../app/pubsub/broker.ts";
import { lastTaken, LinkStatus } from "./link-status.ts";
import type { NatsClient, NatsJetStream, NatsMessage, NatsSubscribeOptions, NatsSubscription } from "./nats-client.ts";
import { hasHistory, MAX_TTL_MS, NatsHistory } from "./nats-history.ts";
import { subjectOf } from "./nats-stream.ts";

/** Options of {@link natsBroker}. */
export interface NatsBrokerOptions {
  /**
   * The first tokens of all subjects, of at most 256 characters and without wildcards. Apps with different prefixes do
   * not get each other's messages. Default: `"spacenode"`.
   */
  prefix?: string | undefined;
  /**
   * The function `jetstream` of `@nats-io/jetstream`, or one that makes such a client of the connection in another way,
   * such as `(connection) => jetstream(connection, { domain: "hub" })`. With it, the broker keeps the histories of
   * topics. See {@link natsBroker}. Default: none, so topics have no history.
   */
  jetstream?(connection: NatsClient): NatsJetStream | PromiseLike<NatsJetStream>;
  /**
   * How long a history is kept after its last message, in milliseconds, from 1,000 on. It is at least as long as
   * messages of any topic are kept. A topic whose history has gone begins a new one, and positions in the old one are
   * not complete. Default: 604,800,000, which is a week.
   */
  historyTtlMs?: number | undefined;
}

/** One or more tokens of a subject, without wildcards. */
const PREFIX = /^[^\s.*>]+(\.[^\s.*>]+)*$/;
/** A command line of NATS has at most 4,096 bytes, and the longest topic needs 2,048 of them. */
const MAX_PREFIX_LENGTH = 256;

const WEEK_MS = 604_800_000;

const AWAY = "The NATS server is away";
const CLOSED = "The broker is closed";

/**
 * Makes a broker over a connection to NATS.
 *
 * The app uses the connection, but does not own it: you may use it for other things, and closing it is left to you. The
 * options of the connection decide how it reconnects. By default it ends for good after ten attempts, so set
 * `maxReconnectAttempts: -1`. If you set `waitOnFirstConnect: true` and hand in the promise of the connection without
 * awaiting it, the app starts even while the server is down.
 *
 * Each message is delivered at most once, and messages of one process stay in order. Messages that are published while
 * the server is away do not reach other processes, and neither do batches of messages that are longer than the server's
 * `max_payload`, 1 MiB by default.
 *
 * Topics may have characters that are not allowed in a subject. Therefore a token of each subject is the topic, as
 * UTF-8 in base64url.
 *
 * With the option `jetstream`, the broker keeps the histories of topics in JetStream. That needs nats-server 2.9 or
 * later, started with `-js`, and the function `jetstream` of `@nats-io/jetstream`:
 *
 * ```ts
 * import { jetstream } from "@nats-io/jetstream";
 *
 * const app = await createApp({ broker: natsBroker(connection, { jetstream }) });
 * ```
 *
 * All histories of a prefix are in one stream. The broker makes the stream when it is used first, on one server and in
 * files, and raises its limits when an app wants to keep more. To have replicas, a limit on all bytes, or memory as
 * storage, make the stream before, under any name:
 *
 * ```sh
 * nats stream add HISTORIES --subjects='spacenode.*.*.history' --replicas=3 --max-msgs-per-subject=1200 --max-age=7d \
 *   --republish-source='spacenode.*.*.history' \
 *   --republish-destination='spacenode.{{wildcard(1)}}.{{wildcard(2)}}.live' --defaults
 * ```
 *
 * A stream that you have made is not changed. If it does not fit, `append` and `read` reject, and the error says what
 * has to be different. `max_msgs_per_subject` must be at least the size of any history, and better a fifth more, so
 * that nothing goes while it is read; `max_age` must be at least `historyTtlMs`.
 *
 * A history lives as long as its last message is in the stream. When the stream is deleted, is purged, or has lost its
 * data, histories begin again in a new epoch, and older positions are not complete. Two losses do not show, so that a
 * position may seem complete although messages behind it were lost:
 *
 * - A server loses its last messages in a power cut, or is set back to a backup. By default it syncs its files every
 *   two minutes (`sync_interval`); replicas protect from that. A process that has appended to the topic, or has heard
 *   it, notices the loss when it appends next, unless others have appended as much meanwhile.
 * - All messages of one topic are deleted by hand, and a client comes back that has left before the first of them.
 *
 * Messages expire by the clock of the server.
 *
 * @param connection what `connect` returns: the connection, or a promise of it
 * @param options see {@link NatsBrokerOptions}
 * @returns a broker for the option `broker` of {@link createApp}, for one app
 * @throws TypeError if the argument is not such a connection, if it has been closed, or if an option is not valid
 * @example
 * ```ts
 * import { connect } from "@nats-io/transport-node";
 * import { createApp, natsBroker } from "@spacenode/spacenode";
 *
 * const connection = connect({ servers: "localhost:4222", waitOnFirstConnect: true, maxReconnectAttempts: -1 });
 * const app = await createApp({ broker: natsBroker(connection) });
 *
 * app.ws("/news", (socket) => {
 *   socket.subscribe("news");
 *   socket.on("message", (data) => socket.publish("news", data));
 * });
 *
 * await app.listen(3000);
 * ```
 */
export function natsBroker(
  connection: NatsClient | PromiseLike<NatsClient>,
  options: NatsBrokerOptions = {},
): Broker {
  checkNames("natsBroker", options, ["prefix", "jetstream", "historyTtlMs"]);
  const { prefix = "spacenode", jetstream } = options;
  if (typeof prefix !== "string" || !PREFIX.test(prefix) || prefix.length > MAX_PREFIX_LENGTH) {
    const wanted = `tokens of a NATS subject without wildcards, at most ${MAX_PREFIX_LENGTH} characters`;
    throw new TypeError(`prefix must be ${wanted}; got ${show(prefix)}`);
  }
  if (jetstream !== undefined && typeof jetstream !== "function") {
    throwInvalidOption("jetstream", jetstream, "the function jetstream of @nats-io/jetstream");
  }
  const ttlMs = inRange("historyTtlMs", options.historyTtlMs, WEEK_MS, 1_000, MAX_TTL_MS);
  if (!isPromise(connection)) checkConnection(connection);
  return new NatsBroker(connection, prefix, jetstream && new NatsHistory(prefix, ttlMs, jetstream));
}

function checkConnection(connection: NatsClient): void {
  const names = ["publish", "subscribe", "flush", "status", "closed", "isClosed"] as const;
  const isConnection = isObject(connection) && names.every((name) => typeof connection[name] === "function");
  if (isConnection && !connection.isClosed()) return;
  const given = isConnection ? "one that has been closed" : show(connection);
  throw new TypeError(
    `natsBroker takes a connection from connect of @nats-io/transport-node, or its promise; got ${given}`,
  );
}

class NatsBroker implements Broker {
  readonly #given: NatsClient | PromiseLike<NatsClient>;
  readonly #prefix: string;
  readonly #status = new LinkStatus();
  readonly #subscriptions = new Map<string, NatsSubscription>();
  readonly #history: NatsHistory | undefined;
  /** A broker without JetStream does not have these methods, so that the app can tell. */
  readonly append?: NonNullable<Broker["append"]>;
  readonly read?: NonNullable<Broker["read"]>;
  #connection: NatsClient | undefined;
  #onMessage: ((topic: string, bytes: Uint8Array, position?: HistoryPosition) => void) | undefined;
  /** Settles with the flush that is under way. Undefined if there is none. */
  #flushing: PromiseWithResolvers<void> | undefined;
  /** Settles with the next flush, which is for all that is sent while the present one is under way. */
  #gathering: PromiseWithResolvers<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(given: NatsClient | PromiseLike<NatsClient>, prefix: string, history: NatsHistory | undefined) {
    this.#given = given;
    this.#prefix = prefix;
    this.#history = history;
    if (history === undefined) return;
    this.append = async (topic, messages, limits) => {
      this.#connected();
      return await history.append(topic, messages, limits);
    };
    this.read = async (topic, range, limits) => {
      this.#connected();
      return await history.read(topic, range, limits);
    };
  }

  onMessage(listener: (topic: string, bytes: Uint8Array, position?: HistoryPosition) => void): void {
    if (this.#onMessage !== undefined) throw new Error("This broker has an app already: make another for each app");
    this.#onMessage = listener;
    void this.#begin();
  }

  onStatus(listener: (status: BrokerStatus) => void): void {
    this.#status.listen(listener);
  }

  async publish(topic: string, bytes: Uint8Array): Promise<void> {
    this.#connected().publish(this.#subject(topic), bytes);
    await this.#flushed();
  }

  async subscribe(topic: string): Promise<void> {
    const connection = this.#connected();
    let refusal: Error | undefined;
    const callback: NatsSubscribeOptions["callback"] = (error, message) => {
      if (error === null) return this.#deliver(topic, message);
      // The server may refuse a subscription that its rules forbid. The client ends the subscription then.
      refusal = error;
      this.#subscriptions.delete(topic);
    };
    if (!this.#subscriptions.has(topic)) {
      this.#subscriptions.set(topic, connection.subscribe(this.#subject(topic), { callback }));
    }
    // Even for a subscription that is there already, the flush is awaited: the client may just have sent it again over
    // a new connection.
    await this.#flushed();
    if (refusal !== undefined) throw refusal;
  }

  async unsubscribe(topic: string): Promise<void> {
    // The client ends the subscription even while the server is away: it does not subscribe again when it reconnects.
    this.#subscriptions.get(topic)?.unsubscribe();
    this.#subscriptions.delete(topic);
    this.#connected();
    await this.#flushed();
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    const { isConnected } = this.#status;
    this.#status.listen(() => {});
    for (const subscription of this.#subscriptions.values()) subscription.unsubscribe();
    this.#subscriptions.clear();
    if (isConnected) await lastTaken(Promise.all([this.#flushed(), this.#history?.settled()]));
    this.#history?.cut(new Error(CLOSED));
  }

  async #begin(): Promise<void> {
    try {
      const connection = await this.#given;
      checkConnection(connection);
      this.#connection = connection;
      this.#history?.open(connection);
      this.#status.set(true);
      this.#follow(connection).catch((error) => this.#end(error));
      this.#end(await connection.closed());
    } catch (error) {
      this.#end(error);
    }
  }

  /** Follows the events of the connection. They end with the connection, but those of the package `nats` never end. */
  async #follow(connection: NatsClient): Promise<void> {
    let reason: Error | undefined;
    for await (const { type, error } of connection.status()) {
      if (this.#closing !== undefined) break;
      if (type === "error") reason = error;
      if (type === "reconnect") {
        reason = undefined;
        this.#status.set(true);
      }
      if (type === "disconnect" || type === "reconnecting") this.#end(reason);
    }
  }

  /**
   * Notes that the link is down, and rejects all promises that wait for a flush: the client may reject them late, or
   * never.
   */
  #end(reason: unknown): void {
    this.#status.set(false, reason);
    const waiting = [this.#flushing, this.#gathering];
    this.#flushing = this.#gathering = undefined;
    const error = reason ?? new Error(AWAY);
    for (const each of waiting) each?.reject(error);
    this.#history?.cut(error);
  }

  /** @throws Error if the broker is closed, or the link is down */
  #connected(): NatsClient {
    if (this.#closing !== undefined) throw new Error(CLOSED);
    if (this.#connection === undefined || !this.#status.isConnected) throw new Error(AWAY);
    return this.#connection;
  }

  #subject(topic: string): string {
    const isLive = this.#history !== undefined && hasHistory(topic);
    return isLive ? this.#history.liveSubjects(topic) : subjectOf(this.#prefix, topic);
  }

  #deliver(topic: string, message: NatsMessage): void {
    if (this.#history === undefined || !hasHistory(topic)) return this.#onMessage!(topic, message.data);
    this.#history.readLive(message, (bytes, position) => this.#onMessage!(topic, bytes, position));
  }

  /**
   * Resolves once the server has taken all that was sent before. However many callers wait, only one flush at a time is
   * under way.
   */
  #flushed(): Promise<void> {
    if (this.#flushing === undefined) return this.#flush(Promise.withResolvers());
    this.#gathering ??= Promise.withResolvers();
    return this.#gathering.promise;
  }

  #flush(batch: PromiseWithResolvers<void>): Promise<void> {
    const settle = (settleBatch: () => void): void => {
      // If the link was cut in the meantime, the batch is another one, and this one was rejected already.
      if (batch !== this.#flushing) return;
      this.#flushing = undefined;
      settleBatch();
      const next = this.#gathering;
      this.#gathering = undefined;
      if (next !== undefined) void this.#flush(next);
    };
    this.#flushing = batch;
    this.#connection!.flush().then(() => settle(batch.resolve), (error) => settle(() => batch.reject(error)));
    return batch.promise;
  }
}
