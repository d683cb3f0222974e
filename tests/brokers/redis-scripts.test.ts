/** The scripts that keep histories in Redis, on a real server: what the server may lose, and what they cost. */

import { createClient, type RedisClientType } from "redis";
import { describe, expect, onTestFinished, test } from "vitest";
import { HISTORY_PREFIX, type HistoryLimits, type HistoryPosition } from "../../src/app/pubsub/broker.ts";
import type { RedisBrokerOptions } from "../../src/brokers/redis.ts";
import { createServer } from "../support/broker-contract.ts";
import { AMPLE, HistoryMember, textsOf } from "../support/history-contract.ts";
import { openIoredis, openNodeRedis } from "../support/redis-clients.ts";
import { redisServer, redisServerWith } from "../support/redis-server.ts";
import { isInstalled, type ServerProgram } from "../support/server-program.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

const NEWS = `${HISTORY_PREFIX}news`;
const KEY = "spacenode:history:news";
const WAIT = { timeout: 10_000 };

/** A server that has written each command to its disk before it answers. */
const durableServer = redisServerWith("--appendonly", "yes", "--appendfsync", "always");

type Library = (port: number, options?: RedisBrokerOptions) => HistoryMember;

const join = (open: typeof openNodeRedis): Library => (port, options) => {
  const { broker, endClient } = open(port, 3, options);
  onTestFinished(async () => {
    await broker.close();
    await endClient();
  });
  return new HistoryMember(broker);
};

const joinNodeRedis = join(openNodeRedis);
const LIBRARIES: [string, Library][] = [["node-redis", joinNodeRedis], ["ioredis", join(openIoredis)]];

/** Somebody else who uses the server. */
async function admin(port: number): Promise<RedisClientType> {
  const client: RedisClientType = createClient({ socket: { port, host: "127.0.0.1" } });
  client.on("error", () => {});
  await client.connect();
  onTestFinished(() => client.destroy());
  return client;
}

async function start(kind = redisServer): Promise<ServerProgram> {
  return await (await createServer(kind)).start();
}

/** Kills the server, and starts it again. */
async function restart(server: ServerProgram, ada: HistoryMember): Promise<void> {
  await server.kill();
  await ada.away();
  await server.start();
  await ada.connected();
}

const noneAt = async (ada: HistoryMember): Promise<HistoryPosition> => ({
  epoch: (await ada.read(NEWS)).epoch,
  offset: 0,
});

const isComplete = async (ada: HistoryMember, after: HistoryPosition): Promise<boolean> =>
  (await ada.read(NEWS, { after })).isComplete;

