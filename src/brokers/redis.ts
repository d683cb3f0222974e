/** The broker over the Pub/Sub and the streams of Redis. */
import { Buffer } from "node:buffer";
import { show } from "../app/common/show.ts";
import { checkNames, isObject, limit, throwInvalidOption } from "../app/common/validate.ts";
import {
  type Broker,
  type BrokerStatus,
  HISTORY_PREFIX,
  type HistoryLimits,
  type HistoryPage,
  type HistoryPosition,
  type HistoryRange,
} from "../app/pubsub/broker.ts";
import { lastTaken, LinkStatus } from "./link-status.ts";
import { readLive, RedisHistories, type RedisHistorySettings } from "./redis-history.ts";
import {
  type IoRedisClient,
  IoRedisLink,
  type NodeRedisClient,
  NodeRedisLink,
  type RedisLink,
  type RedisLinkEvents,
} from "./redis-links.ts";

/** A client that {@link redisBroker} takes: one of node-redis or of ioredis. */
export type RedisClient = NodeRedisClient | IoRedisClient;

/** Options of {@link redisBroker}. */
export interface RedisBrokerOptions {
  /**
   * The start of the names of all channels and keys. Apps with different prefixes do not get each other's messages.
   * Default: `"spacenode:"`.
   */
  prefix?: string | undefined;
  /**
   * How long Redis keeps the history of a topic after its last message, in milliseconds. It is never kept shorter than
   * its messages. Then the topic begins anew, and what a client knows of the old history does not count any more. All
   * processes need the same value. Default: 7 days.
   */
  historyTtlMs?: number | undefined;
  /**
   * True if the server loses nothing of what it has confirmed, however it dies: with `appendonly yes` and
   * `appendfsync always`, without failover to a replica, and with `maxmemory-policy noeviction`. Histories then outlive
   * the server. By default they begin anew whenever the server has: it might have lost their last messages, and would
   * give new ones the same positions. All processes need the same value.
   */
  durable?: boolean | undefined;
}

const DAY_MS = 24 * 3_600_000;

/**
 * Makes a broker over the Pub/Sub of a Redis server, or of a server that speaks the same protocol.
 *
 * The broker does not send its commands over the client that you hand in. It makes two connections of its own with
 * `client.duplicate()`, one to publish and one to subscribe. In this way it never waits behind your commands, and the
 * library neither keeps nor repeats messages for a server that is away. The client itself need not be connected, and
 * closing it is left to you. The options of the client decide how the connections reconnect: `socket.reconnectStrategy`
 * of node-redis, `retryStrategy` of ioredis.
 *
 * RESP2 and RESP3 both work. The broker publishes with PUBLISH and not with SPUBLISH: sharded Pub/Sub spreads the
 * channels over the nodes of a Redis Cluster, and needs a client that knows all nodes. In a cluster, hand in a client
 * of one node: PUBLISH reaches the subscribers of all nodes.
 *
 * Each message is delivered at most once, and messages of one process stay in order. Messages that are published while
 * the server is away do not reach other processes.
 *
 * The history of a topic is one stream, under a key that begins with the prefix. One script appends to the stream and
 * publishes at once, so the server must allow EVAL and INFO, and be Redis 6.2 or later, or compatible with it. In a
 * cluster, the one node must have the slots of all keys: a prefix with a hash tag, such as `"{chat}:"`, puts them into
 * one slot. A history that the server evicts, or that somebody deletes, begins anew.
 *
 * @param client a client of node-redis (`createClient`) or of ioredis (`new Redis`)
 * @param options see {@link RedisBrokerOptions}
 * @returns a broker for the option `broker` of {@link createApp}, for one app
 * @throws TypeError if the argument is not such a client, if it is a client of a cluster, or if an option is not valid
 * @example
 * ```ts
 * import { createApp, redisBroker } from "@spacenode/spacenode";
 * import { createClient } from "redis"; // or: import { Redis } from "ioredis";
 *
 * // With ioredis: new Redis("redis://localhost:6379", { lazyConnect: true })
 * const client = createClient({ url: "redis://localhost:6379" });
 * const app = await createApp({ broker: redisBroker(client) });
 *
 * app.ws("/news", (socket) => {
 *   socket.subscribe("news");
 *   socket.on("message", (data) => socket.publish("news", data));
 * });
 *
 * await app.listen(3000);
 * ```
 */
