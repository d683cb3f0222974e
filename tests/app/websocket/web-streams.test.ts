/** `socket.readable` and `socket.writable`: web streams with backpressure in both directions, and their ends. */

import { connect as connectTcp } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import type { App, Socket } from "../../../mod.ts";
import { connectPair, connectTo, eventOf, listeningApp, type Pair, portOf, runScript } from "../../support/app.ts";
import { binary, close, continuation, text } from "../../support/frames.ts";
import { usedBytes } from "../../support/memory.ts";
import { flood, StreamClient, untilStill } from "../../support/stream-client.ts";
import { streamFrom } from "../../support/web-stream.ts";

const MiB = 1024 * 1024;
const BLOCK = 64 * 1024;

type Message = string | Buffer;

/** Both ends of a connection whose client can be paused, and whose handler has only read the property `readable`. */
async function streamPair(options: object = {}): Promise<{ app: App; socket: Socket; client: StreamClient }> {
  const arrived = Promise.withResolvers<Socket>();
  const app = await listeningApp(options, (app) =>
    app.ws("/", (socket) => {
      void socket.readable;
      arrived.resolve(socket);
    }));
  const stream = connectTcp(portOf(app), "127.0.0.1");
  stream.on("error", () => {});
  onTestFinished(() => void stream.destroy());
  return { app, client: await StreamClient.connect(stream), socket: await arrived.promise };
}

async function collect(stream: ReadableStream<Message>): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

/** A pair without a message listener, so that the streams are the only readers. */
async function quietPair(): Promise<Pick<Pair, "client" | "socket" | "app">> {
  const arrived = Promise.withResolvers<Socket>();
  const app = await listeningApp({}, (app) =>
    app.ws("/", (socket) => {
      void socket.readable;
      arrived.resolve(socket);
    }));
  return { app, client: await connectTo(app), socket: await arrived.promise };
}

function numbered(index: number): Buffer {
  const payload = Buffer.alloc(BLOCK, index);
  payload.writeUInt32BE(index);
  return payload;
}

describe("readable", () => {
  test("is one stream, with every message: texts as strings, bytes as Buffers, until a clean close", async () => {
    const { client, socket } = await quietPair();
    expect(socket.readable).toBe(socket.readable);
    expect(socket.readable).toBeInstanceOf(ReadableStream);
    client.send(Buffer.concat([text("grüße"), binary(Buffer.from([1, 2])), text(""), close(1000)]));
    expect(await collect(socket.readable)).toEqual(["grüße", Buffer.from([1, 2]), ""]);
    expect((await client.closed()).code).toBe(1000);
  });

  test("loses none of the messages that came before it was read, and gives them one by one", async () => {
    const { client, socket } = await quietPair();
    client.send(Buffer.concat(["a", "b", "c", "d"].map((each) => text(each))));
    await nextTurn();
    const reader = socket.readable.getReader();
    expect([(await reader.read()).value, (await reader.read()).value]).toEqual(["a", "b"]);
    reader.releaseLock();
    client.send(close(1000));
    expect(await collect(socket.readable)).toEqual(["c", "d"]);
  });

  test.each<[string, (pair: Pick<Pair, "client">) => void, RegExp]>([
    ["a reset", ({ client }) => client.reset(), /1006/],
    ["a FIN without a Close", ({ client }) => client.end(), /1006/],
    ["a fault of the protocol", ({ client }) => client.send(continuation("x")), /1002/],
  ])("fails with %s", async (_name, end, message) => {
    const pair = await quietPair();
    const reading = collect(pair.socket.readable);
    end(pair);
    await expect(reading).rejects.toThrow(message);
  });

  test("slows the client down by TCP while nobody reads", async () => {
    const { client, socket } = await streamPair();
    const sending = flood(client.stream, 512, (index) => binary(numbered(index)));
    await untilStill(() => sending.takenBytes);
    expect(sending.takenBytes).toBeLessThan(16 * MiB);
    expect(socket.isPaused).toBe(true);
    let count = 0;
    const reading = (async () => {
      for await (const message of socket.readable) expect((message as Buffer).readUInt32BE(0)).toBe(count++);
    })();
    await sending.done;
    client.send(close(1000));
    await reading;
    expect(count).toBe(512);
  });

  test("can be piped through other web streams", async () => {
    const { client, socket } = await quietPair();
    const shouting = new TransformStream<Message, string>({
      transform: (message, controller) => controller.enqueue(String(message).toUpperCase()),
    });
    const [left, right] = socket.readable.pipeThrough(shouting).tee();
    client.send(text("hello"), text("again"), close(1000));
    expect(await Promise.all([collect(left), collect(right)])).toEqual(Array(2).fill(["HELLO", "AGAIN"]));
  });

  test.each<[string, (stream: ReadableStream<Message>) => Promise<unknown>]>([
    ["cancel", (stream) => stream.cancel()],
    ["leaving a loop", async (stream) => {
      for await (const _message of stream) break;
    }],
  ])("%s closes the socket with 1000, and its answer is awaited", async (_name, leave) => {
    const { client, socket } = await quietPair();
    const closed = eventOf(socket, "close");
    client.send(text("one"), text("two"));
    await leave(socket.readable);
    expect((await client.nextFrame()).payload.readUInt16BE(0)).toBe(1000);
    client.send(text("too late"), close(1000));
    expect(await closed).toEqual([1000, "", true]);
    expect((await client.closed()).ended).toBe("fin");
  });

  test("that was cancelled keeps none of the messages that a peer sends instead of its Close", async () => {
    const { client, socket } = await streamPair({ closeTimeoutMs: 60_000 });
    client.send(text("one"));
    await socket.readable.cancel();
    const before = await usedBytes();
    const frame = binary(Buffer.alloc(BLOCK));
    await flood(client.stream, 512, () => frame).done;
    await untilStill(() => 0);
    expect(await usedBytes() - before).toBeLessThan(16 * MiB);
    client.send(close(1000));
    await eventOf(socket, "close");
  });
});

