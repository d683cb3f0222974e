// RFC 6455 §5.5.3: of several Pings only the newest need be answered. Behind bytes that a peer does not read, Pongs
// cost the memory of one payload, and the peer's Pings do not make it alive.

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ConnectionTimers } from "../../src/transport/timers/connection-timers.ts";
import { until } from "../support/app.ts";
import { block, type Pair, pair, SETTINGS, stall } from "../support/connection.ts";
import { close, opcodes, ping, type ServerFrame, text } from "../support/frames.ts";

// What has come is read before an item falls due. Here nothing comes, so that everything is due at its moment.
vi.mock(import("../../src/platform.ts"), async (original) => ({ ...await original(), afterReading: (task) => task() }));

/** A connection whose client does not read. */
async function stalledPair(timers: ConnectionTimers = SETTINGS.timers): Promise<Pair & { sent: number }> {
  const one = await pair({ maxBufferedBytes: 100_000_000, timers });
  one.connection.start();
  const sent = await stall(one, 3_000_000);
  await nextTurn();
  return { ...one, sent };
}

/** Sends that many Pings, each with another payload, and waits until the server has read them. */
async function sendPings({ client, recorder }: Pair, count: number, name: string = ""): Promise<void> {
  const before = recorder.of("ping").length;
  client.send(Buffer.concat(Array.from({ length: count }, (_, i) => ping(`${name}${i}`.padEnd(125, "p")))));
  await until(() => recorder.of("ping").length === before + count);
}

const readable = ({ opcode, payload }: ServerFrame): string => `${opcode} ${`${payload}`.replace(/p+$/, "")}`;

/** All frames up to the text "end", without the large blocks. */
async function readToEnd({ client, connection }: Pair): Promise<string[]> {
  connection.send("end");
  client.resume();
  await until(() => client.frames.some(({ opcode }) => opcode === opcodes.text));
  return client.frames.filter(({ payload }) => payload.length !== block.length).map(readable);
}

describe("Pings of a peer that does not read", () => {
  test("cost one Pong in the queue, and one behind it: the newest", async () => {
    const one = await stalledPair();
    const before = one.connection.bufferedAmount;
    for (let i = 0; i < 5; i++) await sendPings(one, 5_000, `${i} `);
    expect(one.connection.bufferedAmount).toBe(before + 127);
    expect(await readToEnd(one)).toEqual(["10 0 0", "1 end", "10 4 4999"]);
  });

  test("are answered one by one again as soon as it reads", async () => {
    const one = await stalledPair();
    await sendPings(one, 100, "late ");
    await readToEnd(one);
    await until(() => one.connection.bufferedAmount === 0);
    const before = one.client.frames.length;
    await sendPings(one, 50, "now ");
    await until(() => one.client.frames.length === before + 50);
    expect(one.client.frames.slice(before).map(readable)).toEqual(Array.from({ length: 50 }, (_, i) => `10 now ${i}`));
  });

  test("are answered in their order with what is sent between them", async () => {
    const one = await stalledPair();
    one.connection.send("before");
    await sendPings(one, 1);
    one.connection.send(Buffer.from("behind"));
    one.client.resume();
    const frames = one.client.frames;
    await until(() => frames.at(-1)?.opcode === opcodes.binary && frames.at(-1)!.payload.length === 6);
    expect(frames.slice(one.sent).map(readable)).toEqual(["1 before", "10 0", "2 behind"]);
  });

  test("are kept apart from the chunk that they came in", async () => {
    const one = await stalledPair();
    const payloads: Uint8Array[] = [];
    vi.spyOn(one.connection, "onPing").mockImplementation((payload) => void payloads.push(payload));
    one.client.send(ping("first"), ping("kept"));
    await until(() => payloads.length === 2);
    // Even when the chunk is changed, the answer has the payload of the Ping.
    for (const payload of payloads) payload.fill(0);
    expect(await readToEnd(one)).toEqual(["10 first", "1 end", "10 kept"]);
  });

  test("are not answered behind a Close, which comes last", async () => {
    const one = await stalledPair();
    await sendPings(one, 10);
    one.connection.close(4000, "");
    await sendPings(one, 10);
    one.client.resume();
    await until(() => one.client.closeFrame !== undefined);
    one.client.send(close(4000));
    expect((await one.client.closed()).code).toBe(4000);
    expect(one.client.frames.slice(one.sent).map(({ opcode }) => opcode)).toEqual([opcodes.pong, opcodes.close]);
  });
});

