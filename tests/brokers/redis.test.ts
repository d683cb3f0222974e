/** The broker over Redis, with a real server and both client libraries. */
import { Cluster, Redis } from "ioredis";
import { createClient, createCluster, createSentinel } from "redis";
import { describe, expect, onTestFinished, test } from "vitest";
import { redisBroker, type RedisClient } from "../../src/brokers/redis.ts";
import { createServer, testBroker } from "../support/broker-contract.ts";
import { Member } from "../support/broker-member.ts";
import { Program } from "../support/program.ts";
import { openIoredis, openNodeRedis } from "../support/redis-clients.ts";
import { redisServer, redisServerWith } from "../support/redis-server.ts";
import { isInstalled } from "../support/server-program.ts";

testBroker({ name: "node-redis", server: redisServer, open: (port) => openNodeRedis(port, 3) });
testBroker({ name: "node-redis with RESP2", server: redisServer, open: (port) => openNodeRedis(port, 2) });
testBroker({ name: "ioredis", server: redisServer, open: (port) => openIoredis(port, 3) });
testBroker({ name: "ioredis with RESP2", server: redisServer, open: (port) => openIoredis(port, 2) });

test.each<[what: string, client: unknown, given: string]>([
  ["nothing", undefined, "got undefined"],
  ["an address", "redis://localhost", 'got "redis://localhost"'],
  ["options", { host: "localhost", port: 6379 }, "got an object (Object)"],
  ["an object with only one member of a client", { status: "ready" }, "got an object (Object)"],
  ["a cluster of node-redis", createCluster({ rootNodes: [] }), "got one of several servers"],
  ["Sentinel of node-redis", createSentinel({ name: "a", sentinelRootNodes: [] }), "got one of several servers"],
  ["a cluster of ioredis", new Cluster([], { lazyConnect: true }), "got one of several servers"],
])("redisBroker refuses %s", (_what, client, given) => {
  const wanted = "redisBroker takes a client of one server, from createClient of redis or new Redis of ioredis";
  const make = () => redisBroker(client as RedisClient);
  expect(make).toThrow(TypeError);
  expect(make).toThrow(`${wanted}; ${given}`);
});

test.each<[options: unknown, message: string]>([
  [{ prefix: 1 }, "prefix must be a string; got 1"],
  [{ prefx: "a" }, 'redisBroker has no option "prefx"; it has prefix, historyTtlMs, durable'],
  [{ durable: "yes" }, 'durable must be true or false; got "yes"'],
  [{ historyTtlMs: "1" }, 'historyTtlMs must be a whole number from 1 to 9007199254740991; got "1"'],
  ["a", 'redisBroker takes an object of options; got "a"'],
])("redisBroker refuses the options %j", (options, message) => {
  expect(() => redisBroker(createClient(), options as object)).toThrow(new TypeError(message));
});

test.each([0, -1, 1.5, NaN, Infinity])("redisBroker refuses %d as historyTtlMs", (historyTtlMs) => {
  const message = `historyTtlMs must be a whole number from 1 to 9007199254740991; got ${historyTtlMs}`;
  expect(() => redisBroker(createClient(), { historyTtlMs })).toThrow(new RangeError(message));
});

describe.skipIf(!isInstalled(redisServer))("a broker over Redis (redis-server)", () => {
  test("gets only messages of its prefix, from either library", async () => {
    const { port } = await (await createServer(redisServer)).start();
    const clients: RedisClient[] = [
      createClient({ socket: { port } }),
      new Redis({ port, lazyConnect: true }),
      createClient({ socket: { port } }),
    ];
    const prefixes = ["one:", "one:", ""];
    const members = clients.map((client, i) => new Member(redisBroker(client, { prefix: prefixes[i] })));
    onTestFinished(async () => void await Promise.all(members.map(({ broker }) => broker.close())));
    for (const member of members) {
      await member.connected();
      await member.broker.subscribe("news");
    }
    for (const [i, member] of members.entries()) await member.publish("news", `from ${i}`);
    expect(await Promise.all(members.map((member) => member.heard("news")))).toEqual([
      ["from 0", "from 1"],
      ["from 0", "from 1"],
      ["from 2"],
    ]);
  });

  test.each<[name: string, connect: (port: number) => RedisClient]>([
    ["node-redis", (port) => createClient({ url: `redis://:secret@127.0.0.1:${port}/3` })],
    ["ioredis", (port) => new Redis(`redis://:secret@127.0.0.1:${port}/3`, { lazyConnect: true })],
  ])("connects with the options of its client: %s", async (_name, connect) => {
    const { port } = await (await createServer(redisServerWith("--requirepass", "secret"))).start();
    const member = await new Member(redisBroker(connect(port))).connected();
    onTestFinished(async () => void await member.broker.close());
    await member.broker.subscribe("news");
    await member.publish("news", "hello");
    expect(await member.heard("news")).toEqual(["hello"]);
  });

  test.each<[name: string, connect: (port: number) => RedisClient]>([
    ["node-redis", (port) => createClient({ url: `redis://127.0.0.1:${port}`, username: "ada", password: "1" })],
    ["ioredis", (port) => new Redis(port, { username: "ada", password: "1", lazyConnect: true })],
  ])("rejects a subscription that the rules of the server forbid: %s", async (_name, connect) => {
    const rules = ["--user", "ada", "on", ">1", "+@all", "~*", "&spacenode:open*"];
    const { port } = await (await createServer(redisServerWith(...rules))).start();
    const member = await new Member(redisBroker(connect(port))).connected();
    onTestFinished(async () => void await member.broker.close());
    await expect(member.broker.subscribe("closed")).rejects.toThrow(/NOPERM/);
    await expect(member.publish("closed", "hello")).rejects.toThrow(/NOPERM/);
    await member.broker.subscribe("open");
    await member.publish("open", "hello");
    expect((await member.received(1))[0].bytes.toString()).toBe("hello");
    await member.broker.unsubscribe("closed");
    expect(member.statuses.at(-1)).toEqual({ isConnected: true });
  });

  test.each([
    [
      "node-redis",
      'import { createClient } from "redis"; const client = createClient({ socket: { port: PORT } });',
      true,
    ],
    ["ioredis", 'import { Redis } from "ioredis"; const client = new Redis(PORT, { lazyConnect: true });', true],
    [
      "node-redis, server away",
      'import { createClient } from "redis"; const client = createClient({ socket: { port: PORT } });',
      false,
    ],
    [
      "ioredis, server away",
      'import { Redis } from "ioredis"; const client = new Redis(PORT, { lazyConnect: true });',
      false,
    ],
  ])("leaves nothing open that keeps a process alive: %s", async (_name, makeClient, isThere) => {
    const server = await createServer(redisServer);
    if (isThere) await server.start();
    const program = Program.source(`
      import { redisBroker } from "{root}src/brokers/redis.ts";
      ${makeClient.replaceAll("PORT", String(server.port))}
      const broker = redisBroker(client);
      broker.onMessage(() => {});
      await new Promise((resolve) => broker.onStatus(({ isConnected, error }) => (isConnected || error) && resolve()));
      if (${isThere}) await broker.subscribe("news");
      await broker.close();
      console.log("closed");
    `);
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(program.lines).toEqual(["closed"]);
    expect(program.errors).toBe("");
  });
});