describe("writable", () => {
  test("is one stream, and sends every chunk: strings as texts, any bytes as binary", async () => {
    const { client, socket } = await quietPair();
    expect(socket.writable).toBe(socket.writable);
    const writer = socket.writable.getWriter();
    await writer.write("grüße");
    await writer.write(Buffer.from([1, 2]));
    await writer.write(new Uint16Array([0x0403]).buffer);
    expect(await client.nextMessage()).toBe("grüße");
    expect(await client.nextMessage()).toEqual(Buffer.from([1, 2]));
    expect(await client.nextMessage()).toEqual(Buffer.from([3, 4]));
  });

  test("waits while the client does not read, so that a source is not drained into memory", async () => {
    const { client, socket } = await streamPair();
    client.stream.pause();
    const count = 512;
    let made = 0;
    let most = 0;
    async function* source(): AsyncGenerator<Buffer> {
      for (; made < count; made++) {
        most = Math.max(most, socket.bufferedAmount);
        yield numbered(made);
      }
    }
    const piping = streamFrom(source()).pipeTo(socket.writable);
    await untilStill(() => made);
    expect(made * BLOCK).toBeLessThan(16 * MiB);
    client.stream.resume();
    for (let i = 0; i < count; i++) expect((await client.nextMessage() as Buffer).readUInt32BE(0)).toBe(i);
    expect(most).toBeLessThan(MiB);
    client.send(close(1000));
    await piping;
  });

  test("close sends the chunks that were written, then a Close, and resolves when the connection is over", async () => {
    const { client, socket } = await quietPair();
    const writer = socket.writable.getWriter();
    void writer.write("the last words");
    let isClosed = false;
    const closing = writer.close().then(() => isClosed = true);
    expect(await client.nextMessage()).toBe("the last words");
    expect((await client.nextFrame()).payload.readUInt16BE(0)).toBe(1000);
    expect(isClosed).toBe(false);
    client.send(close(1000));
    await closing;
    expect(socket.readyState).toBe(socket.CLOSED);
    expect((await client.closed()).code).toBe(1000);
  });

  test("close resolves too when the socket is closed already, or is closing", async () => {
    for (const code of [1000, 4000]) {
      const { client, socket } = await quietPair();
      const closed = eventOf(socket, "close");
      if (code === 4000) socket.close(4000);
      client.send(close(code));
      if (code === 1000) await closed;
      await socket.writable.close();
      expect((await closed)[0]).toBe(code);
    }
  });

  test("abort cuts the connection", async () => {
    const { client, socket } = await quietPair();
    const closed = eventOf(socket, "close");
    await socket.writable.abort(new Error("no more"));
    expect(await closed).toEqual([1006, "", false]);
    expect((await client.closed()).code).toBe(1006);
  });

  test.each<[string, (pair: Pick<Pair, "client" | "socket">) => void]>([
    ["closed by the peer", ({ client }) => client.send(close(1000))],
    ["cut", ({ socket }) => socket.terminate()],
  ])("a write fails when the socket was %s", async (_name, end) => {
    const pair = await quietPair();
    const writer = pair.socket.writable.getWriter();
    writer.closed.catch(() => {});
    const closed = eventOf(pair.socket, "close");
    end(pair);
    await closed;
    await expect(writer.write("too late")).rejects.toThrow("The socket has ended");
  });

  test("a write that waits fails when the socket dies meanwhile", async () => {
    const { client, socket } = await streamPair();
    client.stream.pause();
    const writer = socket.writable.getWriter();
    writer.closed.catch(() => {});
    const writing = (async () => {
      for (let i = 0; i < 1_000; i++) await writer.write(numbered(i));
    })();
    const failure = expect(writing).rejects.toThrow("The socket has ended");
    await untilStill(() => socket.bufferedAmount);
    expect(socket.bufferedAmount).toBeGreaterThan(0);
    client.stream.destroy();
    socket.terminate();
    await failure;
  });

  test("a write of a chunk that cannot be sent fails with an error that says why", async () => {
    const { socket } = await quietPair();
    const writer = socket.writable.getWriter();
    writer.closed.catch(() => {});
    await expect(writer.write(42 as never)).rejects.toThrow(/A message must be a string, a Buffer/);
  });
});

