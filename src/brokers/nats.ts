/** The broker over NATS. */
import { Buffer } from "node:buffer";
import { show } from "../app/common/show.ts";
import { checkNames, isObject, isPromise } from "../app/common/validate.ts";
import type { Broker, BrokerStatus } from "../app/pubsub/broker.ts";
import { lastTaken, LinkStatus } from "./link-status.ts";

/**
 * A connection to NATS, as `connect` of `@nats-io/transport-node` or of the package `nats` makes it. The interface has
 * only the members that {@link natsBroker} uses.
 */
export interface NatsClient {
  /** Sends bytes to a subject. */
  publish(subject: string, payload: Uint8Array): void;
  /** Subscribes to a subject. Messages go to the callback in the options. */
  subscribe(subject: string, options: NatsSubscribeOptions): NatsSubscription;
  /** Resolves once the server has taken all that was sent before. */
  flush(): Promise<void>;
  /** Iterates over what happens to the connection, as it happens. */
  status(): AsyncIterable<NatsStatus>;
  /** Resolves when the connection has ended for good, with the error that has ended it, if any. */
  closed(): Promise<void | Error>;
  /** True when the connection has ended for good. */
  isClosed(): boolean;
}

/** Options of `subscribe` of a {@link NatsClient}. */
export interface NatsSubscribeOptions {
  /** Called with `null` and a message for each message, or with an error if the subscription has failed. */
  callback: (error: Error | null, message: { readonly data: Uint8Array }) => void;
}

/** A subscription of a {@link NatsClient}. */
export interface NatsSubscription {
  /** Ends the subscription. */
  unsubscribe(): void;
}

/** An event of the connection of a {@link NatsClient}. */
export interface NatsStatus {
  /** The name of the event, such as `"disconnect"`, `"reconnect"` or `"error"`. */
  readonly type: string;
  /** The error, if the type is `"error"`. */
  readonly error?: Error;
}

/** Options of {@link natsBroker}. */
export interface NatsBrokerOptions {
  /**
   * The first tokens of all subjects, of at most 256 characters and without wildcards. Apps with different prefixes do
   * not get each other's messages. Default: `"spacenode"`.
   */
  prefix?: string | undefined;
}

/** One or more tokens of a subject, without wildcards. */
const PREFIX = /^[^\s.*>]+(\.[^\s.*>]+)*$/;
/** A command line of NATS has at most 4,096 bytes, and the longest topic needs 2,048 of them. */
const MAX_PREFIX_LENGTH = 256;

const AWAY = "The NATS server is away";

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
 * Topics may have characters that are not allowed in a subject. Therefore the last token of a subject is the topic, as
 * UTF-8 in base64url.
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
  checkNames("natsBroker", options, ["prefix"]);
  const { prefix = "spacenode" } = options;
  if (typeof prefix !== "string" || !PREFIX.test(prefix) || prefix.length > MAX_PREFIX_LENGTH) {
    const wanted = `tokens of a NATS subject without wildcards, at most ${MAX_PREFIX_LENGTH} characters`;
    throw new TypeError(`prefix must be ${wanted}; got ${show(prefix)}`);
  }
  if (!isPromise(connection)) checkConnection(connection);
  return new NatsBroker(connection, prefix);
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
  #connection: NatsClient | undefined;
  #onMessage: ((topic: string, bytes: Uint8Array) => void) | undefined;
  /** Settles with the flush that is under way. Undefined if there is none. */
  #flushing: PromiseWithResolvers<void> | undefined;
  /** Settles with the next flush, which is for all that is sent while the present one is under way. */
  #gathering: PromiseWithResolvers<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(given: NatsClient | PromiseLike<NatsClient>, prefix: string) {
    this.#given = given;
    this.#prefix = prefix;
  }

  onMessage(listener: (topic: string, bytes: Uint8Array) => void): void {
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
      if (error === null) return this.#onMessage!(topic, message.data);
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
    if (isConnected) await lastTaken(this.#flushed());
  }

  async #begin(): Promise<void> {
    try {
      const connection = await this.#given;
      checkConnection(connection);
      this.#connection = connection;
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
    for (const each of waiting) each?.reject(reason ?? new Error(AWAY));
  }

  /** @throws Error if the broker is closed, or the link is down */
  #connected(): NatsClient {
    if (this.#closing !== undefined) throw new Error("The broker is closed");
    if (this.#connection === undefined || !this.#status.isConnected) throw new Error(AWAY);
    return this.#connection;
  }

  #subject(topic: string): string {
    return `${this.#prefix}.${Buffer.from(topic).toString("base64url")}`;
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