/** How often the server has run a command since its statistics were reset. */
async function callsOf(client: RedisClientType, command: string): Promise<number> {
  const stats = await client.info("commandstats");
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

describe.skipIf(!isInstalled(redisServer))("histories in Redis (redis-server)", () => {
  describe.each(LIBRARIES)("over %s", (_name, join) => {
    test("begin anew when the server has lost them", async () => {
      const server = await start();
      const ada = await join(server.port).connected();
      const none = await noneAt(ada);
      const old = await ada.append(NEWS, ["a", "b"]);
      await restart(server, ada);
      expect([await isComplete(ada, none), await isComplete(ada, old)]).toEqual([false, false]);
      const next = await ada.append(NEWS, ["c"]);
      expect([next.offset, next.epoch === old.epoch]).toEqual([1, false]);
      expect([await isComplete(ada, none), await isComplete(ada, old)]).toEqual([false, false]);
      expect(await isComplete(ada, next)).toBe(true);
    });

    test("begin anew when the server is back with an older state: no offset is given twice in one epoch", async () => {
      const server = await start();
      const ada = await join(server.port).connected();
      const saved = await ada.append(NEWS, ["a", "b"]);
      await (await admin(server.port)).sendCommand(["SAVE"]);
      const lost = await ada.append(NEWS, ["c"]);
      await restart(server, ada);
      expect(await ada.read(NEWS)).toMatchObject({ newest: 0, messages: [] });
      const next = await ada.append(NEWS, ["x", "y", "z"]);
      expect([next.offset, next.epoch === saved.epoch]).toEqual([3, false]);
      expect([await isComplete(ada, saved), await isComplete(ada, lost)]).toEqual([false, false]);
      expect(textsOf((await ada.read(NEWS)).messages)).toEqual([[1, "x"], [2, "y"], [3, "z"]]);
    });

    test("begin anew even if the server is back with all its data, since it might have lost some", async () => {
      const server = await start(durableServer);
      const ada = await join(server.port).connected();
      const old = await ada.append(NEWS, ["a", "b"]);
      await restart(server, ada);
      expect(await (await admin(server.port)).exists(KEY)).toBe(1);
      expect(await isComplete(ada, old)).toBe(false);
      expect((await ada.append(NEWS, ["c"])).offset).toBe(1);
      expect(textsOf((await ada.read(NEWS)).messages)).toEqual([[1, "c"]]);
    });

    test("go on when the server is back, if it is durable", async () => {
      const server = await start(durableServer);
      const ada = await join(server.port, { durable: true }).connected();
      const none = await noneAt(ada);
      const old = await ada.append(NEWS, ["a", "b"]);
      await restart(server, ada);
      expect([await isComplete(ada, none), await isComplete(ada, old)]).toEqual([true, true]);
      expect(await ada.append(NEWS, ["c"])).toEqual({ ...old, offset: 3 });
      const { messages } = await ada.read(NEWS, { after: none });
      expect(textsOf(messages)).toEqual([[1, "a"], [2, "b"], [3, "c"]]);
    });

    test("go on in one order when the server has forgotten the scripts", async () => {
      const server = await start();
      const ada = await join(server.port).connected();
      const client = await admin(server.port);
      const appends: Promise<HistoryPosition>[] = [];
      for (let i = 1; i <= 500; i++) {
        appends.push(ada.append(NEWS, [String(i)]));
        if (i % 20 === 0) await client.sendCommand(["SCRIPT", "FLUSH"]);
      }
      const positions = await Promise.all(appends);
      expect(positions).toEqual(positions.map(({ epoch }, i) => ({ epoch, offset: i + 1 })));
      const { messages } = await ada.read(NEWS);
      expect(textsOf(messages)).toEqual(positions.map(({ offset }) => [offset, String(offset)]));
    });

    test("reject an append whose answer was lost, and do not repeat it", async () => {
      const server = await start();
      const proxy = await TcpProxy.start(server.port);
      onTestFinished(() => proxy.dispose());
      const [ada, bob] = [await join(proxy.port).connected(), await join(server.port).connected()];
      await bob.broker.subscribe(NEWS);
      proxy.isMute = true;
      const appended = ["a", "b", "c"].map((text) => ada.append(NEWS, [text]));
      await bob.received(3);
      proxy.cut();
      proxy.isMute = false;
      const results = await Promise.allSettled(appended);
      expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
      await ada.away();
      await ada.connected();
      await ada.append(NEWS, ["d"]);
      expect(textsOf((await bob.read(NEWS)).messages)).toEqual([[1, "a"], [2, "b"], [3, "c"], [4, "d"]]);
      expect(await bob.heard(NEWS)).toEqual(["a", "b", "c", "d"]);
    });

    test("reject everything while the server is away", async () => {
      const server = await start();
      const ada = await join(server.port).connected();
      await server.kill();
      await ada.away();
      await expect(ada.append(NEWS, ["a"])).rejects.toThrow("The Redis server is away");
      await expect(ada.read(NEWS)).rejects.toThrow("The Redis server is away");
      await ada.broker.close();
      await expect(ada.append(NEWS, ["a"])).rejects.toThrow("The broker is closed");
      await expect(ada.read(NEWS)).rejects.toThrow("The broker is closed");
    });
  });

  test.each([
    ["the whole database is deleted", ["FLUSHALL"]],
    ["the key is deleted", ["DEL", KEY]],
    ["all entries are deleted", ["XTRIM", KEY, "MAXLEN", "0"]],
  ])("begin anew when %s", async (_name, command) => {
    const server = await start();
    const ada = await joinNodeRedis(server.port).connected();
    const old = await ada.append(NEWS, ["a", "b"]);
    await (await admin(server.port)).sendCommand(command);
    expect(await ada.read(NEWS, { after: old })).toMatchObject({ newest: 0, isComplete: false });
    const next = await ada.append(NEWS, ["c"]);
    expect([next.offset, next.epoch === old.epoch]).toEqual([1, false]);
    expect(await isComplete(ada, old)).toBe(false);
  });

  test("are not complete where an entry was deleted", async () => {
    const server = await start();
    const ada = await joinNodeRedis(server.port).connected();
    const { epoch } = await ada.append(NEWS, ["a", "b", "c", "d"]);
    const client = await admin(server.port);
    const [, [id]] = await client.sendCommand<[string][]>(["XRANGE", KEY, "-", "+"]);
    await client.sendCommand(["XDEL", KEY, id]);
    expect(await ada.read(NEWS, { after: { epoch, offset: 0 } })).toMatchObject({ isComplete: false, messages: [] });
    expect(textsOf((await ada.read(NEWS, { after: { epoch, offset: 2 } })).messages)).toEqual([[3, "c"], [4, "d"]]);
  });

  test("begin anew when a master was a replica in between, and has lost messages by that", async () => {
    const kind = redisServerWith("--repl-diskless-sync-delay", "0");
    const [one, other] = [await start(kind), await start(kind)];
    const [client, otherClient] = [await admin(one.port), await admin(other.port)];
    const ada = await joinNodeRedis(one.port).connected();
    const follow = async (replica: RedisClientType, port: number): Promise<void> => {
      await replica.sendCommand(["REPLICAOF", "127.0.0.1", String(port)]);
      await expect.poll(() => replica.info("replication"), WAIT).toMatch(/master_link_status:up/);
    };
    await follow(otherClient, one.port);
    const kept = await ada.append(NEWS, ["a", "b"]);
    await expect.poll(() => otherClient.xLen(KEY), WAIT).toBe(2);
    await otherClient.sendCommand(["REPLICAOF", "NO", "ONE"]);
    const lost = await ada.append(NEWS, ["c"]);
    await follow(client, other.port);
    await client.sendCommand(["REPLICAOF", "NO", "ONE"]);
    expect(await client.xLen(KEY)).toBe(2);
    const next = await ada.append(NEWS, ["x"]);
    expect([lost.epoch === kept.epoch, next.epoch === kept.epoch]).toEqual([true, false]);
    expect([await isComplete(ada, kept), await isComplete(ada, lost)]).toEqual([false, false]);
  }, 60_000);

  describe("that have not begun", () => {
    test("have no key, however often they are read", async () => {
      const server = await start();
      const ada = await joinNodeRedis(server.port, { prefix: "one:" }).connected();
      const client = await admin(server.port);
      const after = await noneAt(ada);
      await ada.read(NEWS, { after });
      expect(await client.keys("*")).toEqual([]);
      await ada.append(NEWS, ["a"]);
      expect(await client.keys("*")).toEqual(["one:history:news"]);
    });

    test("have a place that does not count any more when a history may have come and gone", async () => {
      const server = await start();
      const ada = await joinNodeRedis(server.port, { historyTtlMs: 100 }).connected();
      const brief: HistoryLimits = { size: 10, maxAgeMs: 50 };
      const none = await noneAt(ada);
      await expect.poll(() => isComplete(ada, none), WAIT).toBe(false);
      const old = await ada.append(NEWS, ["a"], brief);
      await expect.poll(async () => (await ada.read(NEWS)).newest, WAIT).toBe(0);
      expect([await isComplete(ada, none), await isComplete(ada, old)]).toEqual([false, false]);
      const next = await ada.append(NEWS, ["b"], AMPLE);
      expect([await isComplete(ada, none), await isComplete(ada, old)]).toEqual([false, false]);
      expect([next.offset, await isComplete(ada, next)]).toEqual([1, true]);
    });

    test("have a place that does not count any more when the server has evicted a key", async () => {
      const server = await start();
      const ada = await joinNodeRedis(server.port).connected();
      const client = await admin(server.port);
      const none = await noneAt(ada);
      await ada.append(NEWS, ["a"]);
      expect(await isComplete(ada, none)).toBe(true);
      await client.configSet("maxmemory-policy", "allkeys-random");
      await client.configSet("maxmemory", "1");
      await expect.poll(() => client.dbSize(), WAIT).toBe(0);
      await client.configSet("maxmemory", "0");
      expect(await isComplete(ada, none)).toBe(false);
      await ada.append(NEWS, ["b"]);
      expect(await isComplete(ada, none)).toBe(false);
    });
  });

  test("live as long as the option says after their last message", async () => {
    const server = await start();
    const client = await admin(server.port);
    const [week, hour] = [joinNodeRedis(server.port), joinNodeRedis(server.port, { historyTtlMs: 3_600_000 })];
    await Promise.all([week.connected(), hour.connected()]);
    const ttlMs = async (member: HistoryMember, limits: HistoryLimits): Promise<number> => {
      await member.append(NEWS, ["a"], limits);
      return await client.pTTL(KEY);
    };
    const MINUTE_MS = 60_000;
    const near = (expected: number) => expect.closeTo(expected / MINUTE_MS, -1);
    const brief: HistoryLimits = { size: 10, maxAgeMs: 1_000 };
    expect(await ttlMs(week, brief) / MINUTE_MS).toEqual(near(7 * 24 * 60 * MINUTE_MS));
    expect(await ttlMs(hour, brief) / MINUTE_MS).toEqual(near(60 * MINUTE_MS));
    expect(await ttlMs(hour, { ...brief, maxAgeMs: 300 * MINUTE_MS }) / MINUTE_MS).toEqual(near(300 * MINUTE_MS));
  });

  test("keep no more in Redis than the limits allow, but the last message in any case", async () => {
    const server = await start();
    const client = await admin(server.port);
    const ada = await joinNodeRedis(server.port).connected();
    for (let i = 1; i <= 20; i++) await ada.append(NEWS, [String(i), `${i}b`], { ...AMPLE, size: 3 });
    expect(await client.xLen(KEY)).toBe(3);
    await ada.append(NEWS, Array.from({ length: 1_000 }, (_, i) => String(i)));
    const brief: HistoryLimits = { ...AMPLE, maxAgeMs: 50 };
    await expect.poll(async () => (await ada.read(NEWS, {}, brief)).oldest, WAIT).toBe(1_041);
    await ada.append(NEWS, ["last"], brief);
    expect(await client.xLen(KEY)).toBe(1);
    await expect.poll(async () => (await ada.read(NEWS, {}, brief)).oldest, WAIT).toBe(1_042);
    expect(await client.xLen(KEY)).toBe(1);
    const { epoch } = await ada.read(NEWS);
    for (const [i, nothing] of [{ ...AMPLE, maxAgeMs: 0 }, { ...AMPLE, size: 0 }].entries()) {
      expect(await ada.append(NEWS, ["not to be kept"], nothing)).toEqual({ epoch, offset: 1_042 + i });
      expect(await client.xLen(KEY)).toBe(1);
    }
  });

  test("reject what does not fit into the memory of the server, and keep and send none of that", async () => {
    const server = await start();
    const client = await admin(server.port);
    const ada = await joinNodeRedis(server.port).connected();
    await ada.broker.subscribe(NEWS);
    await client.configSet("maxmemory", "1");
    await expect(ada.append(NEWS, ["a", "b"])).rejects.toThrow(/OOM/);
    await client.configSet("maxmemory", "0");
    const { epoch } = await ada.append(NEWS, ["c"]);
    await client.configSet("maxmemory", "1");
    await expect(ada.append(NEWS, ["d"])).rejects.toThrow(/OOM/);
    await client.configSet("maxmemory", "0");
    expect(await ada.append(NEWS, ["e"])).toEqual({ epoch, offset: 2 });
    expect(await ada.heard(NEWS)).toEqual(["c", "e"]);
  });

  test("are found at once, however many messages are kept or have expired", async () => {
    const server = await start();
    const client = await admin(server.port);
    const ada = await joinNodeRedis(server.port).connected();
    const texts = Array.from({ length: 1_000 }, (_, i) => String(i));
    for (let i = 0; i < 20; i++) await ada.append(NEWS, texts);
    const looks = async (use: () => Promise<unknown>): Promise<number> => {
      await client.sendCommand(["CONFIG", "RESETSTAT"]);
      await use();
      return await callsOf(client, "xrange") + await callsOf(client, "xrevrange");
    };
    const few = { maxMessages: 1 };
    expect(await looks(() => ada.read(NEWS, few))).toBeLessThanOrEqual(3);
    expect(await looks(() => ada.append(NEWS, ["a"]))).toBeLessThanOrEqual(2);
    const { epoch } = await ada.read(NEWS);
    expect(await looks(() => ada.read(NEWS, { ...few, after: { epoch, offset: 15_000 } }))).toBeLessThanOrEqual(3);
    const brief: HistoryLimits = { ...AMPLE, maxAgeMs: 50 };
    await expect.poll(async () => (await ada.read(NEWS, {}, brief)).oldest, WAIT).toBe(20_002);
    await ada.append(NEWS, ["b"]);
    const late: HistoryLimits = { ...AMPLE, maxAgeMs: 3_000_000 };
    expect(await looks(() => ada.read(NEWS, few, brief))).toBeLessThanOrEqual(40);
    expect(await looks(() => ada.append(NEWS, ["c"], brief))).toBeLessThanOrEqual(40);
    expect(await looks(() => ada.append(NEWS, ["d"], late))).toBeLessThanOrEqual(2);
  });

  test("survive a clock that was set back: entries from the future count as expired, and offsets go on", async () => {
    const server = await start();
    const client = await admin(server.port);
    const ada = await joinNodeRedis(server.port).connected();
    const limits: HistoryLimits = { ...AMPLE, maxAgeMs: 600_000 };
    const { epoch } = await ada.append(NEWS, ["a"], limits);
    // The server would have added this message when its clock was an hour ahead.
    await client.sendCommand(["XADD", KEY, `2-${Date.now() + 3_600_000}`, epoch, "b"]);
    await client.sendCommand(["XTRIM", KEY, "MINID", "2"]);
    expect(await ada.read(NEWS, { after: { epoch, offset: 2 } }, limits)).toMatchObject({
      ...{ epoch, oldest: 3, newest: 2, isComplete: true },
    });
    expect((await ada.read(NEWS, { after: { epoch, offset: 1 } }, limits)).isComplete).toBe(false);
    expect(await ada.append(NEWS, ["c"], limits)).toEqual({ epoch, offset: 3 });
    expect(textsOf((await ada.read(NEWS, {}, limits)).messages)).toEqual([[3, "c"]]);
  });

  test("take offsets up to the largest safe integer", async () => {
    const server = await start();
    const client = await admin(server.port);
    const ada = await joinNodeRedis(server.port).connected();
    await ada.broker.subscribe(NEWS);
    const { epoch } = await ada.append(NEWS, ["a"]);
    await client.sendCommand(["XADD", KEY, `${2 ** 53 - 3}-${Date.now()}`, epoch, "b"]);
    expect(await ada.append(NEWS, ["c", "d"])).toEqual({ epoch, offset: 2 ** 53 - 1 });
    const { messages, ...state } = await ada.read(NEWS, { after: { epoch, offset: 2 ** 53 - 3 } });
    expect(state).toMatchObject({ newest: 2 ** 53 - 1, isComplete: true });
    expect(textsOf(messages)).toEqual([[2 ** 53 - 2, "c"], [2 ** 53 - 1, "d"]]);
    expect((await ada.received(3)).map(({ position }) => position!.offset)).toEqual([1, 2 ** 53 - 2, 2 ** 53 - 1]);
  });

  test("work in a node of a cluster that has the slots of all keys, with a hash tag in the prefix", async () => {
    const server = await start({
      ...redisServer,
      // By default the nodes talk to each other at a port that another program may have got for port 0.
      arguments: (port, folder) => [
        ...redisServer.arguments(port, folder),
        ...["--cluster-enabled", "yes", "--cluster-port", String(port - 10_000)],
      ],
    });
    const client = await admin(server.port);
    await client.sendCommand(["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    await expect.poll(() => client.sendCommand(["CLUSTER", "INFO"]), WAIT).toMatch(/cluster_state:ok/);
    const ada = await joinNodeRedis(server.port, { prefix: "{chat}:" }).connected();
    const topics = [NEWS, `${HISTORY_PREFIX}{a}b`, `${HISTORY_PREFIX}{c}`];
    for (const topic of topics) {
      await ada.broker.subscribe(topic);
      await ada.append(topic, [topic]);
      expect(textsOf((await ada.read(topic)).messages)).toEqual([[1, topic]]);
    }
    expect((await ada.received(3)).map(({ topic }) => topic)).toEqual(topics);
    const slots = await Promise.all(
      (await client.keys("*")).map((key) => client.sendCommand(["CLUSTER", "KEYSLOT", key])),
    );
    expect([slots.length, new Set(slots).size]).toEqual([3, 1]);
  });

  test("ignore what others publish on the channel of a topic", async () => {
    const server = await start();
    const client = await admin(server.port);
    const ada = await joinNodeRedis(server.port).connected();
    await ada.broker.subscribe(NEWS);
    for (const message of ["", "hello", "e:0:hello", "e f:1:hello"]) await client.publish(`spacenode:${NEWS}`, message);
    await ada.append(NEWS, ["a"]);
    expect(await ada.heard(NEWS)).toEqual(["a"]);
  });

  test.each([
    ["EVAL", "-eval", /NOPERM/],
    ["INFO", "-info", /NOPERM|can't run this command|permission/i],
  ])("reject when the rules of the server forbid %s", async (_name, rule, message) => {
    const rules = ["--user", "default", "on", "nopass", "+@all", "~*", "&*", rule];
    const server = await start(redisServerWith(...rules));
    const ada = await joinNodeRedis(server.port).connected();
    await expect(ada.append(NEWS, ["a"])).rejects.toThrow(message);
    await expect(ada.read(NEWS)).rejects.toThrow(message);
    await ada.broker.subscribe("plain");
    await ada.publish("plain", "hello");
    expect((await ada.received(1))[0].bytes.toString()).toBe("hello");
  });
});
