import { once } from "node:events";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Clocks } from "../../src/transport/timers/connection-timers.ts";
import { until } from "../support/app.ts";
import { type Pair, pair, stall } from "../support/connection.ts";
import { close, continuation, opcodes, ping, text } from "../support/frames.ts";

describe("the clocks", () => {
  function fakeClocks(options: Partial<ConstructorParameters<typeof Clocks>[0]>): Clocks {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    onTestFinished(() => void vi.useRealTimers());
    return new Clocks({ heartbeat: false, messageTimeoutMs: 60_000, closeTimeoutMs: 5_000, ...options });
  }

  test("a message has messageTimeoutMs from its first byte to its last, though control frames come between", async () => {
    const { client, duplex, recorder } = await pair({ clocks: fakeClocks({ messageTimeoutMs: 1_000 }) });
    duplex.start();
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
  ])("%s has no longer", async (_name, begin) => {
    const { raw, client, duplex, recorder } = await pair({ clocks: fakeClocks({ messageTimeoutMs: 1_000 }) });
    duplex.start();
    const arrived = once(raw, "data");
    client.send(begin);
    await arrived;
    vi.advanceTimersByTime(1_100);
    expect(recorder.events).toEqual([["error", 1008]]);
    expect((await client.closed()).code).toBe(1008);
  });

  test("each message has its own time, and idle time does not count", async () => {
    const { client, duplex, recorder } = await pair({ clocks: fakeClocks({ messageTimeoutMs: 1_000 }) });
    duplex.start();
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

  test("time in which reading is paused is ours, not the message's", async () => {
    const { client, duplex, recorder } = await pair({ clocks: fakeClocks({ messageTimeoutMs: 1_000 }) });
    duplex.start();
    client.send(text("begin", { fin: false }), ping(""));
    await client.nextFrame();
    duplex.pause();
    vi.advanceTimersByTime(60_000);
    duplex.resume();
    vi.advanceTimersByTime(900);
    client.send(continuation("end"));
    await recorder.messages(1);
    expect(recorder.of("error")).toEqual([]);
  });

  const HEARTBEAT = { intervalMs: 1_000, timeoutMs: 500 };

  test("a peer that sends anything at all is not cut, be it half a frame", async () => {
    const { raw, client, duplex, recorder } = await pair({ clocks: fakeClocks({ heartbeat: HEARTBEAT }) });
    duplex.start();
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
    expect(duplex.isOpen).toBe(true);
  });

  test("a peer that says nothing is cut, after its Ping has gone unanswered", async () => {
    const { client, duplex, recorder } = await pair({ clocks: fakeClocks({ heartbeat: HEARTBEAT }) });
    duplex.start();
    vi.advanceTimersByTime(1_000);
    expect((await client.nextFrame()).opcode).toBe(opcodes.ping);
    vi.advanceTimersByTime(480);
    expect(duplex.isOpen).toBe(true);
    vi.advanceTimersByTime(50);
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
    expect((await client.closed()).code).toBe(1006);
  });

  test.each([HEARTBEAT, { intervalMs: 500, timeoutMs: 1_000 }, { intervalMs: 500, timeoutMs: 500 }])(
    "a socket that is paused is not cut, nor soon after it is resumed: %o",
    async (heartbeat) => {
      const { client, duplex, recorder } = await pair({ clocks: fakeClocks({ heartbeat }) });
      duplex.start();
      duplex.pause();
      vi.advanceTimersByTime(60_000);
      expect(duplex.isOpen).toBe(true);
      duplex.resume();
      vi.advanceTimersByTime(heartbeat.timeoutMs - 50);
      client.send(text("here"));
      await recorder.messages(1);
      vi.advanceTimersByTime(heartbeat.timeoutMs - 50);
      expect(recorder.events).toEqual([["message", "here"]]);
      expect(duplex.isOpen).toBe(true);
      // From here on it is silent, and its time is counted again.
      vi.advanceTimersByTime(10_000);
      expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
    },
  );

  test("a socket that was paused after its Ping has its time again when it is resumed", async () => {
    const { client, duplex, recorder } = await pair({ clocks: fakeClocks({ heartbeat: HEARTBEAT }) });
    duplex.start();
    vi.advanceTimersByTime(1_000);
    expect((await client.nextFrame()).opcode).toBe(opcodes.ping);
    duplex.pause();
    vi.advanceTimersByTime(490);
    duplex.resume();
    vi.advanceTimersByTime(400);
    expect(duplex.isOpen).toBe(true);
    expect(recorder.events).toEqual([]);
  });

  test("a peer that has ended its side and does not read has closeTimeoutMs, and no other clock is left", async () => {
    const clocks = fakeClocks({ heartbeat: HEARTBEAT, closeTimeoutMs: 1_000 });
    const one = await pair({ clocks, maxBufferedBytes: 100_000_000 });
    const { client, duplex, recorder } = one;
    duplex.start();
    client.send(text("begin", { fin: false }));
    await until(() => clocks.messages.size === 1);
    await stall(one, 3_000_000);
    client.end();
    await until(() => !duplex.isOpen);
    expect([clocks.heartbeat!.size, clocks.messages.size, clocks.closings.size]).toEqual([0, 0, 1]);
    vi.advanceTimersByTime(990);
    expect(recorder.events).toEqual([]);
    vi.advanceTimersByTime(50);
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
    expect(clocks.closings.size).toBe(0);
  });

  test("nothing is left in them when a connection has ended", async () => {
    const clocks = fakeClocks({ heartbeat: HEARTBEAT });
    const ends = [
      ({ client }: Pair) => client.send(close(1000)),
      ({ client }: Pair) => client.reset(),
      ({ client }: Pair) => client.end(),
      ({ client }: Pair) => client.send(text("begin", { fin: false }), close(1000)),
      ({ client }: Pair) => client.send(text("begin", { fin: false }), text("bad", { rsv: 1 })),
      ({ duplex }: Pair) => duplex.terminate(),
      async ({ raw, duplex, client }: Pair) => {
        client.send(text("begin", { fin: false }));
        await once(raw, "data");
        duplex.terminate();
      },
      async ({ raw, client }: Pair) => {
        client.send(text("begin", { fin: false }));
        await once(raw, "data");
        client.reset();
      },
      ({ duplex, client }: Pair) => (duplex.close(1000, ""), client.send(close(1000))),
    ];
    for (const end of ends) {
      const one = await pair({ clocks });
      one.duplex.start();
      expect(clocks.heartbeat!.size).toBe(1);
      await end(one);
      await one.recorder.closed.promise;
      expect([clocks.heartbeat!.size, clocks.messages.size, clocks.closings.size]).toEqual([0, 0, 0]);
    }
  });
});
