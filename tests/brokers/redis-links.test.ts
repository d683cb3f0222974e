/** The links of the Redis broker over clients without a server. With a server, they are tested in redis.test.ts. */

import { EventEmitter } from "node:events";
import { describe, expect, test } from "vitest";
import {
  type IoRedisClient,
  IoRedisLink,
  type NodeRedisClient,
  NodeRedisLink,
  type RedisLink,
} from "../../src/brokers/redis-links.ts";

type NodeRedisListener = (message: Buffer, channel: Buffer) => void;

/** A client of either library that records the calls of its methods. It is its own duplicate. */
class FakeClient extends EventEmitter {
  readonly calls: unknown[][] = [];
  readonly isOpen = true;
  isReady = false;
  onMessage: NodeRedisListener | undefined;

  get status(): string {
    return this.isReady ? "ready" : "reconnecting";
  }

  duplicate(options: object): this {
    return this.#note(this, "duplicate", options);
  }

  connect(): Promise<void> {
    return this.#note(Promise.reject(new Error("reported by an event too")), "connect");
  }

  publish(channel: string, message: Buffer): Promise<void> {
    return this.#note(Promise.resolve(), "publish", channel, String(message));
  }

  subscribe(channels: string | string[], listener?: NodeRedisListener): Promise<void> {
    this.onMessage = listener;
    return this.#note(Promise.resolve(), "subscribe", channels);
  }

  unsubscribe(channels: string | string[]): Promise<void> {
    return this.#note(Promise.resolve(), "unsubscribe", channels);
  }

  ping(): Promise<void> {
    return this.#note(Promise.resolve(), "ping");
  }

  sendCommand(args: unknown[], options: object): Promise<string> {
    return this.#note(Promise.resolve("reply"), "sendCommand", args, options);
  }

  callBuffer(command: string, args: unknown[]): Promise<string> {
    return this.#note(Promise.resolve("reply"), "callBuffer", command, args);
  }

  destroy(): void {
    this.#note(undefined, "destroy");
  }

  disconnect(): Promise<void> {
    return this.#note(Promise.resolve(), "disconnect");
  }

  /** Changes the state of the connection, and emits the event of the library. */
  become(isReady: boolean): void {
    this.isReady = isReady;
    this.emit(isReady ? "ready" : "end");
  }

  #note<Result>(result: Result, ...call: unknown[]): Result {
    this.calls.push(call);
    return result;
  }
}

interface Opened {
  readonly link: RedisLink;
  readonly client: FakeClient;
  /** The state, and the error if there is one, whenever the link reports a change. */
  readonly changes: unknown[];
  readonly messages: [channel: string, text: string][];
}

function open(
  makeLink: (client: FakeClient, events: ConstructorParameters<typeof NodeRedisLink>[1]) => RedisLink,
): Opened {
  const client = new FakeClient();
  const changes: unknown[] = [];
  const messages: [string, string][] = [];
  const link = makeLink(client, {
    onChange: (error) => changes.push(error ?? client.isReady),
    onMessage: (channel, bytes) => messages.push([channel, String(bytes)]),
  });
  client.calls.length = 0;
  return { link, client, changes, messages };
}

const openNodeRedis = (): Opened => open((client, events) => new NodeRedisLink(client as NodeRedisClient, events));
const openIoRedis = (): Opened => {
  return open((client, events) => new IoRedisLink(client as unknown as IoRedisClient, events));
};

describe.each([
  ["NodeRedisLink", openNodeRedis, "sendCommand"],
  ["IoRedisLink", openIoRedis, "callBuffer"],
])("%s", (_name, openLink, method) => {
  test("says what a client lacks that cannot send any command", async () => {
    const { link, client } = openLink();
    client.become(true);
    Object.assign(client, { [method]: undefined });
    const message = `The client has no method ${method}, which topics with a history need`;
    await expect(link.command(["TIME"])).rejects.toThrow(message);
  });

  test("is ready when its client is, and reports each change and each error", () => {
    const { link, client, changes } = openLink();
    const error = new Error("refused");
    expect(link.isReady).toBe(false);
    client.emit("error", error);
    client.become(true);
    expect(link.isReady).toBe(true);
    client.become(false);
    expect(changes).toEqual([error, true, false]);
  });

  test("rejects commands while the server is away, without a call of the client", async () => {
    const { link, client } = openLink();
    await expect(link.publish("news", Buffer.from("x"))).rejects.toThrow("The Redis server is away");
    await expect(link.subscribe("news")).rejects.toThrow("The Redis server is away");
    await expect(link.command(["TIME"])).rejects.toThrow("The Redis server is away");
    expect(client.calls).toEqual([]);
  });

  test("publishes bytes, and pings", async () => {
    const { link, client } = openLink();
    client.become(true);
    await link.publish("news", Buffer.from("hello"));
    await link.ping();
    expect(client.calls).toEqual([["publish", "news", "hello"], ["ping"]]);
  });
});

