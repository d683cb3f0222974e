/** The times among the options of createApp, tested over real connections with fake timers. */

import { once } from "node:events";
import { connect } from "node:net";
import { text as textOf } from "node:stream/consumers";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { connectPair, listeningApp, type Pair, portOf, until } from "../support/app.ts";
import { opcodes, ping, pong, text } from "../support/frames.ts";
import { statusOf } from "../support/raw-client.ts";

// What has come is read before an item falls due. Here nothing comes, so that everything is due at its moment.
vi.mock(import("../../src/platform.ts"), async (original) => ({ ...await original(), afterReading: (task) => task() }));

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

/**
 * A round trip. After it, all that the server has sent has arrived, and the server has read all that was sent to it.
 */
async function settle({ client }: Pair): Promise<void> {
  client.send(ping("settle"));
  while ((await client.nextFrame()).payload.toString() !== "settle");
}

function pings({ client }: Pair): number {
  return client.frames.filter(({ opcode }) => opcode === opcodes.ping).length;
}

describe("heartbeat", () => {
  test("sends a Ping every 30 s by default, and a peer that answers stays connected", async () => {
    const pair = await connectPair();
    for (let minute = 1; minute <= 10; minute++) {
      vi.advanceTimersByTime(30_000);
      expect((await pair.client.nextFrame()).opcode).toBe(opcodes.ping);
      vi.advanceTimersByTime(15_000);
      pair.client.send(pong());
      await settle(pair);
      vi.advanceTimersByTime(15_000);
      expect((await pair.client.nextFrame()).opcode).toBe(opcodes.ping);
      await settle(pair);
    }
    expect(pings(pair)).toBe(20);
    expect(pair.socket.readyState).toBe(pair.socket.OPEN);
  });

  test("cuts a silent peer 60 s after the Ping by default, with 1006", async () => {
    const { client, socket, seen } = await connectPair();
    vi.advanceTimersByTime(30_000);
    expect((await client.nextFrame()).opcode).toBe(opcodes.ping);
    vi.advanceTimersByTime(59_000);
    expect(socket.readyState).toBe(socket.OPEN);
    vi.advanceTimersByTime(3_000);
    expect(await seen.closed).toEqual([1006, "", false]);
    expect((await client.closed()).code).toBe(1006);
  });

  test("keeps to the times that are set", async () => {
    const { client, seen } = await connectPair({ heartbeat: { intervalMs: 500, timeoutMs: 200 } });
    vi.advanceTimersByTime(510);
    expect((await client.nextFrame()).opcode).toBe(opcodes.ping);
    vi.advanceTimersByTime(210);
    expect(await seen.closed).toEqual([1006, "", false]);
  });

  test("can be turned off", async () => {
    const pair = await connectPair({ heartbeat: false });
    vi.advanceTimersByTime(24 * 3_600_000);
    await settle(pair);
    expect(pings(pair)).toBe(0);
    expect(pair.socket.readyState).toBe(pair.socket.OPEN);
  });

  test("does not cut a paused socket", async () => {
    const pair = await connectPair();
    pair.socket.pause();
    vi.advanceTimersByTime(3_600_000);
    expect(pair.socket.readyState).toBe(pair.socket.OPEN);
    pair.socket.resume();
    await settle(pair);
    expect(pair.seen.closes).toEqual([]);
  });
});

test("messageTimeoutMs: a message that is not complete in time fails the connection with 1008", async () => {
  const pair = await connectPair({ messageTimeoutMs: 1_000, heartbeat: false });
  pair.client.send(text("be", { fin: false }));
  await settle(pair);
  vi.advanceTimersByTime(990);
  await settle(pair);
  expect(pair.seen.errors).toEqual([]);
  vi.advanceTimersByTime(50);
  expect(await pair.seen.closed).toEqual([1008, expect.any(String), false]);
  expect((await pair.client.closed()).code).toBe(1008);
  expect(pair.seen.errors.map(({ message }) => message)).toEqual([expect.stringContaining("1000 ms")]);
});

test("closeTimeoutMs: a peer that does not answer a Close is cut, after 5 s by default", async () => {
  const { client, socket, seen } = await connectPair();
  socket.close(4000);
  expect((await client.nextFrame()).opcode).toBe(opcodes.close);
  vi.advanceTimersByTime(4_990);
  expect(seen.closes).toEqual([]);
  vi.advanceTimersByTime(200);
  expect(await seen.closed).toEqual([1006, "", false]);
});

test("handshakeTimeoutMs: a connection without a request is refused, after 10 s by default", async () => {
  const app = await listeningApp({}, (app) => app.get("/", () => "hello"));
  const client = connect({ port: portOf(app), host: "127.0.0.1", allowHalfOpen: true });
  onTestFinished(() => void client.destroy());
  await once(client, "connect");
  client.write("GET / HTTP/1.1\r\n");
  // The server knows the connection once its timer is set.
  await until(() => vi.getTimerCount() > 0);
  let hasResponse = false;
  client.once("readable", () => hasResponse = true);
  vi.advanceTimersByTime(9_990);
  await nextTurn();
  expect(hasResponse).toBe(false);
  vi.advanceTimersByTime(500);
  expect(statusOf(await textOf(client))).toBe(408);
});

test("closed apps leave no timer behind", async () => {
  const { app, client } = await connectPair();
  expect(vi.getTimerCount()).toBeGreaterThan(0);
  client.send(text("begin", { fin: false }));
  const closing = app.close();
  while (client.closeFrame === undefined) await client.nextFrame();
  client.terminate();
  await closing;
  expect(vi.getTimerCount()).toBe(0);
});
