// A connection reads no more messages than its limit allows, beside everything else that stops its reading.

import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ConnectionSettings } from "../../src/transport/connection-handler.ts";
import { ConnectionTimers, type TimerOptions } from "../../src/transport/timers/connection-timers.ts";
import type { RateLimit, RateLimiter } from "../../src/transport/timers/rate-limiter.ts";
import { until } from "../support/app.ts";
import { type Pair, pair, roundTrips } from "../support/connection.ts";
import { close, continuation, opcodes, ping, pong, text } from "../support/frames.ts";
import type { ConnectOptions } from "../support/raw-client.ts";

// What has come is read before an item falls due. Here nothing comes, so that everything is due at its moment.
vi.mock(import("../../src/platform.ts"), async (original) => ({ ...await original(), afterReading: (task) => task() }));

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

interface LimitedPair extends Pair {
  readonly limiter: RateLimiter;
  /** The messages that were read so far. */
  messages(): unknown[];
}

async function limitedPair(
  limit: RateLimit,
  options: ConnectOptions & Partial<TimerOptions> = {},
): Promise<LimitedPair> {
  const timers = new ConnectionTimers({
    heartbeat: false,
    messageTimeoutMs: 60_000,
    closeTimeoutMs: 5_000,
    ...options,
  });
  const limiter = timers.addRateLimiter(limit);
  const settings: Partial<ConnectionSettings> = { timers, rateLimiter: limiter };
  const both = await pair(settings, options);
  return { ...both, limiter, messages: () => both.recorder.of("message").map(([, data]) => data) };
}

/** Frames of the texts "1", "2" and so on, in one chunk. */
function texts(count: number, from: number = 1): Buffer {
  return Buffer.concat(names(count, from).map((each) => text(each)));
}

function names(count: number, from: number = 1): string[] {
  return Array.from({ length: count }, (_, i) => `${from + i}`);
}

describe("the limit", () => {
  test("lets as many messages in at once as it names, and then one after the other, also inside of one chunk", async () => {
    const { client, connection, recorder, messages } = await limitedPair({ messages: 4, perMs: 1_000 });
    const readAtMs: number[] = [];
    recorder.react = () => readAtMs.push(performance.now());
    connection.start();
    client.send(texts(10));
    await recorder.messages(4);
    await roundTrips(1);
    expect(messages()).toEqual(names(4));
    while (messages().length < 10) vi.advanceTimersByTime(1);
    expect(messages()).toEqual(names(10));
    const waitsMs = readAtMs.slice(1).map((atMs, i) => atMs - readAtMs[i]!);
    expect(waitsMs.slice(0, 3)).toEqual([0, 0, 0]);
    for (const waitMs of waitsMs.slice(3)) {
      // The timer may be late by 1/32 of its time.
      expect(waitMs).toBeGreaterThanOrEqual(249);
      expect(waitMs).toBeLessThanOrEqual(259);
    }
  });

  test("keeps the rate on average, whatever the timer can do", async () => {
    const { client, connection, recorder, messages } = await limitedPair({ messages: 1_000, perMs: 1_000 });
    connection.start();
    client.send(texts(3_000));
    await recorder.messages(1_000);
    await roundTrips(2);
    const steps: number[] = [];
    for (let i = 0; i < 4; i++) {
      const before = messages().length;
      vi.advanceTimersByTime(250);
      // What lies in the buffers of the raw socket comes with the next turns.
      await roundTrips(2);
      steps.push(messages().length - before);
    }
    for (const step of steps) {
      expect(step).toBeGreaterThan(220);
      expect(step).toBeLessThanOrEqual(250 + 21);
    }
    expect(messages()).toEqual(names(messages().length));
  });

  test("gives a client that was silent room for no more messages than it names", async () => {
    const { client, connection, recorder, messages } = await limitedPair({ messages: 4, perMs: 1_000 });
    connection.start();
    client.send(texts(3));
    await recorder.messages(3);
    vi.advanceTimersByTime(3_600_000);
    client.send(texts(10, 4));
    await recorder.messages(7);
    await roundTrips(1);
    expect(messages()).toEqual(names(7));
  });

  test("gives room for a part of the messages after a part of the time", async () => {
    const { client, connection, recorder, messages } = await limitedPair({ messages: 4, perMs: 1_000 });
    connection.start();
    client.send(texts(4));
    await recorder.messages(4);
    vi.advanceTimersByTime(600);
    client.send(texts(6, 5));
    await recorder.messages(6);
    await roundTrips(1);
    expect(messages()).toEqual(names(6));
  });

  test("does not pause a client that keeps within it", async () => {
    const { client, connection, recorder, limiter } = await limitedPair({ messages: 2, perMs: 1_000 });
    connection.start();
    for (let i = 1; i <= 10; i++) {
      client.send(text(`${i}`));
      await recorder.messages(i);
      expect([connection.isPaused, limiter.size]).toEqual([false, 0]);
      vi.advanceTimersByTime(500);
    }
  });

  test("counts neither control frames nor fragments, and stops them too behind the last message", async () => {
    const { client, connection, recorder } = await limitedPair({ messages: 2, perMs: 1_000 });
    connection.start();
    client.send(Buffer.concat([
      ...[text("a", { fin: false }), ping("1"), continuation("b", { fin: false }), continuation("c"), ping("2")],
      ...[pong("3"), text("d", { fin: false }), continuation("e"), ping("4"), text("f")],
    ]));
    await recorder.messages(2);
    await roundTrips(1);
    expect(recorder.events.map(([name]) => name)).toEqual(["ping", "message", "ping", "pong", "message"]);
    vi.advanceTimersByTime(520);
    expect(recorder.events.slice(5).map(([name]) => name)).toEqual(["ping", "message"]);
    expect(recorder.of("message")).toEqual([["message", "abc"], ["message", "de"], ["message", "f"]]);
  });

  test("counts messages that came with the handshake", async () => {
    const { connection, recorder, messages } = await limitedPair({ messages: 2, perMs: 1_000 }, { early: texts(3) });
    connection.start();
    await recorder.messages(2);
    await roundTrips(1);
    expect(messages()).toEqual(names(2));
    vi.advanceTimersByTime(520);
    expect(messages()).toEqual(names(3));
  });

  test("slows the client down: what is not read stays with the operating systems", async () => {
    const { raw, client, connection, recorder } = await limitedPair({ messages: 1, perMs: 1_000 });
    connection.start();
    const large = text(Buffer.alloc(500_000, "x"));
    for (let i = 0; i < 100; i++) client.send(large);
    await recorder.messages(1);
    await roundTrips(20);
    expect(raw.bytesRead).toBeLessThan(3 * large.length);
  });
});

