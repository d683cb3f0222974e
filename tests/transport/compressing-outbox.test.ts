// Tests CompressingOutbox through apps: the order of messages, backpressure, and sockets that close or are cut, while
// zlib's threads are at work.

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { CompressingOutbox } from "../../src/transport/compressing-outbox.ts";
import type { NegotiatedDeflate } from "../../src/transport/deflate/negotiated-deflate.ts";
import type { Outbox } from "../../src/transport/outbox.ts";
import { eventOf, listeningApp, until } from "../support/app.ts";
import { connectDeflate, deflateModes, type DeflatePair, deflatePair, noise, prose } from "../support/compression.ts";
import { deflated, framesOf } from "../support/deflate.ts";
import { close, opcodes, ping, text } from "../support/frames.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

describe.each(deflateModes)("the order of what is sent: %s", (_name, mode) => {
  test("is kept among messages of every size, in one turn", async () => {
    const { client, socket } = await deflatePair(mode);
    const data = Array.from({ length: 60 }, (_, i) => {
      const size = [10, 2000, 130 * KiB, 20 * KiB, 300 * KiB, 100][i % 6];
      return i % 4 === 3 ? noise(size) : i % 4 === 2 ? Buffer.from(prose(size)) : prose(size);
    });
    for (const [i, each] of data.entries()) socket.send(each, i % 7 === 6 ? { compress: false } : {});
    for (const each of data) {
      const received = await client.nextMessage();
      expect(typeof received).toBe(typeof each);
      expect(Buffer.compare(Buffer.from(received as string), Buffer.from(each as string))).toBe(0);
    }
  });

  test("is kept over turns", async () => {
    const { client, socket } = await deflatePair(mode);
    const data = Array.from({ length: 40 }, (_, i) => i % 5 === 0 ? prose(256 * KiB) : `${i} ${prose(i * 50)}`);
    for (const each of data) {
      socket.send(each);
      await nextTurn();
    }
    for (const each of data) expect(await client.nextMessage() === each).toBe(true);
  });

  test("is kept by sockets that send at the same time", async () => {
    const app = await listeningApp({ compression: mode }, (app) => {
      app.ws("/", (socket) => {
        for (let i = 0; i < 20; i++) socket.send(i % 4 === 0 ? large[i / 4] : `${i}`);
      });
    });
    const large = Array.from({ length: 5 }, () => prose(200 * KiB));
    const clients = await Promise.all(Array.from({ length: 20 }, () => connectDeflate(app)));
    for (const client of clients) {
      for (let i = 0; i < 20; i++) {
        expect(await client.nextMessage() === (i % 4 === 0 ? large[i / 4] : `${i}`)).toBe(true);
      }
    }
  });

  test("a Ping and a Pong behind a large message arrive before or after it", async () => {
    const { client, socket } = await deflatePair(mode);
    const message = prose(512 * KiB);
    socket.send(message);
    socket.ping("ping");
    client.sendBytes(ping("answer me"));
    expect(await client.nextMessage() === message).toBe(true);
    socket.send("end");
    expect(await client.nextMessage()).toBe("end");
    await until(() => client.frames.some(({ opcode }) => opcode === opcodes.pong));
    const control = client.frames.filter(({ opcode }) => opcode > opcodes.close).map(({ payload }) => `${payload}`);
    expect(control.toSorted()).toEqual(["answer me", "ping"]);
  });

  test("a Close comes behind all that was sent before it, and nothing behind the Close", async () => {
    const { client, socket, seen } = await deflatePair(mode);
    const message = prose(512 * KiB);
    socket.send(message);
    socket.send("small");
    socket.send(message);
    socket.close(4001, "enough");
    expect(socket.send("late")).toBe(false);
    for (const each of [message, "small", message]) expect(await client.nextMessage() === each).toBe(true);
    expect((await client.nextFrame()).opcode).toBe(opcodes.close);
    client.sendBytes(close(4001));
    expect(await client.closed()).toMatchObject({ code: 4001, reason: "enough" });
    expect(await seen.closed).toEqual([4001, "", true]);
    expect(client.frames.at(-1)!.opcode).toBe(opcodes.close);
    expect(seen.errors).toEqual([]);
  });

  test("the peer's Close is answered behind what was sent before", async () => {
    const message = prose(512 * KiB);
    const { client, socket, seen } = await deflatePair(mode);
    socket.on("message", () => {
      socket.send(message);
      socket.send("small");
    });
    client.sendBytes(text("go"), close(1000));
    for (const each of [message, "small"]) expect(await client.nextMessage() === each).toBe(true);
    expect((await client.closed()).code).toBe(1000);
    expect(await seen.closed).toEqual([1000, "", true]);
  });

  test("a fault of the peer while zlib is at work is answered with the Close for it", async () => {
    const { client, socket, seen } = await deflatePair(mode);
    socket.send(prose(512 * KiB));
    client.sendBytes(text("bad", { rsv: 2 }));
    expect((await client.closed()).code).toBe(1002);
    expect(await seen.closed).toEqual([1002, expect.any(String), false]);
    expect(seen.errors).toHaveLength(1);
  });
});

