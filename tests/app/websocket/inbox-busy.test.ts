/**
 * A handler that is busy still hears its peer, with a client over TCP: control frames are read and replied to while
 * messages wait, and what waits is bounded.
 */

import { connect as connectTcp } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import type { App, AppOptions, Socket, SocketEvents } from "../../../mod.ts";
import { connectTo, eventOf, listeningApp, portOf, until } from "../../support/app.ts";
import { connectDeflate } from "../../support/compression.ts";
import { binary, close, opcodes, ping, pong, text } from "../../support/frames.ts";
import { usedBytes } from "../../support/memory.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { flood, StreamClient, untilStill } from "../../support/stream-client.ts";

const MiB = 1024 * 1024;

type Message = string | Buffer;

/** What a busy handler does when it goes on: it takes all messages that it has not had yet. */
type Finish = (socket: Socket) => Promise<Message[]>;

const loopOver = async (messages: AsyncIterable<Message>): Promise<Message[]> => {
  const taken: Message[] = [];
  for await (const message of messages) taken.push(message);
  return taken;
};
const listenTo = async (socket: Socket): Promise<Message[]> => {
  const taken: Message[] = [];
  socket.on("message", (message) => taken.push(message));
  await new Promise<void>((resolve) => void socket.on("close", () => resolve()));
  return taken;
};

/** The ways in which a handler can be busy, without a listener that takes the messages meanwhile. */
const ways: [name: string, begin: (socket: Socket, released: Promise<void>) => unknown, finish: Finish][] = [
  ["an async handler, and a listener later", (_socket, released) => released, listenTo],
  ["an async handler, and a loop later", (_socket, released) => released, loopOver],
  ["an async handler, and a stream later", (_socket, released) => released, (socket) => loopOver(socket.readable)],
  ["a turn of a loop", async (socket, released) => {
    for await (const _message of socket) {
      await released;
      break;
    }
  }, loopOver],
  ["a loop that was left, by a handler that has ended", async (socket) => {
    for await (const _message of socket) break;
  }, listenTo],
  ["one call of next()", async (socket, released) => {
    await socket[Symbol.asyncIterator]().next();
    await released;
  }, listenTo],
  ["a stream that is not read on", async (socket) => {
    const reader = socket.readable.getReader();
    await reader.read();
    reader.releaseLock();
  }, (socket) => loopOver(socket.readable)],
  ["a pipe whose other end is slow", (socket, released) => {
    const slow = new WritableStream<Message>({ write: () => released });
    socket.readable.pipeTo(slow, { preventCancel: true }).catch(() => {});
  }, (socket) => new Promise((resolve) => socket.once("close", () => resolve([])))],
];

interface Busy {
  readonly app: App;
  readonly socket: Promise<Socket>;
  /** Lets the handler go on. */
  readonly release: () => void;
}

async function busyApp(
  begin: (socket: Socket, released: Promise<void>) => unknown,
  options: AppOptions = {},
): Promise<Busy> {
  const arrived = Promise.withResolvers<Socket>();
  const released = Promise.withResolvers<void>();
  onTestFinished(() => released.resolve());
  const app = await listeningApp(options, (app) =>
    app.ws("/", (socket) => {
      arrived.resolve(socket);
      return begin(socket, released.promise);
    }));
  return { app, socket: arrived.promise, release: () => released.resolve() };
}

/** A client whose handler is busy with its first message, if it reads any. */
async function connectBusy(busy: Busy): Promise<{ client: RawClient; socket: Socket }> {
  const client = await connectTo(busy.app);
  client.send(text("first"));
  return { client, socket: await busy.socket };
}

describe.each(ways)("%s", (name, begin, finish) => {
  const isFirstTaken = !name.startsWith("an async handler");

  test("replies to Pings and emits them, and reads Pongs, while messages wait", async () => {
    const { client, socket } = await connectBusy(await busyApp(begin));
    const pings: string[] = [];
    const pongs: string[] = [];
    socket.on("ping", (payload) => pings.push(`${payload}`));
    socket.on("pong", (payload) => pongs.push(`${payload}`));
    client.send(text("second"), Buffer.concat([text("third"), pong(), ping("there?")]));
    expect(await client.nextFrame()).toMatchObject({ opcode: opcodes.pong, payload: Buffer.from("there?") });
    expect([pings, pongs]).toEqual([["there?"], [""]]);
    expect(socket.isPaused).toBe(false);
  });

  test("sees the peer's Close, and has the messages before it afterwards, in order", async () => {
    const busy = await busyApp(begin);
    const { client, socket } = await connectBusy(busy);
    const closed = eventOf(socket, "close");
    client.send(text("second"), Buffer.concat([text("third"), close(4000, "enough")]));
    expect(await client.closed()).toEqual({ code: 4000, reason: "enough", ended: "fin" });
    expect(await closed).toEqual([4000, "enough", true]);
    expect(socket.readyState).toBe(socket.CLOSED);
    expect(busy.app.sockets.size).toBe(0);
    if (name.startsWith("a pipe")) return;
    const rest = finish(socket);
    busy.release();
    expect(await rest).toEqual(isFirstTaken ? ["second", "third"] : ["first", "second", "third"]);
  });

  test("is cut off from a dead peer by the heartbeat", async () => {
    const { client, socket } = await connectBusy(
      await busyApp(begin, { heartbeat: { intervalMs: 20, timeoutMs: 60 } }),
    );
    client.send(text("second"));
    expect(await eventOf(socket, "close")).toEqual([1006, "", false]);
    expect((await client.closed()).code).toBe(1006);
  });

  test("can close the socket itself, and has the messages that come before the peer's Close", async () => {
    const busy = await busyApp(begin);
    const { client, socket } = await connectBusy(busy);
    const closed = eventOf(socket, "close");
    client.send(text("second"), ping("read"));
    await client.nextFrame();
    socket.close(4001);
    expect((await client.nextFrame()).payload.readUInt16BE(0)).toBe(4001);
    client.send(text("third"), close(4001));
    expect(await closed).toEqual([4001, "", true]);
    if (name.startsWith("a pipe")) return;
    const rest = finish(socket);
    busy.release();
    expect(await rest).toEqual(isFirstTaken ? ["second", "third"] : ["first", "second", "third"]);
  });
});