describe("a pause by the layer above", () => {
  test("goes on when there is room again", async () => {
    const { client, connection, recorder, messages } = await limitedPair({ messages: 1, perMs: 1_000 });
    connection.start();
    client.send(texts(3));
    await recorder.messages(1);
    connection.pause();
    expect([connection.isPaused, connection.isPauseWanted]).toEqual([true, true]);
    vi.advanceTimersByTime(10_000);
    await roundTrips(1);
    expect(messages()).toEqual(names(1));
    connection.resume();
    expect(messages()).toEqual(names(2));
    expect([connection.isPaused, connection.isPauseWanted]).toEqual([true, false]);
  });

  test("that ends does not end the wait for room", async () => {
    const { client, connection, recorder, messages } = await limitedPair({ messages: 1, perMs: 1_000 });
    connection.start();
    client.send(texts(2));
    await recorder.messages(1);
    connection.pause();
    connection.resume();
    connection.resume();
    await roundTrips(1);
    expect([messages().length, connection.isPaused, connection.isPauseWanted]).toEqual([1, true, false]);
    vi.advanceTimersByTime(1_040);
    expect(messages()).toEqual(names(2));
  });

  test("inside of a message is one of its own", async () => {
    const { client, connection, recorder, messages } = await limitedPair({ messages: 2, perMs: 1_000 });
    recorder.react = ([, data]) => data === "1" && connection.pause();
    connection.start();
    client.send(texts(3));
    await recorder.messages(1);
    vi.advanceTimersByTime(5_000);
    expect(messages()).toEqual(names(1));
    connection.resume();
    expect(messages()).toEqual(names(3));
  });
});

