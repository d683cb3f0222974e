/** The connections of the Redis broker, over either of the two client libraries. */
import { Buffer } from "node:buffer";

/**
 * A client of node-redis (the package `redis`, versions 4 to 6), as `createClient` makes it. The interface has only the
 * members that {@link redisBroker} uses.
 */
export interface NodeRedisClient {
  /** True when the client is connected, or tries to connect. */
  readonly isOpen: boolean;
  /** True when the client can send commands to the server. */
  readonly isReady: boolean;
  /** Makes a new client with the same options, except for those that are given. */
  duplicate(options: object): NodeRedisClient;
  /** Connects, and reconnects as the options of the client say. */
  connect(): Promise<unknown>;
  /** Sends bytes to a channel. */
  publish(channel: string, message: Buffer): Promise<unknown>;
  /** Subscribes to channels. In buffer mode, the listener gets messages and channels as bytes. */
  subscribe(
    channels: string[],
    listener: (message: Buffer, channel: Buffer) => void,
    bufferMode: true,
  ): Promise<unknown>;
  /** Ends the subscriptions to channels. */
  unsubscribe(
    channels: string[],
    listener: (message: Buffer, channel: Buffer) => void,
    bufferMode: true,
  ): Promise<unknown>;
  /** Sends PING. The server answers it after all commands that were sent before. */
  ping(): Promise<unknown>;
  /** Sends a command, and resolves to the reply. Only topics with a history need this method. */
  sendCommand?(args: (string | Buffer)[], options: object): Promise<unknown>;
  /** Adds a listener of the events `ready`, `error` and `end`. */
  on(event: string, listener: (error: Error) => void): unknown;
  /** Cuts the connection. Version 4 does not have this method, and is cut with `disconnect`. */
  destroy?(): void;
  /** Cuts the connection of a client of version 4. */
  disconnect(): Promise<unknown>;
}

/** A client of ioredis (versions 5 and 6). The interface has only the members that {@link redisBroker} uses. */
export interface IoRedisClient {
  /** `"ready"` when the client can send commands to the server. */
  readonly status: string;
  /** Makes a new client with the same options, except for those that are given. */
  duplicate(options: object): IoRedisClient;
  /** Sends bytes to a channel. */
  publish(channel: string, message: Buffer): Promise<unknown>;
  /** Subscribes to channels. */
  subscribe(...channels: string[]): Promise<unknown>;
  /** Ends the subscriptions to channels. */
  unsubscribe(...channels: string[]): Promise<unknown>;
  /** Sends PING. The server answers it after all commands that were sent before. */
  ping(): Promise<unknown>;
  /** Sends a command, and resolves to the reply, as bytes. Only topics with a history need this method. */
  callBuffer?(command: string, args: (string | Buffer)[]): Promise<unknown>;
  /** Adds a listener of the events `ready`, `error`, `close`, `end` and `messageBuffer`. */
  on(event: string, listener: (...args: never[]) => void): unknown;
  /** Closes the connection after all that was written has been sent. */
  disconnect(): void;
}

/** What a link calls. */
export interface RedisLinkEvents {
  /** The state of the connection may have changed: `isReady` tells the new state. */
  onChange(error?: Error): void;
  onMessage(channel: string, bytes: Buffer): void;
}

/** A connection that belongs to the broker, over either library. */
export interface RedisLink {
  readonly isReady: boolean;
  publish(channel: string, bytes: Buffer): Promise<unknown>;
  subscribe(channel: string): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  /** Resolves once the server has answered all that was sent before. */
  ping(): Promise<unknown>;
  /** Sends a command, and resolves to the reply, with bytes in place of texts. */
  command(args: (string | Buffer)[]): Promise<unknown>;
  close(): void;
}

/** Makes node-redis give bytes in place of texts: version 4 reads the first option, later ones read the second. */
const AS_BYTES = { returnBuffers: true, typeMapping: { ["$".charCodeAt(0)]: Buffer } };

/** Rejects a command while the server is away: the libraries queue some commands even when they are told not to. */
function checkReady(link: RedisLink): void {
  if (!link.isReady) throw new Error("The Redis server is away");
}

function noHistories(method: string): string {
  return `The client has no method ${method}, which topics with a history need`;
}

/**
 * A link over node-redis. The library remembers the subscriptions, and restores them on a new connection before it is
 * ready.
 */
