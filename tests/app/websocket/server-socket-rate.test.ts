/** The option `rateLimit` beside the ways to read a socket: listeners, loops, streams, pauses, compression. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { createApp, type Socket } from "../../../mod.ts";
import { connectPair, connectTo, listeningApp, type Pair, until, watch } from "../../support/app.ts";
import { deflatePair, prose } from "../../support/compression.ts";
import { ping, text } from "../../support/frames.ts";

// What has come is read before an item falls due. Here nothing comes, so that everything is due at its moment.
vi.mock(
  import("../../../src/platform.ts"),
  async (original) => ({ ...await original(), afterReading: (task) => task() }),
);

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

function names(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${i + 1}`);
}

/** The frames of messages, in one chunk. */
function texts(messages: readonly string[]): Buffer {
  return Buffer.concat(messages.map((each) => text(each)));
}

/** A client that has sent that many messages, of which one was read. */
async function overLimit(count: number, options: Parameters<typeof connectPair>[0] = {}): Promise<Pair> {
  const pair = await connectPair({ rateLimit: { messages: 1, perMs: 1_000 }, ...options });
  pair.client.send(texts(names(count)));
  await until(() => pair.seen.messages.length === 1 && pair.socket.isPaused);
  return pair;
}

/** Lets the time for one message pass. */
function tick(): void {
  vi.advanceTimersByTime(1_040);
}

test("listeners get the messages at the pace of the limit, and isPaused tells of the wait", async () => {
  const { socket, seen } = await overLimit(3);
  expect(seen.messages).toEqual(["1"]);
  tick();
  expect(seen.messages).toEqual(["1", "2"]);
  tick();
  expect([seen.messages, socket.isPaused]).toEqual([["1", "2", "3"], true]);
  tick();
  expect(socket.isPaused).toBe(false);
});

test("resume() does not end the wait, and pause() outlasts it", async () => {
  const { socket, seen } = await overLimit(3);
  socket.resume();
  await nextTurn();
  expect(seen.messages).toEqual(["1"]);
  socket.pause();
  tick();
  expect([seen.messages, socket.isPaused]).toEqual([["1"], true]);
  socket.resume();
  expect(seen.messages).toEqual(["1", "2"]);
});

test("a loop that begins during the wait goes on when there is room", async () => {
  const { socket, seen } = await overLimit(3);
  const messages = socket[Symbol.asyncIterator]();
  const next = messages.next();
  tick();
  expect(await next).toEqual({ done: false, value: "2" });
  const last = messages.next();
  tick();
  expect(await last).toEqual({ done: false, value: "3" });
  expect(seen.messages).toEqual(["1", "2", "3"]);
});

test("a pause() before the loop holds the loop back", async () => {
  const { socket } = await overLimit(2);
  socket.pause();
  const next = socket[Symbol.asyncIterator]().next();
  let isRead = false;
  void next.then(() => isRead = true);
  tick();
  await nextTurn();
  expect(isRead).toBe(false);
  socket.resume();
  expect(await next).toEqual({ done: false, value: "2" });
});

test("a stream gets the messages at the pace of the limit", async () => {
  const arrived = Promise.withResolvers<Socket>();
  const app = await listeningApp({ rateLimit: { messages: 2, perMs: 1_000 } }, (app) => {
    app.ws("/", async (socket) => {
      arrived.resolve(socket);
      for await (const message of socket.readable) socket.send(message);
    });
  });
  const client = await connectTo(app);
  client.send(texts(names(5)));
  expect([await client.nextMessage(), await client.nextMessage()]).toEqual(["1", "2"]);
  await until(() => [...app.sockets][0]!.isPaused);
  for (const name of ["3", "4", "5"]) {
    vi.advanceTimersByTime(499);
    await nextTurn();
    expect(client.frames.length).toBe(Number(name) - 1);
    vi.advanceTimersByTime(20);
    expect(await client.nextMessage()).toBe(name);
  }
});

