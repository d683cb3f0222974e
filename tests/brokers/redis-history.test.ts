/** The histories of the Redis broker: the contract with a real server, and the commands without one. */

import { describe, expect, test } from "vitest";
import { HISTORY_PREFIX, type HistoryPosition } from "../../src/app/pubsub/broker.ts";
import { readLive, RedisHistories } from "../../src/brokers/redis-history.ts";
import { ALL, AMPLE, testHistories } from "../support/history-contract.ts";
import { openIoredis, openNodeRedis } from "../support/redis-clients.ts";
import { redisServer } from "../support/redis-server.ts";
import { isInstalled, ServerProgram } from "../support/server-program.ts";

const LIBRARIES = [
  ["node-redis", (port: number) => openNodeRedis(port, 3)],
  ["node-redis with RESP2", (port: number) => openNodeRedis(port, 2)],
  ["ioredis", (port: number) => openIoredis(port, 3)],
  ["ioredis with RESP2", (port: number) => openIoredis(port, 2)],
] as const;

for (const [name, open] of LIBRARIES) {
  testHistories({
    name,
    isInstalled: isInstalled(redisServer),
    async createStore() {
      const server = await (await ServerProgram.create(redisServer)).start();
      return { open: () => open(server.port), dispose: () => server.dispose() };
    },
  });
}

describe("readLive", () => {
  const LONGEST = "a".repeat(64);

  test.each<[message: string, epoch: string, offset: number, bytes: string]>([
    ["e-1_Z:1:hello", "e-1_Z", 1, "hello"],
    ["e:12:", "e", 12, ""],
    ["e:12::13:hello", "e", 12, ":13:hello"],
    [`${LONGEST}:9007199254740991:hello`, LONGEST, 2 ** 53 - 1, "hello"],
  ])("takes the header off: %s", (message, epoch, offset, bytes) => {
    const live = readLive(Buffer.from(message))!;
    expect([live.position, String(live.bytes)]).toEqual([{ epoch, offset }, bytes]);
  });

  test.each([
    "",
    "hello",
    ":1:hello",
    "e:1",
    "e:0:hello",
    "e:01:hello",
    "e:-1:hello",
    "e:1.5:hello",
    "e::hello",
    "e f:1:hello",
    "\0:1:hello",
    " e:1:hello",
    `${LONGEST}a:1:hello`,
    "e:9007199254740992:hello",
    "e:90071992547409910:hello",
  ])("ignores what has no header: %j", (message) => {
    expect(readLive(Buffer.from(message))).toBeUndefined();
  });
});

describe("RedisHistories", () => {
  const NEWS = `${HISTORY_PREFIX}news`;

  function open(reply: unknown): { histories: RedisHistories; calls: string[][] } {
    const calls: string[][] = [];
    const settings = { prefix: "{chat}:", historyTtlMs: 5_000_000, durable: false };
    const histories = new RedisHistories((args) => {
      calls.push(args.map(String));
      return Promise.resolve(reply);
    }, settings);
    return { histories, calls };
  }

  test("has one key for each topic, which begins with the prefix", async () => {
    const { histories, calls } = open([Buffer.from("e"), Buffer.from("7")]);
    expect(await histories.append(NEWS, [Buffer.from("hello")], AMPLE)).toEqual({ epoch: "e", offset: 7 });
    const [name, , keyCount, key, ...args] = calls[0];
    expect([name, keyCount, key]).toEqual(["EVAL", "1", "{chat}:history:news"]);
    expect(args).toEqual(["", "3600000", "100000", "5000000", expect.any(String), "{chat}:\0history:news", "hello"]);
  });

  test("keeps a history at least as long as its messages", async () => {
    const { histories, calls } = open([Buffer.from("e"), Buffer.from("7")]);
    await histories.append(NEWS, [Buffer.from("hello")], { size: 1, maxAgeMs: 6_000_000 });
    expect(calls[0][7]).toBe("6000000");
  });

  test("numbers the messages from the place on where they begin", async () => {
    const { histories } = open([...["e", "5", "7"].map((text) => Buffer.from(text)), 1, [
      Buffer.from("a"),
      Buffer.from("b"),
    ]]);
    const offsets = async (after?: HistoryPosition): Promise<number[]> =>
      (await histories.read(NEWS, { ...ALL, after }, AMPLE)).messages.map(({ offset }) => offset);
    expect(await offsets()).toEqual([5, 6]);
    expect(await offsets({ epoch: "e", offset: 5 })).toEqual([6, 7]);
  });

  test("takes a number as a text, as ioredis gives them when it is told to", async () => {
    const { histories } = open([...["e", "5", "7"].map((text) => Buffer.from(text)), "1", [Buffer.from("a")]]);
    expect(await histories.read(NEWS, ALL, AMPLE)).toEqual({
      ...{ epoch: "e", oldest: 5, newest: 7, isComplete: true },
      messages: [{ offset: 5, bytes: Buffer.from("a") }],
    });
  });
});