describe("Pongs that answer no Ping", () => {
  test("cost one payload too where they wait, and do not take the place of an answer", async () => {
    const one = await stalledPair();
    const before = one.connection.bufferedAmount;
    await sendPings(one, 2, "ping ");
    for (let i = 0; i < 10_000; i++) one.connection.pong(Buffer.from(`own ${i}`));
    expect(one.connection.bufferedAmount).toBe(before + 127);
    const frames = await readToEnd(one);
    await until(() => one.client.frames.at(-1)!.payload.toString() === "own 9999");
    expect(frames.slice(0, 2)).toEqual(["10 ping 0", "1 end"]);
    expect(one.client.frames.slice(-2).map(readable)).toEqual(["10 ping 1", "10 own 9999"]);
  });

  test("go out one by one to a peer that reads", async () => {
    const { client, connection } = await pair();
    connection.start();
    for (let i = 0; i < 20; i++) connection.pong(Buffer.from(`${i}`));
    for (let i = 0; i < 20; i++) expect(`${(await client.nextFrame()).payload}`).toBe(`${i}`);
  });

  test("cost no more than the answers when the handler sends one for each Ping", async () => {
    const one = await stalledPair();
    const before = one.connection.bufferedAmount;
    one.recorder.react = ([name]) => name === "ping" && one.connection.pong(Buffer.from("mine"));
    await sendPings(one, 5_000);
    expect(one.connection.bufferedAmount).toBe(before + 127);
  });
});

describe("the heartbeat", () => {
  const HEARTBEAT = { intervalMs: 1_000, timeoutMs: 500 };

  function fakeTimers(heartbeat: typeof HEARTBEAT): ConnectionTimers {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    onTestFinished(() => void vi.useRealTimers());
    return new ConnectionTimers({ heartbeat, messageTimeoutMs: 600_000, closeTimeoutMs: 5_000 });
  }

  test.each([HEARTBEAT, { intervalMs: 500, timeoutMs: 1_000 }, { intervalMs: 700, timeoutMs: 700 }])(
    "cuts a peer that sends Pings and messages but does not read: %o",
    async (heartbeat) => {
      const one = await stalledPair(fakeTimers(heartbeat));
      await sendPings(one, 10);
      let elapsedMs = 0;
      while (one.recorder.of("close").length === 0 && elapsedMs < 10_000) {
        vi.advanceTimersByTime(100);
        elapsedMs += 100;
        if (!one.connection.isOpen) break;
        await sendPings(one, 10);
        const { length } = one.recorder.of("message");
        one.client.send(text("and a message"));
        await one.recorder.messages(length + 1);
      }
      expect(await one.recorder.closed.promise).toEqual(["close", 1006, false]);
      // The timers may be late by 1/32 of their durations.
      expect(elapsedMs).toBeLessThanOrEqual((heartbeat.intervalMs + heartbeat.timeoutMs) * 33 / 32 + 100);
    },
  );

  test("takes a peer for alive again once its Pong is taken", async () => {
    const one = await stalledPair(fakeTimers(HEARTBEAT));
    await sendPings(one, 2);
    vi.advanceTimersByTime(1_000);
    await readToEnd(one);
    await until(() => one.connection.bufferedAmount === 0);
    for (let i = 0; i < 10; i++) {
      vi.advanceTimersByTime(400);
      await sendPings(one, 1);
    }
    expect(one.recorder.of("close")).toEqual([]);
  });

  test("takes a peer that has taken its Pong for alive, even if it sends nothing", async () => {
    const one = await stalledPair(fakeTimers(HEARTBEAT));
    await sendPings(one, 1);
    vi.advanceTimersByTime(1_000);
    await readToEnd(one);
    await until(() => one.connection.bufferedAmount === 0);
    vi.advanceTimersByTime(600);
    expect([one.recorder.of("close"), one.connection.isOpen]).toEqual([[], true]);
  });
});

test("no Ping and no Pong follows a Close (RFC 6455 §5.5.1)", async () => {
  const { connection, client } = await pair();
  connection.start();
  connection.close(1000, "");
  connection.ping(Buffer.from("late"));
  connection.pong(Buffer.from("late"));
  await client.nextFrame();
  client.send(close(1000));
  await client.closed();
  expect(client.frames.map(({ opcode }) => opcode)).toEqual([opcodes.close]);
});