export function redisBroker(client: RedisClient, options: RedisBrokerOptions = {}): Broker {
  checkNames("redisBroker", options, ["prefix", "historyTtlMs", "durable"]);
  const { prefix = "spacenode:", durable = false } = options;
  if (typeof prefix !== "string") throwInvalidOption("prefix", prefix, "a string");
  if (typeof durable !== "boolean") throwInvalidOption("durable", durable, "true or false");
  const historyTtlMs = limit("historyTtlMs", options.historyTtlMs, 7 * DAY_MS);
  return new RedisBroker(linkMaker(client), { prefix, historyTtlMs, durable });
}

type LinkMaker = (events: RedisLinkEvents) => RedisLink;

/**
 * Finds out of which library a client is: the property that says whether it is ready is `isReady` in one, `status` in
 * the other.
 */
function linkMaker(client: RedisClient): LinkMaker {
  const isClient = isObject(client) && typeof client.duplicate === "function" && typeof client.publish === "function";
  const isOfOne = isClient && !isOfMany(client);
  if (isOfOne && "isReady" in client) return (events) => new NodeRedisLink(client, events);
  if (isOfOne && "status" in client) return (events) => new IoRedisLink(client, events);
  throw new TypeError(
    "redisBroker takes a client of one server, from createClient of redis or new Redis of ioredis; got " +
      (isClient && !isOfOne ? "one of several servers" : show(client)),
  );
}

/**
 * Whether a client has several servers. Clients of a cluster, and the Sentinel clients of node-redis, repeat commands
 * without an answer by themselves, so that a message could be delivered twice.
 */
function isOfMany(client: object): boolean {
  return "isCluster" in client && client.isCluster === true || "masters" in client || "getSentinelNode" in client;
}

class RedisBroker implements Broker {
  readonly #openLink: LinkMaker;
  readonly #prefix: string;
  readonly #histories: RedisHistories;
  readonly #status = new LinkStatus();
  #publisher: RedisLink | undefined;
  #subscriber: RedisLink | undefined;
  #closing: Promise<void> | undefined;

  constructor(openLink: LinkMaker, settings: RedisHistorySettings) {
    this.#openLink = openLink;
    this.#prefix = settings.prefix;
    this.#histories = new RedisHistories((args) => this.#publisher!.command(args), settings);
  }

  onMessage(listener: (topic: string, bytes: Uint8Array, position?: HistoryPosition) => void): void {
    if (this.#subscriber !== undefined) throw new Error("This broker has an app already: make another for each app");
    const onChange = (error?: Error): void => {
      this.#status.set(isReady(this.#publisher) && isReady(this.#subscriber), error);
    };
    this.#publisher = this.#openLink({ onChange, onMessage: () => {} });
    this.#subscriber = this.#openLink({
      onChange,
      onMessage: (channel, bytes) => {
        const topic = channel.slice(this.#prefix.length);
        if (!topic.startsWith(HISTORY_PREFIX)) return listener(topic, bytes);
        const live = readLive(bytes);
        if (live !== undefined) listener(topic, live.bytes, live.position);
      },
    });
  }

  onStatus(listener: (status: BrokerStatus) => void): void {
    this.#status.listen(listener);
  }

  async publish(topic: string, bytes: Uint8Array): Promise<void> {
    this.#checkConnected();
    const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    await this.#publisher!.publish(this.#prefix + topic, message);
  }

  async subscribe(topic: string): Promise<void> {
    this.#checkConnected();
    await this.#subscriber!.subscribe(this.#prefix + topic);
  }

  async unsubscribe(topic: string): Promise<void> {
    this.#checkOpen();
    // The link is called even while the server is away, so that it does not restore the subscription later.
    await this.#subscriber!.unsubscribe(this.#prefix + topic);
  }

  async append(topic: string, messages: readonly Uint8Array[], limits: HistoryLimits): Promise<HistoryPosition> {
    this.#checkConnected();
    return await this.#histories.append(topic, messages, limits);
  }

  async read(topic: string, range: HistoryRange, limits: HistoryLimits): Promise<HistoryPage> {
    this.#checkConnected();
    return await this.#histories.read(topic, range, limits);
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    const { isConnected } = this.#status;
    this.#status.listen(() => {});
    const links = [this.#publisher, this.#subscriber].filter((link) => link !== undefined);
    // The server answers a ping after all commands that were sent before.
    if (isConnected) await lastTaken(Promise.all(links.map((link) => link.ping())));
    for (const link of links) link.close();
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new Error("The broker is closed");
  }

  /** Both links must be ready. A broker that can only publish, or only subscribe, is of no use to an app. */
  #checkConnected(): void {
    this.#checkOpen();
    if (!this.#status.isConnected) throw new Error("The Redis server is away");
  }
}

function isReady(link: RedisLink | undefined): boolean {
  return link?.isReady ?? false;
}