describe.each(deflateModes)("backpressure: %s", (_name, mode) => {
  test("send returns false while a large message waits for zlib, bufferedAmount counts it, and drain follows at zero", async () => {
    const { client, socket } = await deflatePair(mode);
    const message = prose(256 * KiB);
    const drained = eventOf(socket, "drain").then(() => socket.bufferedAmount);
    expect(socket.send(message)).toBe(false);
    expect(socket.bufferedAmount).toBeGreaterThanOrEqual(message.length);
    expect(socket.send("behind")).toBe(false);
    expect(socket.bufferedAmount).toBeGreaterThanOrEqual(message.length + 6);
    expect(await drained).toBe(0);
    expect(socket.send("after")).toBe(true);
    for (const each of [message, "behind", "after"]) expect(await client.nextMessage() === each).toBe(true);
  });

  test("bufferedAmount counts the bytes of a text that waits for zlib, not its characters", async () => {
    const { client, socket } = await deflatePair(mode);
    const message = prose(256 * KiB);
    socket.send(message);
    const before = socket.bufferedAmount;
    socket.send("€".repeat(1_000));
    expect(socket.bufferedAmount).toBe(before + 3_000);
    for (const each of [message, "€".repeat(1_000)]) expect(await client.nextMessage() === each).toBe(true);
  });

  test("tiny messages that wait for zlib are counted by the memory they take, and those that fit come in order", async () => {
    const { app, client, socket } = await deflatePair(mode, { maxBufferedBytes: MiB, slowConsumer: "drop" });
    socket.send(prose(256 * KiB));
    let sent = 0;
    while (app.stats().droppedMessages === 0 && sent < 100_000) socket.send(`${sent++}`);
    expect(sent).toBeGreaterThan(1_000);
    expect(sent).toBeLessThan(MiB / 200);
    expect((await client.nextMessage()).length).toBe(256 * KiB);
    for (let i = 0; i < sent - 1; i++) expect(await client.nextMessage()).toBe(`${i}`);
    await socket.drained();
    socket.send("room again");
    expect(await client.nextMessage()).toBe("room again");
  });

  test("send returns true below highWaterMark", async () => {
    const { client, socket } = await deflatePair(mode, { highWaterMark: MiB });
    const message = prose(256 * KiB);
    expect(socket.send(message)).toBe(true);
    await socket.drained();
    expect(socket.bufferedAmount).toBe(0);
    expect(await client.nextMessage() === message).toBe(true);
  });

  test("a producer that waits for drained() sends at the client's pace", async () => {
    const { client, socket } = await deflatePair(mode);
    const message = prose(300 * KiB);
    let most = 0;
    const sending = (async () => {
      for (let i = 0; i < 30; i++) {
        if (!socket.send(message)) await socket.drained();
        most = Math.max(most, socket.bufferedAmount);
      }
    })();
    for (let i = 0; i < 30; i++) expect(await client.nextMessage() === message).toBe(true);
    await sending;
    expect(most).toBeLessThan(2 * message.length);
  });

  /** Sends large messages, one a turn, until `isEnough` is true, and returns how many. */
  async function flood({ client, socket }: DeflatePair, isEnough: () => boolean): Promise<number> {
    const message = noise(200 * KiB);
    client.pause();
    let count = 0;
    while (!isEnough() && count < 500) {
      socket.send(message);
      expect(socket.bufferedAmount).toBeLessThan(2 * MiB + 2 * message.length);
      count++;
      await nextTurn();
    }
    return count;
  }

  test("a slow consumer is closed with 1013", async () => {
    const pair = await deflatePair(mode, { maxBufferedBytes: 2 * MiB, closeTimeoutMs: 2_000 });
    await flood(pair, () => pair.socket.readyState !== 1);
    expect(pair.socket.readyState).not.toBe(1);
    expect(pair.seen.errors.map(({ message }) => message)).toEqual([expect.stringMatching(/slow consumer/i)]);
    pair.client.resume();
    expect((await pair.client.closed()).code).toBe(1013);
    expect(await pair.seen.closed).toEqual([1013, expect.any(String), false]);
  });

  test("with slowConsumer: drop, a slow consumer misses messages and gets the others in order", async () => {
    const pair = await deflatePair(mode, { maxBufferedBytes: 2 * MiB, slowConsumer: "drop" });
    const { app, client, socket, seen } = pair;
    const sent = await flood(pair, () => app.stats().droppedMessages >= 5);
    const { droppedMessages } = app.stats();
    expect(droppedMessages).toBe(5);
    client.resume();
    await socket.drained();
    const last = prose(2000);
    expect(socket.send(last)).toBe(true);
    for (let i = 0; i < sent - droppedMessages; i++) expect((await client.nextMessage()).length).toBe(200 * KiB);
    expect(await client.nextMessage()).toBe(last);
    expect(seen.errors).toEqual([]);
  });
});

