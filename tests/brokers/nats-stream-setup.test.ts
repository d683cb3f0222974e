/** The stream of histories is found or made, and checked, on a real server. */
import { jetstream, type JetStreamManager, jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { HISTORY_PREFIX, type HistoryLimits } from "../../src/app/pubsub/broker.ts";
import type { NatsJetStreamManager, NatsStreamInfo } from "../../src/brokers/nats-client.ts";
import { setUpStream } from "../../src/brokers/nats-stream-setup.ts";
import { createServer } from "../support/broker-contract.ts";
import { AMPLE, textsOf } from "../support/history-contract.ts";
import { connected, natsServer, natsServerWith, openMember } from "../support/nats-server.ts";
import { isInstalled, ServerProgram } from "../support/server-program.ts";

const TOPIC = `${HISTORY_PREFIX}news`;
const NS_PER_DAY = 86_400e9;

describe("a stream that the server is still making, which it must not be asked for a message of", () => {
  const config: NatsStreamInfo["config"] = {
    name: "test_history",
    retention: "limits",
    discard: "old",
    max_msgs_per_subject: -1,
    republish: { src: "test.*.*.history", dest: "test.{{wildcard(1)}}.{{wildcard(2)}}.live" },
  };
  const state = { messages: 0, first_seq: 0, last_seq: 0 };
  const UNMADE: NatsStreamInfo = { config, state, created: "0001-01-01T00:00:00Z" };
  const MADE: NatsStreamInfo = { config, state, created: "2026-01-02T03:04:05.678Z" };
  const NEEDS = { size: 10, ageMs: 1_000 };

  /** A server that gives one state of the stream after the other, and the last one again and again. */
  const managerOf = (isFound: boolean, states: readonly NatsStreamInfo[]) => {
    let looks = 0;
    const look = (): Promise<NatsStreamInfo> => Promise.resolve(states[Math.min(looks++, states.length - 1)]!);
    const find = isFound
      ? () => Promise.resolve("test_history")
      : () => Promise.reject(Object.assign(new Error(), { code: 10059 }));
    const streams = { find, info: look, add: look } as unknown as NatsJetStreamManager["streams"];
    return { manager: { streams } as NatsJetStreamManager, looks: () => looks };
  };

  test.each([["found", true], ["made", false]])("is waited for when it is %s", async (_name, isFound) => {
    const { manager, looks } = managerOf(isFound, [UNMADE, UNMADE, UNMADE, MADE]);
    const found = await setUpStream(manager, "test", NEEDS);
    expect([found.created, looks()]).toEqual([Date.parse(MADE.created), 4]);
  });

  test("is not waited for without end", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { manager } = managerOf(true, [UNMADE]);
    const setUp = expect(setUpStream(manager, "test", NEEDS)).rejects.toThrow("has not made the stream test_history");
    await vi.advanceTimersByTimeAsync(60_000);
    await setUp;
  });
});

