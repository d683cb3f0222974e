import type { Buffer } from "node:buffer";

/** What is used of a client of node-redis (the package `redis`, 4 to 6), as `createClient` makes it. */
export interface NodeRedisClient {
  /** Whether it is connected, or tries to be. */
  readonly isOpen: boolean;
  /** Whether commands go to the server now. */
  readonly isReady: boolean;
  /** Makes a client with the same options but those that are given. */
  duplicate(options: object): NodeRedisClient;
  /** Connects, and connects again as often as its options say. */
  connect(): Promise<unknown>;
  /** Sends bytes to a channel. */
  publish(channel: string, message: Buffer): Promise<unknown>;
  /** Subscribes to channels, in buffer mode. */
  subscribe(
    channels: string[],
    listener: (message: Buffer, channel: Buffer) => void,
    bufferMode: true,
  ): Promise<unknown>;
  /** Ends subscriptions. */
  unsubscribe(
    channels: string[],
    listener: (message: Buffer, channel: Buffer) => void,
    bufferMode: true,
  ): Promise<unknown>;
  /** Is answered behind all that was sent before. */
  ping(): Promise<unknown>;
  /** Listens to `ready`, `error` and `end`. */
  on(event: string, listener: (error: Error) => void): unknown;
  /** Cuts the connection. Version 4 calls it `disconnect`. */
  destroy?(): void;
  /** Cuts the connection. */
  disconnect(): Promise<unknown>;
}

/** What is used of a client of ioredis (5 and 6). */
export interface IoRedisClient {
  /** `"ready"` when commands go to the server now. */
  readonly status: string;
  /** Makes a client with the same options but those that are given. */
  duplicate(options: object): IoRedisClient;
  /** Sends bytes to a channel. */
  publish(channel: string, message: Buffer): Promise<unknown>;
  /** Subscribes to channels. */
  subscribe(...channels: string[]): Promise<unknown>;
  /** Ends subscriptions. */
  unsubscribe(...channels: string[]): Promise<unknown>;
  /** Is answered behind all that was sent before. */
  ping(): Promise<unknown>;
  /** Listens to `ready`, `error`, `close`, `end` and `messageBuffer`. */
  on(event: string, listener: (...args: never[]) => void): unknown;
  /** Ends the connection behind what has been written. */
  disconnect(): void;
}

/** What a link reports. */
export interface RedisLinkEvents {
  /** Something has happened to the connection: `isReady` says what. */
  onChange(error?: Error): void;
  onMessage(channel: string, bytes: Buffer): void;
}

/** One connection of the broker's own, whichever library it is made with. */
export interface RedisLink {
  readonly isReady: boolean;
  publish(channel: string, bytes: Buffer): Promise<unknown>;
  subscribe(channel: string): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  /** Settles once the server has answered all that was sent before. */
  ping(): Promise<unknown>;
  close(): void;
}

/** The libraries queue some commands even when they are told not to. */
function checkReady(link: RedisLink): void {
  if (!link.isReady) throw new Error("The Redis server is away");
}

/** A link over node-redis, which remembers the subscriptions and has them again before it is ready. */
export class NodeRedisLink implements RedisLink {
  readonly #client: NodeRedisClient;
  readonly #onMessage: (message: Buffer, channel: Buffer) => void;
  /** What the library may hold, and would have again with a new connection, and whether it still should. */
  readonly #channels = new Map<string, boolean>();
  #isClosed = false;

  constructor(pattern: NodeRedisClient, { onChange, onMessage }: RedisLinkEvents) {
    // Without its queue, commands fail while the server is away, and nothing old is sent when it is back.
    const client = this.#client = pattern.duplicate({ disableOfflineQueue: true });
    this.#onMessage = (bytes, channel) => onMessage(channel.toString(), bytes);
    client.on("error", onChange);
    client.on("end", () => onChange());
    client.on("ready", () => {
      // It was closed in the middle of connecting.
      if (this.#isClosed) return this.#cut();
      this.#leaveUnwanted();
      onChange();
    });
    // What goes wrong comes as an event too.
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
    // It may have been subscribed to again meanwhile.
    if (!this.#channels.get(channel)) this.#channels.delete(channel);
  }

  ping(): Promise<unknown> {
    return this.#client.ping();
  }

  close(): void {
    this.#isClosed = true;
    this.#cut();
  }

  /** Left while the server was away. */
  #leaveUnwanted(): void {
    for (const [channel, isWanted] of this.#channels) if (!isWanted) this.unsubscribe(channel).catch(() => {});
  }

  #cut(): void {
    const client = this.#client;
    try {
      if (client.destroy !== undefined) client.destroy();
      else client.disconnect().catch(() => {});
    } catch {
      // It has ended already.
    }
  }
}

/** A link over ioredis. Its new connection knows nothing of the last one's subscriptions. */
export class IoRedisLink implements RedisLink {
  readonly #client: IoRedisClient;

  constructor(pattern: IoRedisClient, { onChange, onMessage }: RedisLinkEvents) {
    const client = this.#client = pattern.duplicate({
      lazyConnect: false,
      // Nothing waits in memory for a server that is away.
      enableOfflineQueue: false,
      // What was sent and not answered fails with the connection. By default it is sent again, and a message could come twice.
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      // The app asks again for its topics.
      autoResubscribe: false,
      // Channels are no keys, and each message is a command.
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

  close(): void {
    this.#client.disconnect();
  }
}
