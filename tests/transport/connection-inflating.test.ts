// A message that is inflated on another thread: the connection is busy meanwhile, and its peer does not pay for that.

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Connection } from "../../src/transport/connection.ts";
import type { NegotiatedDeflate } from "../../src/transport/deflate/negotiated-deflate.ts";
import { ConnectionTimers } from "../../src/transport/timers/connection-timers.ts";
import { until, upgradeServer } from "../support/app.ts";
import { type Pair, Recorder, roundTrips, SETTINGS, stall } from "../support/connection.ts";
import { ping, text } from "../support/frames.ts";

describe("a message that is being inflated", () => {
  const compressed = text("later", { rsv: 4 });

  interface Inflating extends Pair {
    /** Ends the inflation with this message. */
    readonly inflate: (message: string) => void;
  }

  /** A pair whose first message is inflated when the test says so. */
  async function inflating(
    timers: Partial<ConstructorParameters<typeof ConnectionTimers>[0]> = {},
  ): Promise<Inflating> {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const { raw, head, client } = await (await upgradeServer()).connect();
    const recorder = new Recorder();
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    const compression = {
      inflater: () => ({ inflate: () => promise, close: () => {} }),
      deflater: () => ({ deflate: () => undefined, close: () => {} }),
      isWorthIt: () => false,
    } as unknown as NegotiatedDeflate;
    const settings = {
      ...SETTINGS,
      timers: new ConnectionTimers({ heartbeat: false, messageTimeoutMs: 1_000, closeTimeoutMs: 5_000, ...timers }),
    };
    const connection = new Connection(raw, head, settings, recorder, compression);
    connection.start();
    return { raw, client, connection, recorder, inflate: (message) => resolve(Buffer.from(message)) };
  }

  test("is handed out before the peer's FIN is reported, with the frames that came behind it", async () => {
    const { client, connection, recorder, inflate } = await inflating();
    client.send(Buffer.concat([compressed, text("behind"), ping("p")]));
    client.end();
    await until(() => connection.isBusy);
    for (let i = 0; i < 10; i++) await nextTurn();
    expect(recorder.events).toEqual([]);
    inflate("inflated");
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
    expect(recorder.events).toEqual([
      ["message", "inflated"],
      ["message", "behind"],
      ["ping", "p"],
      ["close", 1006, false],
    ]);
  });

  test.each<[string, (one: Inflating) => void]>([
    ["a FIN", ({ client }) => client.end()],
    ["a TCP connection that is gone", ({ raw }) => void raw.destroy()],
  ])("for ever does not delay %s for longer than closeTimeoutMs", async (_name, end) => {
    const one = await inflating({ closeTimeoutMs: 200 });
    const { client, connection, recorder } = one;
    client.send(compressed);
    await until(() => connection.isBusy);
    end(one);
    await until(() => one.raw.readableEnded || one.raw.closed);
    for (let i = 0; i < 10; i++) await nextTurn();
    expect(recorder.events).toEqual([]);
    vi.advanceTimersByTime(300);
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
    expect(recorder.events).toEqual([["close", 1006, false]]);
  });

  test("costs the message behind it no time, and its connection is not taken for silent", async () => {
    const heartbeat = { intervalMs: 1_000, timeoutMs: 500 };
    const { client, connection, recorder, inflate } = await inflating({ heartbeat });
    client.send(Buffer.concat([compressed, text("behind").subarray(0, 8)]));
    await until(() => connection.isBusy);
    vi.advanceTimersByTime(60_000);
    expect([recorder.events, connection.isOpen]).toEqual([[], true]);
    inflate("inflated");
    await recorder.messages(1);
    vi.advanceTimersByTime(400);
    expect([recorder.of("error"), connection.isOpen]).toEqual([[], true]);
    client.send(text("behind").subarray(8));
    expect(await recorder.messages(2)).toEqual(["inflated", "behind"]);
  });

  test("does not make its peer count as silent, whose Pongs are not read meanwhile", async () => {
    const { client, connection, recorder } = await inflating({ heartbeat: { intervalMs: 1_000, timeoutMs: 500 } });
    client.send(compressed);
    await until(() => connection.isBusy);
    for (let elapsedMs = 0; elapsedMs < 4_000; elapsedMs += 100) {
      vi.advanceTimersByTime(100);
      await roundTrips(1);
    }
    expect([recorder.events, connection.isOpen]).toEqual([[], true]);
  });

  test("leaves the message behind it its own time, and no more", async () => {
    const { client, connection, recorder, inflate } = await inflating();
    client.send(Buffer.concat([compressed, text("behind").subarray(0, 8)]));
    await until(() => connection.isBusy);
    vi.advanceTimersByTime(900);
    inflate("inflated");
    await recorder.messages(1);
    await until(() => !connection.isBusy);
    vi.advanceTimersByTime(500);
    await roundTrips(20);
    expect([recorder.of("error"), connection.isOpen]).toEqual([[], true]);
    vi.advanceTimersByTime(600);
    expect((await client.closed()).code).toBe(1008);
    expect(recorder.of("error")).toEqual([["error", 1008]]);
  });

  test("does not spare a peer that takes no Pong", async () => {
    const one = await inflating({ heartbeat: { intervalMs: 1_000, timeoutMs: 500 } });
    const { client, connection, recorder } = one;
    await stall(one, 500_000);
    client.send(ping("p"));
    await until(() => recorder.of("ping").length === 1);
    client.send(compressed);
    await until(() => connection.isBusy);
    for (let elapsedMs = 0; connection.isOpen && elapsedMs < 10_000; elapsedMs += 100) {
      vi.advanceTimersByTime(100);
      await roundTrips(1);
    }
    expect(connection.isOpen).toBe(false);
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
  });
});
