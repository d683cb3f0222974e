// The timers of a connection: a message that trickles, a silent peer, a closing handshake that takes too long.

import { once } from "node:events";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ConnectionTimers } from "../../src/transport/timers/connection-timers.ts";
import { until } from "../support/app.ts";
import { type Pair, pair, stall } from "../support/connection.ts";
import { close, continuation, opcodes, ping, text } from "../support/frames.ts";
import type { ConnectOptions } from "../support/raw-client.ts";

// What has come is read before an item falls due. Here nothing comes, so that everything is due at its moment.
vi.mock(import("../../src/platform.ts"), async (original) => ({ ...await original(), afterReading: (task) => task() }));

describe("the timers", () => {
  function fakeTimers(options: Partial<ConstructorParameters<typeof ConnectionTimers>[0]>): ConnectionTimers {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    onTestFinished(() => void vi.useRealTimers());
    return new ConnectionTimers({ heartbeat: false, messageTimeoutMs: 60_000, closeTimeoutMs: 5_000, ...options });
  }

  test("a message has messageTimeoutMs from its first byte to its last, though control frames come between", async () => {
    const { client, connection, recorder } = await pair({ timers: fakeTimers({ messageTimeoutMs: 1_000 }) });
    connection.start();
    client.send(text("begin", { fin: false }), ping("1"));
    await client.nextFrame();
    vi.advanceTimersByTime(900);
    client.send(continuation("more", { fin: false }), ping("2"));
    await client.nextFrame();
    vi.advanceTimersByTime(50);
    expect(recorder.of("error")).toEqual([]);
    vi.advanceTimersByTime(100);
    expect(recorder.of("error")).toEqual([["error", 1008]]);
    expect((await client.closed()).code).toBe(1008);
  });

  test.each([
    ["a header that trickles", text("x").subarray(0, 3)],
    ["a payload that trickles", text("xyz").subarray(0, 8)],
    ["a control frame that trickles", ping("xyz").subarray(0, 8)],
  ])("%s has no more time than a message", async (_name, begin) => {
    const { raw, client, connection, recorder } = await pair({ timers: fakeTimers({ messageTimeoutMs: 1_000 }) });
    connection.start();
    const arrived = once(raw, "data");
    client.send(begin);
    await arrived;
    vi.advanceTimersByTime(1_100);
    expect(recorder.events).toEqual([["error", 1008]]);
    expect((await client.closed()).code).toBe(1008);
  });

  test("each message has its own time, and idle time does not count", async () => {
    const { client, connection, recorder } = await pair({ timers: fakeTimers({ messageTimeoutMs: 1_000 }) });
    connection.start();
    for (let i = 0; i < 5; i++) {
      client.send(text("begin", { fin: false }), ping(""));
      await client.nextFrame();
      vi.advanceTimersByTime(800);
      // The end of one message and the beginning of the next in one chunk.
      client.send(Buffer.concat([continuation("end"), text("next", { fin: false }), ping("")]));
      await client.nextFrame();
      vi.advanceTimersByTime(800);
      client.send(Buffer.concat([continuation("end"), ping("")]));
      await client.nextFrame();
      vi.advanceTimersByTime(5_000);
    }
    expect(recorder.of("message").length).toBe(10);
    expect(recorder.of("error")).toEqual([]);
  });

  test.each<[string, ConnectOptions, Uint8Array[]]>([
    ["behind another one", {}, [text("1", { fin: false }), continuation("end"), text("2", { fin: false })]],
    ["behind another one, both of which came with the handshake", {
      early: Buffer.concat([text("1"), text("2", { fin: false })]),
    }, []],
  ])("a message %s has its time too", async (_name, options, frames) => {
    const timers = fakeTimers({ messageTimeoutMs: 1_000 });
    const { raw, client, connection, recorder } = await pair({ timers }, options);
    connection.start();
    for (const each of frames) {
      const arrived = once(raw, "data");
      client.send(each);
      await arrived;
    }
    await recorder.messages(1);
    vi.advanceTimersByTime(900);
    expect(recorder.of("error")).toEqual([]);
    vi.advanceTimersByTime(200);
    expect(recorder.of("error")).toEqual([["error", 1008]]);
    expect((await client.closed()).code).toBe(1008);
  });

  /** A connection that was paused for a minute in the middle of a message, and is resumed. */
  async function resumedInMessage(): Promise<Pair> {
    const one = await pair({ timers: fakeTimers({ messageTimeoutMs: 1_000 }) });
    one.connection.start();
    one.client.send(text("begin", { fin: false }), ping(""));
    await one.client.nextFrame();
    one.connection.pause();
    vi.advanceTimersByTime(60_000);
    one.connection.resume();
    return one;
  }

  test("a message has its time again after a pause, even if nothing more of it comes", async () => {
    const { client, recorder } = await resumedInMessage();
    vi.advanceTimersByTime(1_100);
    expect(recorder.of("error")).toEqual([["error", 1008]]);
    expect((await client.closed()).code).toBe(1008);
  });

  test("a Close whose caller bounds the time has none of its own", async () => {
    const timers = fakeTimers({ closeTimeoutMs: 1_000 });
    const { client, connection, recorder } = await pair({ timers });
    connection.start();
    connection.close(1000, "", false);
    vi.advanceTimersByTime(60_000);
    expect([timers.closings.size, recorder.events]).toEqual([0, []]);
    client.send(close(1000));
    expect(await recorder.closed.promise).toEqual(["close", 1000, true]);
  });

  test("a pause does not count as time of the message", async () => {
    const { client, recorder } = await resumedInMessage();
    vi.advanceTimersByTime(900);
    client.send(continuation("end"));
    await recorder.messages(1);
    expect(recorder.of("error")).toEqual([]);
  });

  const HEARTBEAT = { intervalMs: 1_000, timeoutMs: 500 };

  test("a peer that sends anything at all, even half a frame, is not cut", async () => {
    const { raw, client, connection, recorder } = await pair({ timers: fakeTimers({ heartbeat: HEARTBEAT }) });
    connection.start();
    const slow = text("a message that takes its time");
    for (let i = 0; i < 8; i++) {
      vi.advanceTimersByTime(i === 0 ? 1_000 : 500);
      expect((await client.nextFrame()).opcode).toBe(opcodes.ping);
      const arrived = once(raw, "data");
      client.send(slow.subarray(i, i + 1));
      await arrived;
      vi.advanceTimersByTime(500);
    }
    expect(recorder.events).toEqual([]);
    expect(connection.isOpen).toBe(true);
  });

  test("a peer that sends nothing is cut when the server's Ping has had no answer", async () => {
    const { client, connection, recorder } = await pair({ timers: fakeTimers({ heartbeat: HEARTBEAT }) });
    connection.start();
    vi.advanceTimersByTime(1_000);
    expect((await client.nextFrame()).opcode).toBe(opcodes.ping);
    vi.advanceTimersByTime(480);
    expect(connection.isOpen).toBe(true);
    vi.advanceTimersByTime(50);
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
    expect((await client.closed()).code).toBe(1006);
  });

  test("a peer that answers late gets a Ping every interval, and one that does not read gets one in all", async () => {
    const timers = fakeTimers({ heartbeat: { intervalMs: 1_000, timeoutMs: 20_000 } });
    const one = await pair({ timers, maxBufferedBytes: 100_000_000 });
    one.connection.start();
    for (let i = 0; i < 5; i++) {
      vi.advanceTimersByTime(1_000);
      expect((await one.client.nextFrame()).opcode).toBe(opcodes.ping);
    }
    one.client.send(ping("an answer"));
    expect((await one.client.nextFrame()).opcode).toBe(opcodes.pong);
    const sent = await stall(one, 3_000_000);
    const before = one.connection.bufferedAmount;
    vi.advanceTimersByTime(10_000);
    expect(one.connection.bufferedAmount).toBe(before + 2);
    one.client.resume();
    const { frames } = one.client;
    await until(() => frames.at(-1)?.opcode === opcodes.ping);
    expect(frames.slice(-sent - 1).map(({ opcode }) => opcode)).toEqual([
      ...Array.from({ length: sent }, () => opcodes.binary),
      opcodes.ping,
    ]);
  });

  test.each([HEARTBEAT, { intervalMs: 500, timeoutMs: 1_000 }, { intervalMs: 500, timeoutMs: 500 }])(
    "a socket that is paused is not cut, nor soon after it is resumed: %o",
    async (heartbeat) => {
      const { client, connection, recorder } = await pair({ timers: fakeTimers({ heartbeat }) });
      connection.start();
      connection.pause();
      vi.advanceTimersByTime(60_000);
      expect(connection.isOpen).toBe(true);
      connection.resume();
      vi.advanceTimersByTime(heartbeat.timeoutMs - 50);
      client.send(text("here"));
      await recorder.messages(1);
      vi.advanceTimersByTime(heartbeat.timeoutMs - 50);
      expect(recorder.events).toEqual([["message", "here"]]);
      expect(connection.isOpen).toBe(true);
      // From here on the peer is silent, and its time is counted again.
      vi.advanceTimersByTime(10_000);
      expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
    },
  );

  test("a socket that was paused after its Ping has the whole time-out again when it is resumed", async () => {
    const { client, connection, recorder } = await pair({ timers: fakeTimers({ heartbeat: HEARTBEAT }) });
    connection.start();
    vi.advanceTimersByTime(1_000);
    expect((await client.nextFrame()).opcode).toBe(opcodes.ping);
    connection.pause();
    vi.advanceTimersByTime(490);
    connection.resume();
    vi.advanceTimersByTime(400);
    expect(connection.isOpen).toBe(true);
    expect(recorder.events).toEqual([]);
  });

  test("a peer that has ended its side and does not read has closeTimeoutMs, and no other timer is left", async () => {
    const timers = fakeTimers({ heartbeat: HEARTBEAT, closeTimeoutMs: 1_000 });
    const one = await pair({ timers, maxBufferedBytes: 100_000_000 });
    const { client, connection, recorder } = one;
    connection.start();
    client.send(text("begin", { fin: false }));
    await until(() => timers.messages.size === 1);
    await stall(one, 3_000_000);
    client.end();
    await until(() => !connection.isOpen);
    expect([timers.heartbeat!.size, timers.messages.size, timers.closings.size]).toEqual([0, 0, 1]);
    vi.advanceTimersByTime(990);
    expect(recorder.events).toEqual([]);
    vi.advanceTimersByTime(50);
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
    expect(timers.closings.size).toBe(0);
  });

  test("none of them watches a connection that has ended", async () => {
    const timers = fakeTimers({ heartbeat: HEARTBEAT });
    const ends = [
      ({ client }: Pair) => client.send(close(1000)),
      ({ client }: Pair) => client.reset(),
      ({ client }: Pair) => client.end(),
      ({ client }: Pair) => client.send(text("begin", { fin: false }), close(1000)),
      ({ client }: Pair) => client.send(text("begin", { fin: false }), text("bad", { rsv: 1 })),
      ({ connection }: Pair) => connection.terminate(),
      async ({ raw, connection, client }: Pair) => {
        client.send(text("begin", { fin: false }));
        await once(raw, "data");
        connection.terminate();
      },
      async ({ raw, client }: Pair) => {
        client.send(text("begin", { fin: false }));
        await once(raw, "data");
        client.reset();
      },
      ({ connection, client }: Pair) => (connection.close(1000, ""), client.send(close(1000))),
    ];
    for (const end of ends) {
      const one = await pair({ timers });
      one.connection.start();
      expect(timers.heartbeat!.size).toBe(1);
      await end(one);
      await one.recorder.closed.promise;
      one.connection.close(1000, "too late");
      expect([timers.heartbeat!.size, timers.messages.size, timers.closings.size]).toEqual([0, 0, 0]);
    }
  });
});
