import { Buffer } from "node:buffer";
import { show } from "../app/common/show.ts";
import { checkNames, isObject, isPromise } from "../app/common/validate.ts";
import type { Broker, BrokerStatus } from "../app/pubsub/broker.ts";
import { lastTaken, LinkStatus } from "./link-status.ts";

/** What is used of a connection of `@nats-io/transport-node`, or of the package `nats`, as `connect` makes it. */
export interface NatsClient {
  /** Sends bytes to a subject. */
  publish(subject: string, payload: Uint8Array): void;
  /** Subscribes to a subject. */
  subscribe(subject: string, options: NatsSubscribeOptions): NatsSubscription;
  /** Settles once the server has taken all that was sent before. */
  flush(): Promise<void>;
  /** What happens to the connection. */
  status(): AsyncIterable<NatsStatus>;
  /** Settles when it has ended for good. */
  closed(): Promise<void | Error>;
  /** Whether it has. */
  isClosed(): boolean;
}

/** How a subject is subscribed to. */
export interface NatsSubscribeOptions {
  /** Gets each message, or why there will be none. */
  callback: (error: Error | null, message: { readonly data: Uint8Array }) => void;
}

/** A subscription of a {@link NatsClient}. */
export interface NatsSubscription {
  /** Ends it. */
  unsubscribe(): void;
}

/** Something that has happened to the connection of a {@link NatsClient}. */
export interface NatsStatus {
  /** Such as `"disconnect"`, `"reconnect"` and `"error"`. */
  readonly type: string;
  /** With `"error"`: what has gone wrong. */
  readonly error?: Error;
}

/** Options of `natsBroker`. */
export interface NatsBrokerOptions {
  /** The first tokens of all subjects. Apps with other prefixes do not hear each other. Default `"spacenode"`. */
  prefix?: string | undefined;
}

/** Tokens of a subject, without wildcards. The line of a command has at most 4,096 bytes, of which the longest topic needs 2,048. */
const PREFIX = /^[^\s.*>]+(\.[^\s.*>]+)*$/;
const MAX_PREFIX_LENGTH = 256;

const AWAY = "The NATS server is away";

/**
 * A broker over a connection to NATS.
 *
 * A topic may have any characters, a subject may not: the topic's UTF-8 in base64url is the subject's last token. The connection stays yours, to use and to
 * close. How often it is tried again is as its options say; by default it ends for good after ten attempts, so set `maxReconnectAttempts: -1`. With
 * `waitOnFirstConnect: true`, and the promise of the connection handed in as it is, the app starts even while the server is down.
 *
 * Messages come at most once, in the order in which a process has published them. What is published while the server is away is lost to other processes, and
 * so is what is longer than the server's `max_payload`, 1 MiB by default.
 *
 * @param connection of `connect`, or the promise of it
 * @returns what `createApp({ broker })` takes, for one app
 * @throws TypeError for what is no such connection, and for a wrong option
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
  /** Settles with the flush that is under way. */
  #flushing: PromiseWithResolvers<void> | undefined;
  /** Settles with the flush after it, which is for all that is sent in the meantime. */
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
      // The server may refuse what its rules forbid; the client ends the subscription then.
      refusal = error;
      this.#subscriptions.delete(topic);
    };
    if (!this.#subscriptions.has(topic)) {
      this.#subscriptions.set(topic, connection.subscribe(this.#subject(topic), { callback }));
    }
    // What is there already may just have been asked for again, by the client, over a new connection.
    await this.#flushed();
    if (refusal !== undefined) throw refusal;
  }

  async unsubscribe(topic: string): Promise<void> {
    // The client forgets it even while the server is away.
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

  /** What the client tells ends with the connection, or with the package `nats` goes on for ever. */
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

  /** Who waits is told here: the client may tell them late, or never. */
  #end(reason: unknown): void {
    this.#status.set(false, reason);
    const waiting = [this.#flushing, this.#gathering];
    this.#flushing = this.#gathering = undefined;
    for (const each of waiting) each?.reject(reason ?? new Error(AWAY));
  }

  #connected(): NatsClient {
    if (this.#closing !== undefined) throw new Error("The broker is closed");
    if (this.#connection === undefined || !this.#status.isConnected) throw new Error(AWAY);
    return this.#connection;
  }

  #subject(topic: string): string {
    return `${this.#prefix}.${Buffer.from(topic).toString("base64url")}`;
  }

  /** Settles once the server has taken all that was sent before: however many wait, one flush at a time is under way. */
  #flushed(): Promise<void> {
    if (this.#flushing === undefined) return this.#flush(Promise.withResolvers());
    this.#gathering ??= Promise.withResolvers();
    return this.#gathering.promise;
  }

  #flush(batch: PromiseWithResolvers<void>): Promise<void> {
    const settle = (tell: () => void): void => {
      // Otherwise the connection was cut meanwhile, and they have been told.
      if (batch !== this.#flushing) return;
      this.#flushing = undefined;
      tell();
      const next = this.#gathering;
      this.#gathering = undefined;
      if (next !== undefined) void this.#flush(next);
    };
    this.#flushing = batch;
    this.#connection!.flush().then(() => settle(batch.resolve), (error) => settle(() => batch.reject(error)));
    return batch.promise;
  }
}
