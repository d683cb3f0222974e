/** The route option `textHeartbeat`: the server answers, and nobody above sees the question. */
import { channel } from "node:diagnostics_channel";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import type { RouteOptions, Socket } from "../../../mod.ts";
import { connectTo, listeningApp, until } from "../../support/app.ts";
import { binary, text } from "../../support/frames.ts";
import type { RawClient } from "../../support/raw-client.ts";

/** Connects to a route whose handler collects what it reads. */
async function open(
  options: RouteOptions<object, unknown>,
  read: (socket: Socket, collect: (message: unknown) => void) => unknown,
): Promise<{ client: RawClient; socket: Socket; read: unknown[] }> {
  const messages: unknown[] = [];
  const arrived = Promise.withResolvers<Socket>();
  const app = await listeningApp({}, (app) =>
    app.ws("/", options, (socket) => {
      arrived.resolve(socket);
      return read(socket, (message) => void messages.push(message));
    }));
  const client = await connectTo(app);
  return { client, socket: await arrived.promise, read: messages };
}

const readers: [string, (socket: Socket, collect: (message: unknown) => void) => unknown][] = [
  ["listeners", (socket, collect) => void socket.on("message", collect)],
  ["a loop", async (socket, collect) => {
    for await (const message of socket) collect(message);
  }],
  ["a web stream", (socket, collect) => socket.readable.pipeTo(new WritableStream({ write: collect }))],
];

describe.each(readers)("for %s,", (_name, reader) => {
  test("the server answers the question by itself, in its place among the messages", async () => {
    const { client, socket, read } = await open({ textHeartbeat: true }, reader);
    client.send(Buffer.concat([text("a"), text("\x05"), text("b"), text("\x05")]));
    expect([await client.nextMessage(), await client.nextMessage()]).toEqual(["\x06", "\x06"]);
    client.send(text("c"));
    await until(() => read.length === 3);
    expect(read).toEqual(["a", "b", "c"]);
    socket.close();
  });

  test("a route without the option gets it like any other message", async () => {
    const { client, socket, read } = await open({}, reader);
    client.send(Buffer.concat([text("\x05"), text("b")]));
    await until(() => read.length === 2);
    expect(read).toEqual(["\x05", "b"]);
    socket.send("first");
    expect(await client.nextMessage()).toBe("first");
    socket.close();
  });
});

test("what only looks like the question is a message: bytes, other texts, and the answer", async () => {
  const { client, read } = await open({ textHeartbeat: true }, (socket, collect) => void socket.on("message", collect));
  const others = ["\x05\x05", " \x05", "\x06", "", "ping"];
  client.send(Buffer.concat([binary("\x05"), ...others.map((each) => text(each)), text("\x05")]));
  expect(await client.nextMessage()).toBe("\x06");
  expect(read).toEqual([Buffer.from("\x05"), ...others]);
});

test("the channel of messages does not tell of it", async () => {
  const told: unknown[] = [];
  const listener = (message: unknown): void => void told.push((message as { data: unknown }).data);
  channel("spacenode:message").subscribe(listener);
  onTestFinished(() => void channel("spacenode:message").unsubscribe(listener));
  const { client } = await open({ textHeartbeat: true }, (socket) => void socket.on("message", () => {}));
  client.send(Buffer.concat([text("\x05"), text("a"), text("\x05")]));
  await client.nextMessage();
  await client.nextMessage();
  expect(told).toEqual(["a"]);
});

test("while reading is paused, the answer waits", async () => {
  const { client, socket, read } = await open(
    { textHeartbeat: true },
    (socket, collect) => void socket.on("message", collect).pause(),
  );
  client.send(text("\x05"));
  socket.send("first");
  expect(await client.nextMessage()).toBe("first");
  socket.resume();
  expect(await client.nextMessage()).toBe("\x06");
  expect(read).toEqual([]);
});

test("the answer counts as any other message: a client that asks and never reads is a slow consumer", async () => {
  const { client, socket } = await open({ textHeartbeat: true, maxBufferedBytes: 1_000_000 }, (socket) => {
    socket.on("message", () => {});
  });
  client.pause();
  while (socket.bufferedAmount < 999_000) {
    socket.send("x".repeat(999_900 - socket.bufferedAmount));
    await nextTurn();
  }
  expect(socket.readyState).toBe(1);
  client.send(...Array<Buffer>(1_000).fill(text("\x05")));
  await until(() => socket.readyState !== 1);
  client.resume();
  expect((await client.closed()).code).toBe(1013);
});
