/** The flow of messages through a socket, with a client over TCP: backpressure, pauses, and `for await`. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import {
  connectPair,
  connectTo,
  eventOf,
  listeningApp,
  type Pair,
  until,
  waitingApp,
  watch,
} from "../../support/app.ts";
import type { Socket } from "../../../mod.ts";
import { close, opcodes, ping, text } from "../../support/frames.ts";

const BLOCK = Buffer.alloc(500_000, "x");

/** Sends until many bytes are waiting for a client that does not read. Gives the number of messages. */
async function stall({ socket, client }: Pair): Promise<number> {
  client.pause();
  let sent = 0;
  while (socket.bufferedAmount < 2_000_000 && sent < 200) {
    socket.send(BLOCK);
    sent++;
    await nextTurn();
  }
  expect(socket.bufferedAmount).toBeGreaterThanOrEqual(2_000_000);
  return sent;
}

describe("backpressure", () => {
  test("send returns false above highWaterMark, and drain follows when nothing waits any more", async () => {
    const { socket, client } = await connectPair({ highWaterMark: 100 });
    expect(socket.send("x".repeat(50))).toBe(true);
    expect(socket.bufferedAmount).toBe(52);
    const drained = eventOf(socket, "drain").then(() => socket.bufferedAmount);
    expect(socket.send("x".repeat(50))).toBe(false);
    expect(await drained).toBe(0);
    expect([await client.nextMessage(), await client.nextMessage()]).toEqual(["x".repeat(50), "x".repeat(50)]);
  });

  test("drained() lets the event loop run when nothing waits, and when the connection is over", async () => {
    const { socket, client } = await connectPair();
    const seen: string[] = [];
    setImmediate(() => seen.push("the event loop"));
    await socket.drained();
    client.reset();
    await until(() => socket.readyState === socket.CLOSED);
    setImmediate(() => seen.push("the event loop"));
    await expect(socket.drained()).rejects.toThrow(/ended/);
    expect(seen).toEqual(["the event loop", "the event loop"]);
  });

  test.each<[string, (socket: Socket) => boolean]>([
    ["ends with the connection", () => true],
    ["sees the state of the socket", (socket) => socket.readyState === socket.OPEN],
  ])("a loop without end that sends and waits for drained() holds nobody up, and %s", async (_end, goesOn) => {
    const ended = Promise.withResolvers<unknown>();
    const app = await listeningApp({}, (app) =>
      app.ws("/much", async (socket) => {
        try {
          while (goesOn(socket)) if (!socket.send(BLOCK)) await socket.drained();
          ended.resolve("left");
        } catch (error) {
          ended.resolve(error);
        }
      }).ws("/echo", (socket) => void socket.on("message", (data) => socket.send(data))));
    const [much, other] = [await connectTo(app, "/much"), await connectTo(app, "/echo")];
    expect((await much.nextMessage()).length).toBe(BLOCK.length);
    other.send(text("hello"));
    expect(await other.nextMessage()).toBe("hello");
    much.send(close(1000));
    expect(await ended.promise).toEqual(goesOn.length === 0 ? new Error("The socket has ended") : "left");
  });

  test("drained() resolves for every caller once the client has read on", async () => {
    const pair = await connectPair();
    const sent = await stall(pair);
    const waiters = [pair.socket.drained(), pair.socket.drained()];
    const amounts = Promise.all(waiters.map(async (waiter) => (await waiter, pair.socket.bufferedAmount)));
    pair.client.resume();
    expect(await amounts).toEqual([0, 0]);
    for (let i = 0; i < sent; i++) expect((await pair.client.nextMessage()).length).toBe(BLOCK.length);
  });

  test("drained() slows a producer down to the pace of the client", async () => {
    const { socket, client } = await connectPair();
    const sending = (async () => {
      let most = 0;
      for (let i = 0; i < 100; i++) {
        if (!socket.send(BLOCK)) await socket.drained();
        most = Math.max(most, socket.bufferedAmount);
      }
      return most;
    })();
    for (let i = 0; i < 100; i++) expect((await client.nextMessage()).length).toBe(BLOCK.length);
    expect(await sending).toBeLessThan(2 * BLOCK.length);
  });

  test.each<[string, (pair: Pair) => void]>([
    ["terminate", ({ socket }) => socket.terminate()],
    ["a reset", ({ client }) => client.reset()],
  ])("drained() rejects when the connection is over before that: %s", async (_name, end) => {
    const pair = await connectPair();
    await stall(pair);
    const drained = pair.socket.drained();
    end(pair);
    await expect(drained).rejects.toThrow(/ended/);
    await expect(pair.socket.drained()).rejects.toThrow(/ended/);
  });

  test("a slow consumer is closed with 1013", async () => {
    const pair = await connectPair({ maxBufferedBytes: 3_000_000 });
    await stall(pair);
    for (let i = 0; i < 5; i++) pair.socket.send(BLOCK);
    expect(pair.socket.readyState).toBe(pair.socket.CLOSING);
    expect(pair.seen.errors.map(({ message }) => message)).toEqual([expect.stringMatching(/slow consumer.*\d+/i)]);
    pair.client.resume();
    expect((await pair.client.closed()).code).toBe(1013);
    expect(await pair.seen.closed).toEqual([1013, expect.any(String), false]);
  });

  test("with slowConsumer: drop, a slow consumer misses messages, which stats() counts", async () => {
    const pair = await connectPair({ maxBufferedBytes: 3_000_000, slowConsumer: "drop" });
    const { socket, app, client, seen } = pair;
    const sent = await stall(pair);
    const room = Math.floor((3_000_000 - socket.bufferedAmount) / (BLOCK.length + 10));
    for (let i = 0; i < room + 2; i++) expect(socket.send(BLOCK)).toBe(false);
    expect(app.stats()).toMatchObject({ droppedMessages: 2, connections: 1 });
    const drained = eventOf(socket, "drain");
    client.resume();
    await drained;
    expect(socket.send("afterwards")).toBe(true);
    for (let i = 0; i < sent + room; i++) expect((await client.nextMessage()).length).toBe(BLOCK.length);
    expect(await client.nextMessage()).toBe("afterwards");
    expect(seen.errors).toEqual([]);
  });
});