test("while too many messages wait for a reader and there is no room either, both have to end", async () => {
  const arrived = Promise.withResolvers<Socket>();
  const ready = Promise.withResolvers<void>();
  const app = await listeningApp({ rateLimit: { messages: 1_025, perMs: 1_000 } }, (app) => {
    app.ws("/", async (socket) => {
      arrived.resolve(socket);
      await ready.promise;
    });
  });
  const client = await connectTo(app);
  const socket = await arrived.promise;
  client.send(texts(names(1_500)));
  await until(() => socket.isPaused);
  vi.advanceTimersByTime(10_000);
  await nextTurn();
  expect(socket.isPaused).toBe(true);
  const seen = watch(socket);
  ready.resolve();
  await until(() => seen.messages.length === 1_500);
  expect(seen.messages).toEqual(names(1_500));
});

describe.each([false, true])("with compression, and with context takeover: %s", (contextTakeover) => {
  test.each([["inflated at once", 100], ["inflated on another thread", 200_000]])("messages that are %s", async (
    _name,
    length,
  ) => {
    const rateLimit = { messages: 2, perMs: 1_000 };
    const { client, socket, seen } = await deflatePair({ contextTakeover, threshold: 0 }, { rateLimit });
    const messages = names(5).map((name) => name + prose(length));
    const frames: Buffer[] = [];
    for (const each of messages) frames.push(...await client.encode(each));
    client.sendBytes(Buffer.concat(frames));
    await until(() => seen.messages.length === 2 && socket.isPaused);
    for (let read = 2; read < 5; read++) {
      await nextTurn();
      expect(seen.messages).toEqual(messages.slice(0, read));
      vi.advanceTimersByTime(520);
      await until(() => seen.messages.length === read + 1);
    }
    expect(seen.messages).toEqual(messages);
  });
});

test("the limit of a route stands in place of that of the app, and false turns it off", async () => {
  const seen: Record<string, number> = { "/app": 0, "/own": 0, "/off": 0 };
  const count = (path: string) => (socket: Socket) => void socket.on("message", () => seen[path]!++);
  const app = await listeningApp({ rateLimit: { messages: 2, perMs: 60_000 } }, (app) => {
    app.ws("/app", count("/app"));
    app.ws("/own", { rateLimit: { messages: 3, perMs: 60_000 } }, count("/own"));
    app.ws("/off", { rateLimit: false }, count("/off"));
  });
  for (const path of Object.keys(seen)) (await connectTo(app, path)).send(texts(names(10)));
  await until(() => seen["/off"] === 10 && [...app.sockets].filter(({ isPaused }) => isPaused).length === 2);
  expect(seen).toEqual({ "/app": 2, "/own": 3, "/off": 10 });
});

test("each socket has room of its own", async () => {
  const read: string[] = [];
  const app = await listeningApp({ rateLimit: { messages: 1, perMs: 60_000 } }, (app) => {
    app.ws("/:name", (socket, { params }) => void socket.on("message", (data) => read.push(`${params.name} ${data}`)));
  });
  for (const name of ["a", "b"]) (await connectTo(app, `/${name}`)).send(texts(names(2)));
  await until(() => read.length === 2);
  expect(read.toSorted()).toEqual(["a 1", "b 1"]);
});

test("an injected client has the same limit", async () => {
  const app = await createApp({ logger: false, rateLimit: { messages: 1, perMs: 1_000 } });
  onTestFinished(() => void app.close());
  app.ws("/", (socket) => void socket.on("message", (data) => socket.send(data)));
  const client = await app.inject("/");
  for (const name of names(2)) client.send(name);
  expect(await client.next()).toBe("1");
  const next = client.next();
  await until(() => [...app.sockets][0]!.isPaused);
  tick();
  expect(await next).toBe("2");
});

test("without the option, a Ping behind many messages is answered at once", async () => {
  const { client, seen } = await connectPair();
  client.send(Buffer.concat([texts(names(500)), ping("end")]));
  expect((await client.nextFrame()).payload.toString()).toBe("end");
  expect(seen.messages.length).toBe(500);
});
