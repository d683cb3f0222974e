import { Buffer } from "node:buffer";
import { show } from "../app/common/show.ts";
import { checkNames, isObject } from "../app/common/validate.ts";
import type { Broker, BrokerStatus } from "../app/pubsub/broker.ts";
import { lastTaken, LinkStatus } from "./link-status.ts";
import {
  type IoRedisClient,
  IoRedisLink,
  type NodeRedisClient,
  NodeRedisLink,
  type RedisLink,
  type RedisLinkEvents,
} from "./redis-links.ts";

/** A client that `redisBroker` takes: of node-redis or of ioredis. */
export type RedisClient = NodeRedisClient | IoRedisClient;

/** Options of `redisBroker`. */
export interface RedisBrokerOptions {
  /** What the names of all channels begin with. Apps with other prefixes do not hear each other. Default `"spacenode:"`. */
  prefix?: string | undefined;
}

/**
 * A broker over the Pub/Sub of a Redis server, or of one that speaks like it.
 *
 * The client is a pattern: the broker makes two connections of its own with `client.duplicate()`, one to publish and one to subscribe, so that it never waits
 * behind your commands, and neither library keeps or repeats messages for a server that is away. The client itself does not have to be connected, and closing
 * it stays yours. How the connections are tried again is as the client's options say: `socket.reconnectStrategy` of node-redis, `retryStrategy` of ioredis.
 *
 * RESP2 and RESP3 are the same to it. It publishes with PUBLISH and not with SPUBLISH: sharded Pub/Sub spreads channels over the nodes of a Redis Cluster,
 * and needs a client that knows them all. In a cluster, hand in a client of one node: PUBLISH reaches the subscribers of all.
 *
 * Messages come at most once, in the order in which a process has published them. What is published while the server is away is lost to other processes.
 *
 * @param client of node-redis (`createClient`) or of ioredis (`new Redis`)
 * @returns what `createApp({ broker })` takes, for one app
 * @throws TypeError for what is no such client, and for a wrong option
 * @example
 * ```ts
 * import { createApp, redisBroker } from "@spacenode/spacenode";
 * import { createClient } from "redis"; // or: import { Redis } from "ioredis";
 *
 * const client = createClient({ url: "redis://localhost:6379" }); // or: new Redis("redis://localhost:6379", { lazyConnect: true })
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
  checkNames("redisBroker", options, ["prefix"]);
  const { prefix = "spacenode:" } = options;
  if (typeof prefix !== "string") throw new TypeError(`prefix must be a string; got ${show(prefix)}`);
  return new RedisBroker(linkMaker(client), prefix);
}

type LinkMaker = (events: RedisLinkEvents) => RedisLink;

/** The two libraries are told apart by how they say that they are ready. */
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

/** Clients of a cluster, and node-redis's of Sentinel, send again by themselves what had no answer: a message could come twice. */
function isOfMany(client: object): boolean {
  return "isCluster" in client && client.isCluster === true || "masters" in client || "getSentinelNode" in client;
}

class RedisBroker implements Broker {
  readonly #openLink: LinkMaker;
  readonly #prefix: string;
  readonly #status = new LinkStatus();
  #publisher: RedisLink | undefined;
  #subscriber: RedisLink | undefined;
  #closing: Promise<void> | undefined;

  constructor(openLink: LinkMaker, prefix: string) {
    this.#openLink = openLink;
    this.#prefix = prefix;
  }

  onMessage(listener: (topic: string, bytes: Uint8Array) => void): void {
    if (this.#subscriber !== undefined) throw new Error("This broker has an app already: make another for each app");
    const onChange = (error?: Error): void => {
      this.#status.set(isReady(this.#publisher) && isReady(this.#subscriber), error);
    };
    this.#publisher = this.#openLink({ onChange, onMessage: () => {} });
    this.#subscriber = this.#openLink({
      onChange,
      onMessage: (channel, bytes) => listener(channel.slice(this.#prefix.length), bytes),
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
    // Even while the server is away: the link sees to it that the subscription does not come back.
    await this.#subscriber!.unsubscribe(this.#prefix + topic);
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    const { isConnected } = this.#status;
    this.#status.listen(() => {});
    const links = [this.#publisher, this.#subscriber].filter((link) => link !== undefined);
    // Answered behind all that was sent before.
    if (isConnected) await lastTaken(Promise.all(links.map((link) => link.ping())));
    for (const link of links) link.close();
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new Error("The broker is closed");
  }

  /** Both links go the same way: one without the other is of no use to an app. */
  #checkConnected(): void {
    this.#checkOpen();
    if (!this.#status.isConnected) throw new Error("The Redis server is away");
  }
}

function isReady(link: RedisLink | undefined): boolean {
  return link?.isReady ?? false;
}