describe("piped into each other", () => {
  test("they echo 32 MiB, take no more than the client reads, and end with the client", async () => {
    const { client, socket } = await streamPair();
    const piping = socket.readable.pipeTo(socket.writable);
    client.stream.pause();
    const sending = flood(client.stream, 512, (index) => binary(numbered(index)));
    await untilStill(() => sending.takenBytes);
    expect(sending.takenBytes).toBeLessThan(24 * MiB);
    expect(socket.bufferedAmount).toBeLessThan(MiB);
    client.stream.resume();
    for (let i = 0; i < 512; i++) expect((await client.nextMessage() as Buffer).readUInt32BE(0)).toBe(i);
    client.send(close(1000));
    await piping;
    expect((await client.closed()).code).toBe(1000);
  });

  test("an unclean end of the one stream cuts the connection of the other", async () => {
    const { client: first, socket: from } = await quietPair();
    const { client: second, socket: to } = await quietPair();
    const piping = from.readable.pipeTo(to.writable);
    first.send(text("passed on"));
    expect(await second.nextMessage()).toBe("passed on");
    first.reset();
    await expect(piping).rejects.toThrow("The socket has ended with 1006");
    expect((await second.closed()).code).toBe(1006);
  });

  test("a clean end of the one stream closes the other cleanly", async () => {
    const { client: first, socket: from } = await quietPair();
    const { client: second, socket: to } = await quietPair();
    const piping = from.readable.pipeTo(to.writable);
    first.send(text("passed on"), close(1000));
    expect(await second.nextMessage()).toBe("passed on");
    expect((await second.nextFrame()).payload.readUInt16BE(0)).toBe(1000);
    second.send(close(1000));
    await piping;
  });
});

test("streams that nobody uses, or that die with their socket, cause no unhandled rejection", async () => {
  const { exitCode, output } = await runScript(`
    import { createApp } from "{root}mod.ts";
    const app = await createApp({ logger: false });
    let left = 4;
    app.ws("/:what", (socket, { params: { what } }) => {
      if (what === "readable") void socket.readable;
      if (what === "reader") socket.readable.getReader();
      if (what === "writable") void socket.writable;
      if (what === "writer") void socket.writable.getWriter().write("x").catch(() => {});
      socket.on("close", (code) => {
        console.log(code);
        if (--left === 0) setTimeout(() => app.close(), 50);
      });
    });
    for (const what of ["readable", "reader", "writable", "writer"]) (await app.inject("/" + what)).terminate();
  `);
  expect(output.split("\n")).toEqual(Array(4).fill("1006"));
  expect(exitCode).toBe(0);
});

test("readable and for await share the messages", async () => {
  const { client, socket } = await connectPair({}, (socket) => void socket.readable);
  client.send(text("1"), text("2"), close(1000));
  const reader = socket.readable.getReader();
  expect((await reader.read()).value).toBe("1");
  for await (const message of socket) expect(message).toBe("2");
  expect((await reader.read()).done).toBe(true);
});