describe("pause and resume", () => {
  test("inside a chunk stop the messages behind it; none is lost, and the order is kept", async () => {
    const stop = "stop".padEnd(1_000);
    const { socket, client, seen } = await connectPair({}, (socket) => {
      socket.on("message", (data) => data === stop && socket.pause());
    });
    const texts = Array.from({ length: 100 }, (_, i) => i % 10 === 9 ? stop : `${i}`.padEnd(100));
    client.send(Buffer.concat(texts.map((each) => text(each))));
    for (let stops = 1; stops <= 10; stops++) {
      await until(() => socket.isPaused);
      await nextTurn();
      expect(seen.messages).toEqual(texts.slice(0, stops * 10));
      socket.resume();
    }
    client.send(text("after"));
    await until(() => seen.messages.length === 101);
    expect(seen.messages).toEqual([...texts, "after"]);
    expect(socket.isPaused).toBe(false);
  });

  test("a peer that has gone during a pause is noticed after resume, behind its messages", async () => {
    const { socket, client, seen } = await connectPair({}, (socket) => {
      socket.once("message", () => socket.pause());
    });
    client.send(Buffer.concat([text("1"), text("2")]), text("3"));
    client.end();
    await until(() => socket.isPaused);
    expect(seen.messages).toEqual(["1"]);
    socket.resume();
    expect(await seen.closed).toEqual([1006, "", false]);
    expect(seen.messages).toEqual(["1", "2", "3"]);
  });

  test("have no effect after the connection is over", async () => {
    const { socket, client, seen } = await connectPair();
    client.send(close(1000));
    await seen.closed;
    socket.pause();
    socket.resume();
    expect([socket.isPaused, seen.closes.length]).toEqual([false, 1]);
  });
});

describe("for await", () => {
  test("gives every message, without a pause while few of them wait, and ends with a clean close", async () => {
    const received: (string | Buffer)[] = [];
    const paused: boolean[] = [];
    const ended = Promise.withResolvers<string>();
    const app = await listeningApp({}, (app) =>
      app.ws("/", async (socket) => {
        for await (const message of socket) {
          received.push(message);
          await nextTurn();
          paused.push(socket.isPaused);
        }
        ended.resolve("loop over");
      }));
    const client = await connectTo(app, { path: "/", early: Buffer.concat([text("0"), text("1")]) });
    client.send(Buffer.concat([text("2"), text("3"), text("4"), close(1000)]));
    expect(await ended.promise).toBe("loop over");
    expect(received).toEqual(["0", "1", "2", "3", "4"]);
    expect(paused).toEqual([false, false, false, false, false]);
  });

  test("throws when the close is not clean, and the handler may catch that", async () => {
    const caught = Promise.withResolvers<unknown>();
    const app = await listeningApp({}, (app) =>
      app.ws("/", async (socket) => {
        try {
          for await (const message of socket) socket.send(message);
        } catch (error) {
          caught.resolve(error);
        }
      }));
    const client = await connectTo(app);
    client.send(text("hello"));
    expect(await client.nextMessage()).toBe("hello");
    client.reset();
    expect(await caught.promise).toMatchObject({ message: expect.stringContaining("1006") });
  });

  test("goes on where an earlier loop stopped", async () => {
    const { app, arrived } = await waitingApp();
    const client = await connectTo(app);
    const socket = await arrived;
    const iterator = socket[Symbol.asyncIterator]();
    expect(socket[Symbol.asyncIterator]()).toBe(iterator);
    client.send(Buffer.concat(["1", "2", "3"].map((each) => text(each))));
    for await (const message of socket) {
      expect(message).toBe("1");
      break;
    }
    expect(await iterator.next()).toEqual({ done: false, value: "2" });
    expect(await iterator.next()).toEqual({ done: false, value: "3" });
    client.send(close(1000));
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });
});

test("a listener that is added late loses none of the messages that came before, though a Ping is answered meanwhile", async () => {
  const { app, arrived, ready } = await waitingApp();
  const client = await connectTo(app, { early: Buffer.concat([text("0"), text("1")]) });
  client.send(text("2"), ping("p"));
  const socket = await arrived;
  expect(await client.nextFrame()).toMatchObject({ opcode: opcodes.pong, payload: Buffer.from("p") });
  const seen = watch(socket);
  client.send(text("3"));
  await until(() => seen.messages.length === 4);
  expect(seen.messages).toEqual(["0", "1", "2", "3"]);
  ready();
});