describe("NodeRedisLink", () => {
  test("sends commands whose replies have bytes in place of texts", async () => {
    const { link, client } = openNodeRedis();
    client.become(true);
    expect(await link.command(["GET", "key"])).toBe("reply");
    // The first option is for version 4, the second one for later versions, where 36 stands for a text.
    expect(client.calls).toEqual([["sendCommand", ["GET", "key"], {
      returnBuffers: true,
      typeMapping: { 36: Buffer },
    }]]);
  });

  test("asks for a client without an offline queue, and connects it", () => {
    const client = new FakeClient();
    new NodeRedisLink(client as NodeRedisClient, { onChange() {}, onMessage() {} });
    expect(client.calls).toEqual([["duplicate", { disableOfflineQueue: true }], ["connect"]]);
  });

  test("subscribes in buffer mode, and gives each message with its channel as a text", async () => {
    const { link, client, messages } = openNodeRedis();
    client.become(true);
    await link.subscribe("news");
    client.onMessage!(Buffer.from("hello"), Buffer.from("news"));
    expect(client.calls).toEqual([["subscribe", ["news"]]]);
    expect(messages).toEqual([["news", "hello"]]);
  });

  test("does not unsubscribe from a channel that it never had", async () => {
    const { link, client } = openNodeRedis();
    await link.unsubscribe("news");
    expect(client.calls).toEqual([]);
  });

  test("leaves a channel when the server is back, if it was to be left while the server was away", async () => {
    const { link, client } = openNodeRedis();
    client.become(true);
    await link.subscribe("news");
    await link.subscribe("tea");
    client.become(false);
    await expect(link.unsubscribe("news")).rejects.toThrow("The Redis server is away");
    client.become(true);
    expect(client.calls).toEqual([["subscribe", ["news"]], ["subscribe", ["tea"]], ["unsubscribe", ["news"]]]);
  });

  test("cuts its connection when it is closed, and again if that becomes ready afterwards", () => {
    const { link, client, changes } = openNodeRedis();
    link.close();
    client.become(true);
    expect(client.calls).toEqual([["destroy"], ["destroy"]]);
    expect(changes).toEqual([]);
  });

  test("cuts a client of version 4, which has no destroy, with disconnect", () => {
    const { link, client } = openNodeRedis();
    Object.assign(client, { destroy: undefined });
    link.close();
    expect(client.calls).toEqual([["disconnect"]]);
  });

  test("survives a client that throws because its connection has ended already", () => {
    const { link, client } = openNodeRedis();
    client.destroy = () => {
      throw new Error("The client is closed");
    };
    expect(() => link.close()).not.toThrow();
  });
});

describe("IoRedisLink", () => {
  test("sends commands whose replies have bytes in place of texts", async () => {
    const { link, client } = openIoRedis();
    client.become(true);
    expect(await link.command(["GET", "key"])).toBe("reply");
    expect(client.calls).toEqual([["callBuffer", "GET", ["key"]]]);
  });

  test("asks for a client that neither keeps nor repeats commands and subscriptions", () => {
    const client = new FakeClient();
    new IoRedisLink(client as unknown as IoRedisClient, { onChange() {}, onMessage() {} });
    const [[method, options]] = client.calls;
    expect(method).toBe("duplicate");
    expect(options).toMatchObject({ enableOfflineQueue: false, autoResubscribe: false, lazyConnect: false });
    expect(options).toMatchObject({ maxRetriesPerRequest: 0, autoResendUnfulfilledCommands: false });
    expect(options).toMatchObject({ keyPrefix: "", enableAutoPipelining: false });
  });

  test("subscribes and unsubscribes, and gives each message with its channel as a text", async () => {
    const { link, client, messages } = openIoRedis();
    client.become(true);
    await link.subscribe("news");
    client.emit("messageBuffer", Buffer.from("news"), Buffer.from("hello"));
    await link.unsubscribe("news");
    expect(client.calls).toEqual([["subscribe", "news"], ["unsubscribe", "news"]]);
    expect(messages).toEqual([["news", "hello"]]);
  });

  test("rejects to unsubscribe while the server is away, since a new connection has no subscriptions", async () => {
    const { link } = openIoRedis();
    await expect(link.unsubscribe("news")).rejects.toThrow("The Redis server is away");
  });

  test("disconnects when it is closed", () => {
    const { link, client } = openIoRedis();
    link.close();
    expect(client.calls).toEqual([["disconnect"]]);
  });
});