describe("a peer that floods a busy handler", () => {
  const pongs = Buffer.concat(Array(160).fill(pong(Buffer.alloc(125))));

  test.each<[string, Buffer]>([
    ["messages of 64 KiB", binary(Buffer.alloc(64 * 1024))],
    ["texts of one letter", Buffer.concat(Array(8_192).fill(text("x")))],
    ["empty messages", Buffer.concat(Array(8_192).fill(binary("")))],
    ["one byte in each chunk, the rest Pongs", Buffer.concat([binary("x"), pongs])],
  ])("with %s costs little memory, and its wire is paused", async (_name, frames) => {
    const busy = await busyApp((_socket, released) => released);
    const stream = connectTcp(portOf(busy.app), "127.0.0.1");
    stream.on("error", () => {});
    onTestFinished(() => void stream.destroy());
    const client = await StreamClient.connect(stream);
    const socket = await busy.socket;
    const before = await usedBytes();
    const sending = flood(client.stream, 2_048, () => frames);
    await until(() => socket.isPaused);
    await untilStill(() => sending.takenBytes);
    // The client's own buffers are part of this process.
    expect(await usedBytes() - before).toBeLessThan(12 * MiB);
    expect(socket.readyState).toBe(socket.OPEN);
    client.stream.destroy();
    socket.terminate();
  });

  test("with messages that inflate costs no more than one message beyond what may wait", async () => {
    const busy = await busyApp((_socket, released) => released, { compression: true });
    const client = await connectDeflate(busy.app);
    const socket = await busy.socket;
    const before = await usedBytes();
    for (let i = 0; i < 64; i++) client.send(Buffer.alloc(MiB, i));
    await until(() => socket.isPaused);
    expect(await usedBytes() - before).toBeLessThan(12 * MiB);
    let index = 0;
    for await (const message of socket) {
      expect((message as Buffer).equals(Buffer.alloc(MiB, index++))).toBe(true);
      if (index === 64) break;
    }
  });

  test("gets its whole flood through in order when the handler goes on, and its Close is seen behind it", async () => {
    const busy = await busyApp((_socket, released) => released);
    const client = await connectTo(busy.app);
    const socket = await busy.socket;
    const texts = Array.from({ length: 5_000 }, (_, i) => `${i}`);
    client.send(Buffer.concat([...texts.map((each) => text(each)), ping("seen late"), close(1000)]));
    await until(() => socket.isPaused);
    expect([socket.readyState, client.frames]).toEqual([socket.OPEN, []]);
    expect(await loopOver(socket)).toEqual(texts);
    expect((await client.nextFrame()).payload.toString()).toBe("seen late");
    expect((await client.closed()).code).toBe(1000);
  });
});

test("a loop that is told of the Close by its event can stop, and send() says so too", async () => {
  const ended = Promise.withResolvers<unknown[]>();
  const app = await listeningApp({}, (app) =>
    app.ws("/", async (socket) => {
      const gone = new AbortController();
      socket.on("close", () => gone.abort());
      const tokens: boolean[] = [];
      for await (const _prompt of socket) {
        while (!gone.signal.aborted) {
          tokens.push(socket.send("token"));
          await nextTurn();
        }
      }
      ended.resolve([tokens[0], tokens.at(-1), socket.readyState]);
    }));
  const client = await connectTo(app);
  client.send(text("prompt"));
  expect(await client.nextMessage()).toBe("token");
  client.send(close(1000));
  const [first, last, readyState] = await ended.promise;
  expect([first, last, readyState]).toEqual([true, false, 3]);
});

describe("an explicit pause", () => {
  test("still stops everything, until resume", async () => {
    const busy = await busyApp((socket) => socket.pause());
    const client = await connectTo(busy.app);
    const socket = await busy.socket;
    client.send(text("1"), ping("p"), close(1000));
    const iterator = socket[Symbol.asyncIterator]();
    const asked = iterator.next();
    for (let i = 0; i < 10; i++) await nextTurn();
    expect([client.frames, socket.isPaused, socket.readyState]).toEqual([[], true, socket.OPEN]);
    socket.resume();
    expect(await asked).toEqual({ done: false, value: "1" });
    expect((await client.nextFrame()).payload.toString()).toBe("p");
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  test("is not judged by the heartbeat", async () => {
    const busy = await busyApp((socket) => socket.pause(), { heartbeat: { intervalMs: 20, timeoutMs: 50 } });
    const client = await connectTo(busy.app);
    const socket = await busy.socket;
    for (let i = 0; i < 8; i++) expect((await client.nextFrame()).opcode).toBe(opcodes.ping);
    expect(socket.readyState).toBe(socket.OPEN);
    const closed: Promise<SocketEvents["close"]> = eventOf(socket, "close");
    socket.resume();
    expect(await closed).toEqual([1006, "", false]);
  });
});

test("terminate() drops the messages that wait", async () => {
  const busy = await busyApp((_socket, released) => released);
  const client = await connectTo(busy.app);
  const socket = await busy.socket;
  client.send(text("1"), text("2"), ping("read"));
  await client.nextFrame();
  socket.terminate();
  await expect(loopOver(socket)).rejects.toThrow("The socket has ended with 1006");
});
