/** Messages are put at the end of histories, whoever appends at the same time, with a real server. */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstream } from "@nats-io/jetstream";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { HISTORY_PREFIX, type HistoryPosition } from "../../src/app/pubsub/broker.ts";
import { natsBroker } from "../../src/brokers/nats.ts";
import { Appender } from "../../src/brokers/nats-appender.ts";
import type { HistoryStream } from "../../src/brokers/nats-stream.ts";
import { createServer } from "../support/broker-contract.ts";
import { AMPLE, HistoryMember, textsOf } from "../support/history-contract.ts";
import { connected, natsServer, openMember, subjectOf } from "../support/nats-server.ts";
import { usedBytes } from "../support/memory.ts";
import { isInstalled, ServerProgram } from "../support/server-program.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

const STREAM = "spacenode_history";

describe.skipIf(!isInstalled(natsServer))("appending to histories (nats-server)", () => {
  let server: ServerProgram;
  let topic: string;
  let topicCount = 0;

  beforeAll(async () => {
    server = await (await ServerProgram.create(natsServer)).start();
  });

  afterAll(() => server.dispose());

  // Each test has a topic of its own.
  beforeEach(() => {
    topic = `${HISTORY_PREFIX}topic ${++topicCount}`;
  });

  /** A broker whose client publishes to the stream with `publish`. */
  const openSpied = async () => {
    const connection = await connected(server.port);
    const client = jetstream(connection);
    const publish = vi.spyOn(client, "publish");
    const member = new HistoryMember(natsBroker(connection, { jetstream: () => client }));
    onTestFinished(async () => void await member.broker.close());
    return { member: await member.connected(), publish };
  };

  const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));

  test("gives each offset once to two brokers that append 1,000 messages each, and both hear the same", async () => {
    const members = [(await openMember(server.port)).member, (await openMember(server.port)).member];
    for (const { broker } of members) await broker.subscribe(topic);
    const positions = await Promise.all(members.map(async (member, who) => {
      const own: HistoryPosition[] = [];
      // Ten calls are on their way at once, so that the brokers meet all the time.
      await Promise.all(Array.from({ length: 10 }, async (_, lane) => {
        for (let i = 0; i < 100; i++) own.push(await member.append(topic, [`${who} ${lane} ${i}`]));
      }));
      return own;
    }));
    const offsets = positions.flat().map(({ offset }) => offset).sort((a, b) => a - b);
    expect(offsets).toEqual(Array.from({ length: 2_000 }, (_, i) => i + 1));
    expect(new Set(positions.flat().map(({ epoch }) => epoch)).size).toBe(1);
    const { messages } = await members[0]!.read(topic);
    expect(messages.map(({ offset }) => offset)).toEqual(offsets);
    for (const member of members) {
      const live = (await member.received(2_000)).map(({ position, bytes }) => [position!.offset, bytes.toString()]);
      expect(live).toEqual(textsOf(messages));
    }
  });

  test("sends the calls that wait as one message of the stream, in their order", async () => {
    const { member, publish } = await openSpied();
    const texts = numbered(5_000);
    const positions = await Promise.all(texts.map((text) => member.append(topic, [text])));
    expect(positions.map(({ offset }) => offset)).toEqual(texts.map((text) => Number(text) + 1));
    expect(textsOf((await member.read(topic)).messages).map(([, text]) => text)).toEqual(texts);
    expect(publish.mock.calls.length).toBeLessThan(10);
  });

  test("does not wait for one topic to append to another", async () => {
    const { member, publish } = await openSpied();
    await member.append(topic, ["the stream is there"]);
    const held = Promise.withResolvers<never>();
    publish.mockReturnValueOnce(held.promise);
    const stuck = member.append(topic, ["stuck"]);
    expect(await member.append(`${topic} of others`, ["free"])).toMatchObject({ offset: 1 });
    held.reject(new Error("timeout"));
    await expect(stuck).rejects.toThrow("timeout");
  });

  test("joins calls up to 64 KiB, and takes a longer one alone, up to max_payload", async () => {
    const { member, publish } = await openSpied();
    const lengths = [30_000, 30_000, 30_000, 1_000_000, 1, 1];
    await Promise.all(lengths.map((length) => member.broker.append!(topic, [Buffer.alloc(length)], AMPLE)));
    const sent = publish.mock.calls.map(([, payload]) => Math.round((payload as Uint8Array).length / 10_000));
    expect(sent).toEqual([6, 3, 100, 0]);
    const { messages } = await member.read(topic);
    expect(messages.map(({ bytes }) => bytes.length)).toEqual(lengths);
  });

  test("refuses what is longer than max_payload, and appends what waits behind it", async () => {
    const { member } = await openMember(server.port);
    const results = await Promise.allSettled([
      member.append(topic, ["before"]),
      member.broker.append!(topic, [Buffer.alloc(600_000), Buffer.alloc(600_000)], AMPLE),
      member.append(topic, ["behind"]),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(results[1]).toMatchObject({
      reason: new RangeError(
        "Messages of 1200082 bytes are too long for one append: the limit is 1048576 bytes, the max_payload of the " +
          "NATS server",
      ),
    });
    expect(textsOf((await member.read(topic)).messages)).toEqual([[1, "before"], [2, "behind"]]);
  });

  test("does not repeat a message that the server has taken but not confirmed", async () => {
    const proxy = await TcpProxy.start(server.port);
    onTestFinished(() => proxy.dispose());
    const { member: ada } = await openMember(proxy.port);
    const { member: bob } = await openMember(server.port);
    await bob.broker.subscribe(topic);
    const { epoch } = await ada.append(topic, ["first"]);
    proxy.isMute = true;
    const lost = Promise.allSettled([ada.append(topic, ["unconfirmed"]), ada.append(topic, ["with it"])]);
    await bob.received(3);
    proxy.cut();
    proxy.isMute = false;
    expect((await lost).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await ada.away();
    await ada.connected();
    expect(await ada.append(topic, ["last"])).toEqual({ epoch, offset: 4 });
    expect(textsOf((await ada.read(topic)).messages)).toEqual([
      ...[[1, "first"], [2, "unconfirmed"], [3, "with it"], [4, "last"]],
    ]);
  });

  test("sends nothing after a call was rejected because the link was cut", async () => {
    const { member, publish } = await openSpied();
    await member.append(topic, ["first"]);
    const answer = Promise.withResolvers<never>();
    publish.mockReturnValueOnce(answer.promise);
    const results = Promise.allSettled([member.append(topic, ["second"]), member.append(topic, ["third"])]);
    const fourth = member.append(topic, ["fourth"]).catch((error: Error) => error.message);
    await vi.waitFor(() => expect(publish).toHaveBeenCalledTimes(2));
    await member.broker.close();
    answer.reject(Object.assign(new Error("wrong last sequence"), { code: 10071 }));
    expect((await results).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(await fourth).toBe("The broker is closed");
    const { member: other } = await openMember(server.port);
    await other.append(topic, ["from another"]);
    expect(textsOf((await other.read(topic)).messages)).toEqual([[1, "first"], [2, "from another"]]);
    expect(publish).toHaveBeenCalledTimes(2);
  });

  test("gives up when each attempt fails, and says why", async () => {
    const { member, publish } = await openSpied();
    await member.append(topic, ["first"]);
    const conflict = Object.assign(new Error("wrong last sequence"), { code: 10071 });
    const random = vi.spyOn(Math, "random").mockReturnValue(0);
    onTestFinished(() => void random.mockRestore());
    publish.mockImplementation(() => Promise.reject(conflict));
    const failed = await member.append(topic, ["never"]).catch((error: Error) => error);
    expect(failed).toEqual(new Error("The messages are not stored: each of 1000 attempts failed", { cause: conflict }));
    expect(publish).toHaveBeenCalledTimes(1 + 1_000);
    publish.mockRestore();
    expect(await member.append(topic, ["second"])).toMatchObject({ offset: 2 });
  });

  test("gives each of several brokers its turn, although all append without a pause and none is subscribed", async () => {
    const members = await Promise.all(Array.from({ length: 6 }, async () => (await openMember(server.port)).member));
    await Promise.all(members.map(async (member) => {
      for (let i = 0; i < 100; i++) await member.append(topic, ["hello"]);
    }));
    expect((await members[0]!.read(topic, { maxMessages: 0 })).newest).toBe(600);
  });

  test("begins a new epoch behind a message that is not from a broker", async () => {
    const { member, connection, manager } = await openMember(server.port);
    const before = await member.append(topic, ["a"]);
    await member.broker.subscribe(topic);
    await jetstream(connection).publish(await subjectOf(manager, topic), "from a stranger");
    expect(await member.read(topic, { after: before })).toMatchObject({ newest: 0, isComplete: false });
    const { epoch } = await member.append(topic, ["b"]);
    expect(epoch).not.toBe(before.epoch);
    expect(textsOf((await member.read(topic)).messages)).toEqual([[1, "b"]]);
    expect(await member.read(topic, { after: before })).toMatchObject({ newest: 1, isComplete: false, messages: [] });
    expect(await member.heard(topic)).toEqual(["b"]);
  });

  test("knows the end of a topic that it hears, and appends in one round trip", async () => {
    const { member: ada, publish } = await openSpied();
    const { member: bob } = await openMember(server.port);
    await ada.broker.subscribe(topic);
    for (let i = 1; i <= 20; i++) {
      await bob.append(topic, ["from Bob"]);
      await ada.received(2 * i - 1);
      await ada.append(topic, ["from Ada"]);
      await ada.received(2 * i);
    }
    expect(publish).toHaveBeenCalledTimes(20);
  });
});

test("the ends of topics that are remembered take a bounded part of the memory", async () => {
  const appender = new Appender({} as HistoryStream);
  const hear = (from: number, count: number): void => {
    for (let i = from; i < from + count; i++) {
      appender.heard(`topic ${i}`, 1, { epoch: "epoch", messages: [{ offset: i, bytes: new Uint8Array() }] });
    }
  };
  hear(0, 20_000);
  const before = await usedBytes();
  hear(20_000, 200_000);
  expect(await usedBytes() - before).toBeLessThan(10 * 1024 * 1024);
  appender.cut(new Error("over"));
});

describe.skipIf(!isInstalled(natsServer))("appending while the stream changes (nats-server)", () => {
  const open = async () => {
    const server = await (await createServer(natsServer)).start();
    const { member: ada, manager } = await openMember(server.port);
    return { ada, bob: (await openMember(server.port)).member, manager, topic: `${HISTORY_PREFIX}news` };
  };

  test("begins new epochs when the stream was deleted", async () => {
    const { ada, bob, manager, topic } = await open();
    const epochs = new Set<string>();
    for (let round = 1; round <= 3; round++) {
      await bob.append(topic, ["from Bob"]);
      const before = await ada.append(topic, [`round ${round}`]);
      expect(before.offset).toBe(2);
      epochs.add(before.epoch);
      await manager.streams.delete(STREAM);
      expect(await ada.read(topic, { after: before })).toMatchObject({ isComplete: false, newest: 0, messages: [] });
    }
    expect(epochs.size).toBe(3);
  });

  test("goes on at once when the stream was deleted", async () => {
    const { ada, manager, topic } = await open();
    const { epoch } = await ada.append(topic, ["a"]);
    await manager.streams.delete(STREAM);
    expect(await ada.append(topic, ["b"])).toEqual({ epoch: expect.not.stringContaining(epoch), offset: 1 });
    await manager.streams.delete(STREAM);
    expect(await ada.append(`${topic} of others`, ["c"])).toMatchObject({ offset: 1 });
  });

  test("begins a new epoch when the server has lost the last messages, so that no offset is given twice", async () => {
    let folder = "";
    const kind = {
      ...natsServer,
      arguments: (port: number, given: string) => natsServer.arguments(port, folder = given),
    };
    const server = await (await createServer(kind)).start();
    const { member: ada } = await openMember(server.port);
    const { member: bob } = await openMember(server.port);
    const topic = `${HISTORY_PREFIX}news`;
    const { epoch } = await ada.append(topic, ["a", "b"]);
    const backup = await mkdtemp(join(tmpdir(), "spacenode-"));
    onTestFinished(() => rm(backup, { recursive: true, force: true }));
    await server.stop();
    await cp(folder, backup, { recursive: true });
    const restart = async (): Promise<void> => {
      await server.start();
      await Promise.all([ada.connected(), bob.connected()]);
    };
    await Promise.all([ada.away(), bob.away()]);
    await restart();
    const lost = await ada.append(topic, ["lost"]);
    expect(lost).toEqual({ epoch, offset: 3 });
    await server.stop();
    await Promise.all([ada.away(), bob.away()]);
    await rm(folder, { recursive: true });
    await cp(backup, folder, { recursive: true });
    await restart();
    // The position lies behind the newest message.
    expect(await bob.read(topic, { after: lost })).toMatchObject({ epoch, newest: 2, isComplete: false });
    const position = await ada.append(topic, ["c"]);
    expect(position).toEqual({ epoch: expect.not.stringContaining(epoch), offset: 1 });
    expect(await bob.read(topic, { after: lost })).toMatchObject({ isComplete: false, messages: [] });
    const { messages, ...state } = await bob.read(topic);
    expect(state).toEqual({ epoch: position.epoch, oldest: 1, newest: 1, isComplete: true });
    expect(textsOf(messages)).toEqual([[1, "c"]]);
  });

  test("does not take a message of a stream that was made anew for one that it knows, whatever their sequences", async () => {
    const { ada, bob, manager, topic } = await open();
    await ada.append(`${topic} of others`, ["first in the stream"]);
    const before = await ada.append(topic, ["second"]);
    await manager.streams.delete(STREAM);
    // The stream has the same sequences again, and Bob's message has the one that Ada knows.
    await bob.append(`${topic} of others`, ["first in the stream"]);
    const { epoch } = await bob.append(topic, ["second"]);
    expect(await ada.append(topic, ["third"])).toEqual({ epoch, offset: 2 });
    expect(await ada.read(topic, { after: before })).toMatchObject({ isComplete: false, newest: 2, messages: [] });
  });

  test("rejects a message that begins a history in a stream that was made anew at that moment", async () => {
    const { ada, bob, manager, topic } = await open();
    await ada.append(`${topic} of others`, ["the stream is there"]);
    const info = vi.spyOn(Object.getPrototypeOf(manager.streams), "info");
    onTestFinished(() => void info.mockRestore());
    // The stream is made anew between the check of its state and the message.
    info.mockImplementationOnce(async () => {
      info.mockRestore();
      const state = await manager.streams.info(STREAM);
      await manager.streams.delete(STREAM);
      await bob.append(`${topic} of others`, ["anew"]);
      return state;
    });
    await expect(ada.append(topic, ["lost"])).rejects.toThrow("The stream of histories was made anew");
    expect(await ada.append(topic, ["kept"])).toMatchObject({ offset: 1 });
    expect(textsOf((await bob.read(topic)).messages)).toEqual([[1, "kept"]]);
  });
});