describe.skipIf(!isInstalled(natsServer))("the stream of histories (nats-server)", () => {
  let server: ServerProgram;
  let manager: JetStreamManager;
  let prefix: string;
  let prefixCount = 0;

  beforeAll(async () => {
    server = await (await ServerProgram.create(natsServer)).start();
  });

  afterAll(() => server.dispose());

  // Each test has a prefix of its own, and so a stream of its own.
  beforeEach(async () => {
    prefix = `test.no_${++prefixCount}`;
    manager = await jetstreamManager(await connected(server.port));
  });

  /** Makes a stream as a user would, which fits but for the changes. */
  const makeStream = async (changes: Partial<StreamConfig> = {}): Promise<void> => {
    await manager.streams.add({
      name: `MINE_${prefixCount}`,
      subjects: [`${prefix}.*.*.history`],
      republish: { src: `${prefix}.*.*.history`, dest: `${prefix}.{{wildcard(1)}}.{{wildcard(2)}}.live` },
      ...changes,
    });
  };

  const configOf = async (name: string): Promise<StreamConfig> => (await manager.streams.info(name)).config;

  test("is made when it is used first, for all topics of a prefix", async () => {
    const { member } = await openMember(server.port, { prefix });
    await member.append(TOPIC, ["a"], { size: 10, maxAgeMs: 1_000 });
    const name = `test_no_${prefixCount}_history`;
    expect(await configOf(name)).toMatchObject({
      subjects: [`${prefix}.*.*.history`],
      ...{ max_msgs_per_subject: 111, max_age: 7 * NS_PER_DAY, storage: "file", num_replicas: 1 },
    });
    await member.append(`${TOPIC} of others`, ["a"], { size: 10, maxAgeMs: 1_000 });
    expect(await manager.streams.find(`${prefix}.x.y.history`)).toBe(name);
  });

  test("is made by a read too, which stores nothing in it", async () => {
    const { member } = await openMember(server.port, { prefix });
    await member.read(TOPIC);
    expect((await manager.streams.info(`test_no_${prefixCount}_history`)).state.messages).toBe(0);
  });

  test("keeps what is in it when a user has made it and used it before", async () => {
    await makeStream();
    await jetstream(await connected(server.port)).publish(`${prefix}.x.y.history`, "from the user");
    const { member } = await openMember(server.port, { prefix });
    expect(await member.append(TOPIC, ["a"])).toMatchObject({ offset: 1 });
    expect((await manager.streams.info(`MINE_${prefixCount}`)).state).toMatchObject({ messages: 2, last_seq: 2 });
  });

  test("is made once by brokers that begin at the same time, and keeps what the most demanding of them needs", async () => {
    const members = await Promise.all(Array.from({ length: 6 }, () => openMember(server.port, { prefix })));
    const all: HistoryLimits[] = members.map((_, i) => ({
      size: 100 * (i % 3 + 1),
      maxAgeMs: (i % 2 + 1) * 604_800_000,
    }));
    await Promise.all(members.map(({ member }, i) => member.append(TOPIC, [String(i)], all[i])));
    const { messages } = await members[0]!.member.read(TOPIC);
    expect(textsOf(messages).map(([, text]) => text).sort()).toEqual(["0", "1", "2", "3", "4", "5"]);
    for (const [i, { member }] of members.entries()) await member.append(TOPIC, ["again"], all[i]);
    expect(await configOf(`test_no_${prefixCount}_history`)).toMatchObject({ max_age: 14 * NS_PER_DAY });
  });

  test("gets higher limits when a topic is to keep more, and never lower ones", async () => {
    const name = `test_no_${prefixCount}_history`;
    const { member } = await openMember(server.port, { prefix, historyTtlMs: 60_000 });
    const limits = async (): Promise<number[]> => {
      const { max_msgs_per_subject, max_age } = await configOf(name);
      return [max_msgs_per_subject, max_age / 1e9];
    };
    await member.append(TOPIC, ["a"], { size: 10, maxAgeMs: 1_000 });
    expect(await limits()).toEqual([111, 60]);
    await member.append(TOPIC, ["b"], { size: 200, maxAgeMs: 1_000 });
    expect(await limits()).toEqual([320, 60]);
    await member.read(TOPIC, {}, { size: 5, maxAgeMs: 90_000 });
    expect(await limits()).toEqual([320, 90]);
    const { member: other } = await openMember(server.port, { prefix, historyTtlMs: 1_000 });
    await other.append(TOPIC, ["c"], { size: 1, maxAgeMs: 1_000 });
    expect(await limits()).toEqual([320, 90]);
    expect((await member.read(TOPIC)).messages).toHaveLength(3);
  });

  test("may keep messages for longer than the server can count, which is for ten years then", async () => {
    const { member } = await openMember(server.port, { prefix });
    await member.append(TOPIC, ["a"], { size: 10, maxAgeMs: Number.MAX_SAFE_INTEGER });
    expect((await configOf(`test_no_${prefixCount}_history`)).max_age).toBe(3_650 * NS_PER_DAY);
  });

  test.each<[name: string, changes: Partial<StreamConfig>]>([
    ["without limits", {}],
    ["with limits that are high enough", { max_msgs_per_subject: 1_000, max_age: 30 * NS_PER_DAY }],
    ["in memory, with a limit on its bytes", { storage: "memory" as StreamConfig["storage"], max_bytes: 10_000_000 }],
  ])("is taken as it is when a user has made it: %s", async (_name, changes) => {
    await makeStream(changes);
    const before = await configOf(`MINE_${prefixCount}`);
    const { member } = await openMember(server.port, { prefix });
    await member.broker.subscribe(TOPIC);
    const position = await member.append(TOPIC, ["a"], { size: 1_000, maxAgeMs: 1_000 });
    expect((await member.received(1))[0].position).toEqual(position);
    expect(await configOf(`MINE_${prefixCount}`)).toEqual(before);
    expect((await manager.streams.info(`MINE_${prefixCount}`)).state.messages).toBe(1);
  });

  test("is taken when it names the token of the topic in the older way", async () => {
    await makeStream({ republish: { src: `${prefix}.*.*.history`, dest: `${prefix}.$1.$2.live` } });
    const { member } = await openMember(server.port, { prefix });
    await member.broker.subscribe(TOPIC);
    await member.append(TOPIC, ["a"]);
    expect((await member.received(1))[0].bytes.toString()).toBe("a");
  });

  test.each<[name: string, changes: (prefix: string) => Partial<StreamConfig>, fault: RegExp]>([
    ["it does not republish", () => ({ republish: undefined as never }), /republish must be \{"src":"test/],
    ["it republishes to another subject", (prefix) => ({
      republish: { src: `${prefix}.*.*.history`, dest: `${prefix}.{{wildcard(1)}}.{{wildcard(2)}}.other` },
    }), /republish must be/],
    ["it republishes headers only", (prefix) => ({
      republish: {
        src: `${prefix}.*.*.history`,
        dest: `${prefix}.{{wildcard(1)}}.{{wildcard(2)}}.live`,
        headers_only: true,
      },
    }), /republish must be/],
    ["it keeps messages for consumers", () => ({
      retention: "interest" as StreamConfig["retention"],
    }), /retention must be "limits"/],
    ["it refuses new messages", () => ({ discard: "new" as StreamConfig["discard"] }), /discard must be "old"/],
    ["it does not confirm", () => ({ no_ack: true }), /no_ack must be false/],
    ["it keeps too few", () => ({ max_msgs_per_subject: 99 }), /max_msgs_per_subject must be at least 100, or -1/],
    ["it keeps for too short a time", () => ({
      max_age: 3_600e9,
    }), /max_age must be at least 604800000 ms, or 0/],
  ])("does not fit if %s, which an error says", async (_name, changes, fault) => {
    await makeStream(changes(prefix));
    const before = await configOf(`MINE_${prefixCount}`);
    const { member } = await openMember(server.port, { prefix });
    const limits = { size: 100, maxAgeMs: 1_000 };
    await expect(member.append(TOPIC, ["a"], limits)).rejects.toThrow(fault);
    await expect(member.read(TOPIC, {}, limits)).rejects.toThrow(
      `The stream MINE_${prefixCount} cannot keep histories: `,
    );
    expect(await configOf(`MINE_${prefixCount}`)).toEqual(before);
    // Once the stream fits, the same broker goes on.
    await manager.streams.delete(`MINE_${prefixCount}`);
    expect(await member.append(TOPIC, ["a"], limits)).toMatchObject({ offset: 1 });
  });

  test("cannot be made when a stream that has some of its subjects stands in the way", async () => {
    await makeStream({ subjects: [`${prefix}.bmV3cw.*.history`], republish: undefined as never });
    const { member } = await openMember(server.port, { prefix });
    await expect(member.append(TOPIC, ["a"])).rejects.toThrow(
      /^Topics with a history need JetStream, and a stream in it: subjects overlap/,
    );
  });
});

describe.skipIf(!isInstalled(natsServer))("a server that keeps no histories (nats-server)", () => {
  test("has no JetStream", async () => {
    const kind = { ...natsServer, arguments: (port: number) => ["--addr", "127.0.0.1", "--port", String(port)] };
    const server = await (await createServer(kind)).start();
    const { member } = await openMember(server.port);
    const message = "Topics with a history need JetStream, and a stream in it: jetstream is not enabled";
    await expect(member.append(TOPIC, ["a"])).rejects.toThrow(message);
    await expect(member.read(TOPIC)).rejects.toThrow(message);
    await member.broker.subscribe("plain");
    await member.publish("plain", "still heard");
    expect(await member.heard("plain")).toEqual(["still heard"]);
  });

  test("has JetStream, but not for the account", async () => {
    const rules = "accounts { APP { users = [{ user: ada, password: pw }] } }";
    const server = await (await createServer(natsServerWith(rules))).start();
    const { member } = await openMember(server.port, {}, { user: "ada", pass: "pw" });
    await expect(member.append(TOPIC, ["a"])).rejects.toThrow(/need JetStream, and a stream in it: /);
    await expect(member.read(TOPIC)).rejects.toThrow(/need JetStream, and a stream in it: /);
  });

  test("has rules that forbid the use of JetStream", async () => {
    const rules = `authorization { users = [
      { user: ada, password: pw, permissions: { publish: { deny: "$JS.API.>" } } }
    ] }`;
    const server = await (await createServer(natsServerWith(rules))).start();
    const { member } = await openMember(server.port, {}, { user: "ada", pass: "pw" });
    await expect(member.append(TOPIC, ["a"], AMPLE)).rejects.toThrow(/permissions violation/i);
    await expect(member.read(TOPIC)).rejects.toThrow(/permissions violation/i);
  });
});