export class NodeRedisLink implements RedisLink {
  readonly #client: NodeRedisClient;
  readonly #onMessage: (message: Buffer, channel: Buffer) => void;
  /** The channels that the library may restore on a new connection, each with whether it is still wanted. */
  readonly #channels = new Map<string, boolean>();
  #isClosed = false;

  constructor(pattern: NodeRedisClient, { onChange, onMessage }: RedisLinkEvents) {
    // Without this queue, commands fail while the server is away, and no old messages are sent when it is back.
    const client = this.#client = pattern.duplicate({ disableOfflineQueue: true });
    this.#onMessage = (bytes, channel) => onMessage(channel.toString(), bytes);
    client.on("error", onChange);
    client.on("end", () => onChange());
    client.on("ready", () => {
      // The link was closed while the client was connecting.
      if (this.#isClosed) return this.#cut();
      this.#leaveUnwanted();
      onChange();
    });
    // A failure is reported by an `error` event too.
    client.connect().catch(() => {});
  }

  get isReady(): boolean {
    return this.#client.isReady;
  }

  async publish(channel: string, bytes: Buffer): Promise<void> {
    checkReady(this);
    await this.#client.publish(channel, bytes);
  }

  async subscribe(channel: string): Promise<void> {
    checkReady(this);
    this.#channels.set(channel, true);
    await this.#client.subscribe([channel], this.#onMessage, true);
  }

  async unsubscribe(channel: string): Promise<void> {
    if (!this.#channels.has(channel)) return;
    this.#channels.set(channel, false);
    checkReady(this);
    await this.#client.unsubscribe([channel], this.#onMessage, true);
    // The channel may have been subscribed to again in the meantime.
    if (!this.#channels.get(channel)) this.#channels.delete(channel);
  }

  ping(): Promise<unknown> {
    return this.#client.ping();
  }

  async command(args: (string | Buffer)[]): Promise<unknown> {
    checkReady(this);
    if (this.#client.sendCommand === undefined) throw new Error(noHistories("sendCommand"));
    return await this.#client.sendCommand(args, AS_BYTES);
  }

  close(): void {
    this.#isClosed = true;
    this.#cut();
  }

  /** Unsubscribes from the channels that were left while the server was away. */
  #leaveUnwanted(): void {
    for (const [channel, isWanted] of this.#channels) if (!isWanted) this.unsubscribe(channel).catch(() => {});
  }

  #cut(): void {
    const client = this.#client;
    try {
      if (client.destroy !== undefined) client.destroy();
      else client.disconnect().catch(() => {});
    } catch {
      // The connection has ended already.
    }
  }
}

/** A link over ioredis. A new connection has no subscriptions: the app subscribes again when the link is up. */
export class IoRedisLink implements RedisLink {
  readonly #client: IoRedisClient;

  constructor(pattern: IoRedisClient, { onChange, onMessage }: RedisLinkEvents) {
    const client = this.#client = pattern.duplicate({
      lazyConnect: false,
      // Commands must not wait in memory for a server that is away.
      enableOfflineQueue: false,
      // Commands without an answer fail when the connection is cut. By default they are sent again, so that a message
      // could be delivered twice.
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      // The app subscribes to its topics again itself.
      autoResubscribe: false,
      // Channels are not keys, so they get no prefix of keys. Each message is a command of its own, without pipelining.
      keyPrefix: "",
      enableAutoPipelining: false,
    });
    client.on("error", onChange);
    for (const event of ["ready", "close", "end"]) client.on(event, () => onChange());
    client.on("messageBuffer", (channel: Buffer, bytes: Buffer) => onMessage(channel.toString(), bytes));
  }

  get isReady(): boolean {
    return this.#client.status === "ready";
  }

  async publish(channel: string, bytes: Buffer): Promise<void> {
    checkReady(this);
    await this.#client.publish(channel, bytes);
  }

  async subscribe(channel: string): Promise<void> {
    checkReady(this);
    await this.#client.subscribe(channel);
  }

  async unsubscribe(channel: string): Promise<void> {
    checkReady(this);
    await this.#client.unsubscribe(channel);
  }

  ping(): Promise<unknown> {
    return this.#client.ping();
  }

  async command([name, ...args]: (string | Buffer)[]): Promise<unknown> {
    checkReady(this);
    if (this.#client.callBuffer === undefined) throw new Error(noHistories("callBuffer"));
    return await this.#client.callBuffer(String(name), args);
  }

  close(): void {
    this.#client.disconnect();
  }
}
