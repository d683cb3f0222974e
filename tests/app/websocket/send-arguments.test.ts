/** The callback of `send`, which code for the package `ws` passes. `server-socket.test.ts` has the options. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { SendCallback, SendOptions, Socket } from "../../../mod.ts";
import { connectPair, errorEntry, type Pair, recordingLogger } from "../../support/app.ts";
import { close, text } from "../../support/frames.ts";

const BLOCK = Buffer.alloc(500_000, "x");

/** What `send` has returned, and what its callback was called with. `called` resolves at the first call. */
interface Sending {
  readonly result: boolean;
  readonly calls: unknown[][];
  readonly called: Promise<void>;
}

function send(socket: Socket, data: string | Buffer, options?: SendOptions): Sending {
  const { promise: called, resolve } = Promise.withResolvers<void>();
  const calls: unknown[][] = [];
  const callback: SendCallback = (...args: unknown[]) => {
    calls.push(args);
    resolve();
  };
  const result = options === undefined ? socket.send(data, callback) : socket.send(data, options, callback);
  expect(calls, "the callback was called inside send").toEqual([]);
  return { result, calls, called };
}

/** Sends until many bytes are waiting for a client that does not read. */
async function stall({ socket, client }: Pair): Promise<void> {
  client.pause();
  for (let sent = 0; socket.bufferedAmount < 2_000_000 && sent < 200; sent++) {
    socket.send(BLOCK);
    await nextTurn();
  }
  expect(socket.bufferedAmount).toBeGreaterThanOrEqual(2_000_000);
}

describe("the callback of send", () => {
  test("is called once without an argument, behind send, when there is room for more", async () => {
    const { socket, client } = await connectPair({ compression: true });
    const sendings = [send(socket, "one"), send(socket, Buffer.from("two"), {}), send(socket, "3", { compress: true })];
    await Promise.all(sendings.map(({ called }) => called));
    await nextTurn();
    for (const { result, calls } of sendings) expect([result, calls]).toEqual([true, [[]]]);
    expect([await client.nextMessage(), await client.nextMessage()]).toEqual(["one", Buffer.from("two")]);
  });

  test("stands behind options that are undefined, too, and may be undefined itself", async () => {
    const { socket, client } = await connectPair();
    await new Promise((resolve) => socket.send("a", undefined, resolve));
    expect(socket.send("b", undefined, undefined)).toBe(true);
    expect(socket.send("c", {}, undefined)).toBe(true);
    for (const message of ["a", "b", "c"]) expect(await client.nextMessage()).toBe(message);
  });

  test("waits until the client has taken what is above highWaterMark", async () => {
    const pair = await connectPair();
    await stall(pair);
    const sending = send(pair.socket, "last");
    for (let i = 0; i < 20; i++) await nextTurn();
    expect([sending.result, sending.calls]).toEqual([false, []]);
    pair.client.resume();
    await sending.called;
    expect(pair.socket.bufferedAmount).toBe(0);
    expect(sending.calls).toEqual([[]]);
  });

  test("gets an Error when the connection ends before there is room", async () => {
    const pair = await connectPair();
    await stall(pair);
    const sending = send(pair.socket, "lost");
    pair.socket.terminate();
    await sending.called;
    expect(sending.calls).toEqual([[new Error("The socket has ended")]]);
  });

  test("gets an Error on a socket that is not open", async () => {
    const { socket, client, seen } = await connectPair();
    socket.close();
    const closing = send(socket, "late");
    client.send(close(1000));
    await seen.closed;
    const closed = send(socket, "later", {});
    await closed.called;
    const error = new Error("The message was not sent: the socket is not open");
    for (const { result, calls } of [closing, closed]) expect([result, calls]).toEqual([false, [[error]]]);
  });

  test("gets an Error for a message that is dropped, because the client reads too slowly", async () => {
    const pair = await connectPair({ maxBufferedBytes: 3_000_000, slowConsumer: "drop" });
    await stall(pair);
    const dropped = send(pair.socket, Buffer.alloc(2_900_000));
    await dropped.called;
    expect(dropped.result).toBe(false);
    expect(dropped.calls).toEqual([[
      new Error("The message was not sent: more than maxBufferedBytes would wait for this client"),
    ]]);
    expect(pair.app.stats().droppedMessages).toBe(1);
  });

  test.each<[string, (error: Error) => unknown]>([
    ["throws", (error) => {
      throw error;
    }],
    ["rejects", (error) => Promise.reject(error)],
  ])("is logged when it %s, and its socket closes with 1011", async (_name, fail) => {
    const { logger, entries } = recordingLogger();
    const { socket, client, seen } = await connectPair({ logger });
    const error = new Error("on purpose");
    socket.send("hello", () => fail(error));
    while (client.closeFrame === undefined) await client.nextFrame();
    expect(client.closeFrame.payload.readUInt16BE(0)).toBe(1011);
    expect(entries).toEqual([errorEntry("callback of send() has thrown", error)]);
    expect(seen.errors).toEqual([error]);
  });

  test.each<[unknown, unknown, string]>([
    [{}, true, "The callback of send must be a function; got true"],
    [undefined, null, "The callback of send must be a function; got null"],
    [() => {}, () => {}, "send takes its callback as the last argument; got two callbacks"],
    [{ binary: true }, () => {}, 'send has no option "binary"; it has compress'],
  ])("is refused, and nothing is sent: %o, %o", async (options, callback, message) => {
    const { socket, client } = await connectPair();
    const attempt = (): unknown => socket.send("data", options as SendOptions, callback as SendCallback);
    expect(attempt).toThrow(new TypeError(message));
    client.send(text("hello"));
    socket.send("next");
    expect(await client.nextMessage()).toBe("next");
  });
});