describe.each(deflateModes)("a connection that ends while zlib is at work: %s", (_name, mode) => {
  const message = prose(900 * KiB);

  test.each<[name: string, end: (pair: DeflatePair) => unknown]>([
    ["terminate at once", ({ socket }) => socket.terminate()],
    ["terminate a turn later", async ({ socket }) => {
      await nextTurn();
      socket.terminate();
    }],
    ["a reset by the peer", ({ client }) => client.reset()],
    ["close, and then terminate", ({ socket }) => {
      socket.close();
      socket.terminate();
    }],
    ["a fault of the peer, and its reset", ({ client }) => {
      client.sendBytes(text("bad", { rsv: 1 }));
      client.reset();
    }],
  ])("%s: closed once, nothing thrown, and the others go on", async (_name, end) => {
    const pair = await deflatePair(mode);
    const { app, socket, seen } = pair;
    const other = await connectDeflate(app);
    const [otherSocket] = [...app.sockets].filter((each) => each !== socket);
    for (let i = 0; i < 5; i++) {
      socket.send(message);
      socket.send("behind");
      otherSocket.send(message);
    }
    await end(pair);
    await seen.closed;
    expect([socket.bufferedAmount, socket.readyState, socket.send(message)]).toEqual([0, 3, false]);
    for (let i = 0; i < 5; i++) expect(await other.nextMessage() === message).toBe(true);
    expect(seen.closes).toHaveLength(1);
    expect([...app.sockets]).toEqual([otherSocket]);
  });

  test("drained() rejects, and drain never comes", async () => {
    const { socket, seen } = await deflatePair(mode);
    let drains = 0;
    socket.on("drain", () => drains++);
    for (let i = 0; i < 5; i++) expect(socket.send(message)).toBe(false);
    const drained = socket.drained();
    socket.terminate();
    await expect(drained).rejects.toThrow(/ended/);
    await seen.closed;
    await expect(socket.drained()).rejects.toThrow(/ended/);
    expect(drains).toBe(0);
  });

  test("app.close delivers what was sent before its Close", async () => {
    const { app, client, socket, seen } = await deflatePair(mode);
    socket.send(message);
    socket.send("behind");
    const closed = app.close({ code: 1001, reason: "restart", timeoutMs: 5_000 });
    expect(await client.nextMessage() === message).toBe(true);
    expect(await client.nextMessage()).toBe("behind");
    expect((await client.nextFrame()).opcode).toBe(opcodes.close);
    client.sendBytes(close(1001));
    expect(await closed).toEqual({ closed: 1, terminated: 0 });
    expect(await client.closed()).toMatchObject({ code: 1001, reason: "restart" });
    expect((await seen.closed).slice(0, 1)).toEqual([1001]);
  });

  test("app.close cuts a client that does not answer, and resolves in time", async () => {
    const { app, client, socket, seen } = await deflatePair(mode);
    client.pause();
    for (let i = 0; i < 10; i++) socket.send(message);
    const startMs = performance.now();
    expect(await app.close({ timeoutMs: 200 })).toEqual({ closed: 0, terminated: 1 });
    expect(performance.now() - startMs).toBeLessThan(3_000);
    await seen.closed;
    expect(seen.closes).toHaveLength(1);
  });

  test("a large message that is still being inflated when the socket is terminated reaches nobody", async () => {
    const { client, socket, seen } = await deflatePair(mode);
    socket.on("message", (data) => data === "stop" && socket.terminate());
    const frames = framesOf(opcodes.text, [deflated(message)], true);
    client.sendBytes(Buffer.concat([text("stop"), ...frames]));
    await seen.closed;
    await nextTurn();
    expect(seen.messages).toEqual(["stop"]);
  });
});

test("close frees the deflater of a connection, also while it compresses a message, and discard does not", () => {
  const done: string[] = [];
  const deflater = { deflate: () => new Promise<undefined>(() => {}), keep: (data: string) => data };
  const negotiated = {
    isWorthIt: () => true,
    deflater: () => ({ ...deflater, close: () => void done.push("closed") }),
  } as unknown as NegotiatedDeflate;
  const outbox = new CompressingOutbox(negotiated, {} as Outbox, () => void done.push("idle"));
  outbox.send("message", undefined);
  expect([outbox.isIdle, outbox.bufferedAmount]).toEqual([false, 7]);
  outbox.discard();
  expect(done).toEqual([]);
  outbox.close();
  expect(done).toEqual(["closed"]);
});