describe("the heartbeat", () => {
  const HEARTBEAT = { heartbeat: { intervalMs: 300, timeoutMs: 500 } };

  test("does not cut a client whose Pongs wait behind its messages", async () => {
    const { client, connection, recorder, messages } = await limitedPair({ messages: 1, perMs: 10_000 }, HEARTBEAT);
    connection.start();
    client.send(texts(4));
    await recorder.messages(1);
    for (let read = 2; read <= 4; read++) {
      for (let i = 0; i < 106; i++) vi.advanceTimersByTime(100);
      expect(messages()).toEqual(names(read));
    }
    expect(connection.isOpen).toBe(true);
    await until(() => client.frames.some(({ opcode }) => opcode === opcodes.ping));
  });

  test("does not cut a client that sends without an end and that is read at each of its messages", async () => {
    const { client, connection, recorder } = await limitedPair({ messages: 10, perMs: 1_000 }, HEARTBEAT);
    connection.start();
    client.send(texts(100));
    await recorder.messages(10);
    for (let i = 0; i < 80; i++) {
      vi.advanceTimersByTime(100);
      // The connection gives way to others from time to time, which takes Deno dozens of turns.
      for (let turn = 0; turn < 100; turn++) await nextTurn();
    }
    expect([connection.isOpen, recorder.of("message").length >= 88]).toEqual([true, true]);
  });

  test("cuts a client that has gone, once all that it had sent is read", async () => {
    const { client, connection, recorder, limiter } = await limitedPair({ messages: 1, perMs: 1_000 }, HEARTBEAT);
    connection.start();
    client.send(texts(3));
    client.pause();
    await recorder.messages(1);
    for (let i = 0; i < 22; i++) vi.advanceTimersByTime(100);
    expect([recorder.of("message").length, connection.isOpen]).toEqual([3, true]);
    // The wait behind the last message, then an interval and the time-out.
    for (let i = 0; i < 30; i++) vi.advanceTimersByTime(100);
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
    expect(limiter.size).toBe(0);
  });
});

describe("the end", () => {
  test("by the server lifts the limit, so that the client's Close is read", async () => {
    const { client, connection, recorder, limiter, messages } = await limitedPair({ messages: 1, perMs: 60_000 });
    connection.start();
    client.send(Buffer.concat([texts(50), close(4000, "bye")]));
    await recorder.messages(1);
    connection.close(1001, "");
    expect(messages()).toEqual(names(50));
    expect(limiter.size).toBe(0);
    expect(await recorder.closed.promise).toEqual(["close", 4000, true]);
    expect((await client.closed()).code).toBe(1001);
  });

  test("by the server lifts the limit for what comes later too", async () => {
    const { client, connection, recorder, messages } = await limitedPair({ messages: 1, perMs: 60_000 });
    connection.start();
    connection.close(1001, "");
    client.send(texts(3));
    client.send(close(1001));
    expect(await recorder.closed.promise).toEqual(["close", 1001, true]);
    expect(messages()).toEqual(names(3));
  });

  test("by a Close of the client comes behind its messages", async () => {
    const { client, connection, recorder, messages } = await limitedPair({ messages: 2, perMs: 1_000 });
    connection.start();
    client.send(Buffer.concat([texts(4), close(4000)]));
    await recorder.messages(2);
    vi.advanceTimersByTime(520);
    vi.advanceTimersByTime(520);
    expect([messages(), connection.isOpen]).toEqual([names(4), true]);
    vi.advanceTimersByTime(520);
    expect(connection.isOpen).toBe(false);
    expect(await recorder.closed.promise).toEqual(["close", 4000, true]);
  });

  test("of a client that has gone without a Close comes behind its messages, which keep their pace", async () => {
    const { client, connection, recorder, messages } = await limitedPair({ messages: 1, perMs: 1_000 });
    connection.start();
    client.send(texts(3));
    client.end();
    await recorder.messages(1);
    for (let read = 2; read <= 3; read++) {
      await roundTrips(1);
      expect(messages()).toEqual(names(read - 1));
      vi.advanceTimersByTime(1_040);
    }
    expect(messages()).toEqual(names(3));
    vi.advanceTimersByTime(1_040);
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
  });

  test("of the TCP connection ends the wait", async () => {
    const { client, connection, recorder, limiter } = await limitedPair({ messages: 1, perMs: 1_000 });
    connection.start();
    client.send(texts(2));
    await recorder.messages(1);
    expect(limiter.size).toBe(1);
    connection.terminate();
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
    expect(limiter.size).toBe(0);
  });

  test("inside of the last message that there is room for leaves nothing behind", async () => {
    const { client, connection, recorder, limiter } = await limitedPair({ messages: 1, perMs: 1_000 });
    recorder.react = ([name]) => name === "message" && connection.terminate();
    connection.start();
    client.send(texts(2));
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
    await until(() => limiter.size === 0);
    expect(recorder.of("message").length).toBe(1);
  });
});

test("a message that was begun has its deadline while there is room, and none during the wait", async () => {
  const { client, connection, recorder } = await limitedPair({ messages: 1, perMs: 10_000 }, {
    messageTimeoutMs: 1_000,
  });
  connection.start();
  client.send(Buffer.concat([text("1"), text("2", { fin: false })]));
  await recorder.messages(1);
  vi.advanceTimersByTime(9_999);
  expect(recorder.of("error")).toEqual([]);
  vi.advanceTimersByTime(400);
  expect(recorder.of("error")).toEqual([]);
  vi.advanceTimersByTime(1_100);
  expect(recorder.of("error")).toEqual([["error", 1008]]);
});
