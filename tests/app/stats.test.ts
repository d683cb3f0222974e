/** The figures of an app, as its clients move them. */

import { once } from "node:events";
import { connect } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { createApp } from "../../mod.ts";
import { connectPair, connectTo, listeningApp, portOf, until, watch } from "../support/app.ts";
import { certificate, connectSecurely } from "../support/certificate.ts";
import { peers } from "../support/crowd.ts";
import { DeflateClient } from "../support/deflate.ts";
import { binary, close, opcodes, ping, text } from "../support/frames.ts";
import { Hub } from "../support/memory-broker.ts";
import { rawRequest, upgradeRequest } from "../support/raw-client.ts";
import { StreamClient } from "../support/stream-client.ts";

// What has come is read before an item falls due. Here nothing comes, so that everything is due at its moment.
vi.mock(import("../../src/platform.ts"), async (original) => ({ ...await original(), afterReading: (task) => task() }));

afterEach(() => void vi.useRealTimers());

const NOTHING = {
  connections: 0,
  accepted: 0,
  receivedMessages: 0,
  receivedBytes: 0,
  sentMessages: 0,
  sentBytes: 0,
  bufferedBytes: 0,
};

test("a new app has figures of everything, all of them 0", async () => {
  const before = Date.now();
  const app = await createApp();
  app.ws("/chat/:room", () => {});
  expect(app.stats()).toEqual({
    ...NOTHING,
    createdAtMs: expect.toSatisfy((ms: number) => ms >= before && ms <= Date.now()),
    refused: 0,
    refusals: {},
    closes: {},
    droppedMessages: 0,
    slowConsumers: { waiting: 0, closed: 0, droppedMessages: 0 },
    timeouts: { handshake: 0, heartbeat: 0, message: 0, close: 0 },
    routes: { "/chat/:room": NOTHING },
    topics: 0,
    broker: undefined,
    histories: undefined,
  });
});

describe("messages and bytes", () => {
  test("are counted each way and for each route, by the path of the route, and stay when connections end", async () => {
    const app = await listeningApp({}, (app) =>
      app.ws("/echo/:name", (socket) => {
        socket.on("message", (data) => socket.send(data));
      }).ws("/news", (socket) => void socket.send("news")));
    const [ada, bob, reader] = [
      await connectTo(app, "/echo/ada"),
      await connectTo(app, "/echo/bob"),
      await connectTo(app, "/news"),
    ];
    expect(await reader.nextMessage()).toBe("news");
    const frames = [text("four"), ping(), binary(Buffer.alloc(200)), text("\u4f60", { fin: false })];
    for (const client of [ada, bob]) {
      client.send(Buffer.concat([...frames, ping("in between")]), text("!").fill(0x80, 0, 1));
      expect(await client.nextMessage()).toBe("four");
      expect(await client.nextMessage()).toEqual(Buffer.alloc(200));
      expect(await client.nextMessage()).toBe("\u4f60!");
    }
    const received = Buffer.concat([...frames, ping("in between"), text("!")]).length;
    // Three echoes with headers of 2, 4 and 2 bytes, and two Pongs.
    const sent = 6 + 204 + 6 + 2 + 12;
    const echo = {
      ...NOTHING,
      connections: 2,
      accepted: 2,
      receivedMessages: 6,
      receivedBytes: 2 * received,
      sentMessages: 6,
      sentBytes: 2 * sent,
    };
    const news = { ...NOTHING, connections: 1, accepted: 1, sentMessages: 1, sentBytes: 6 };
    expect(app.stats()).toMatchObject({
      routes: { "/echo/:name": echo, "/news": news },
      connections: 3,
      accepted: 3,
      receivedMessages: 6,
      receivedBytes: 2 * received,
      sentMessages: 7,
      sentBytes: 2 * sent + 6,
      bufferedBytes: 0,
    });

    for (const client of [ada, bob]) {
      client.send(close(1000));
      await client.closed();
    }
    await until(() => app.sockets.size === 1);
    const closing = { receivedBytes: 2 * (received + close(1000).length), sentBytes: 2 * (sent + 4) };
    expect(app.stats().routes["/echo/:name"]).toEqual({ ...echo, ...closing, connections: 0 });
    expect(app.stats()).toMatchObject({ connections: 1, sentBytes: closing.sentBytes + 6, closes: { 1000: 2 } });
  });

  test("are counted inside of a close listener as they are before and after it", async () => {
    const { app, socket, client } = await connectPair();
    socket.send("hello");
    expect(await client.nextMessage()).toBe("hello");
    const seen = [app.stats().sentBytes];
    socket.once("close", () => seen.push(app.stats().sentBytes));
    client.reset();
    await until(() => app.sockets.size === 0);
    expect([...seen, app.stats().sentBytes]).toEqual([7, 7, 7]);
  });

  test("have the bytes behind the handshake, in the chunk of the request too", async () => {
    const early = text("early");
    const app = await listeningApp({}, (app) => app.ws("/", (socket) => void watch(socket)));
    await connectTo(app, { early });
    await until(() => app.stats().receivedMessages === 1);
    expect(app.stats().receivedBytes).toBe(early.length);
  });

  test("have the compressed bytes with permessage-deflate, and those of one encoding for each receiver", async () => {
    const app = await listeningApp({ compression: true }, (app) =>
      app.ws("/", (socket) => {
        socket.subscribe("all");
      }));
    const clients = [await DeflateClient.connect(portOf(app)), await DeflateClient.connect(portOf(app))];
    await until(() => app.subscribers("all") === 2);
    app.publish("all", "x".repeat(10_000));
    const [one, other] = [await clients[0].next(), await clients[1].next()];
    expect([one.wireBytes, one.data.length]).toEqual([other.wireBytes, 10_000]);
    expect(one.wireBytes).toBeLessThan(126);
    expect(app.stats()).toMatchObject({ sentMessages: 2, sentBytes: 2 * (2 + one.wireBytes) });
  });

  test("have no bytes of TLS", async () => {
    const app = await listeningApp({ tls: certificate() }, (app) =>
      app.ws("/", (socket) => {
        socket.on("message", (data) => socket.send(data));
      }));
    const client = await StreamClient.connect(connectSecurely(portOf(app)), "/");
    client.send(text("hello"));
    expect(await client.nextMessage()).toBe("hello");
    expect(app.stats()).toMatchObject({ receivedBytes: 11, sentBytes: 7 });
    client.send(close(1000));
    await client.closed();
  });

  test("are those of injected clients too", async () => {
    const app = await createApp({ logger: false });
    app.ws("/", (socket) => {
      socket.on("message", (data) => socket.send(data));
    });
    const client = await app.inject("/");
    client.send("hello");
    expect(await client.next()).toBe("hello");
    expect(app.stats()).toMatchObject({ receivedMessages: 1, receivedBytes: 11, sentMessages: 1, sentBytes: 7 });
    await app.close();
  });
});

describe("slow consumers", () => {
  const BLOCK = Buffer.alloc(100_000);

  test.each(
    [
      ["drop", { waiting: 1, closed: 0, droppedMessages: 3 }, { waiting: 0, closed: 0, droppedMessages: 3 }],
      ["close", { waiting: 1, closed: 1, droppedMessages: 0 }, { waiting: 0, closed: 1, droppedMessages: 0 }],
    ] as const,
  )('are counted with slowConsumer: "%s", and stay counted', async (slowConsumer, during, after) => {
    const { app, client, socket, seen } = await connectPair({ maxBufferedBytes: 1_000_000, slowConsumer });
    client.pause();
    // The operating system takes some of the first blocks.
    while (socket.bufferedAmount < 900_000) {
      socket.send(BLOCK);
      await nextTurn();
    }
    for (let i = 0; i < 4; i++) socket.send(BLOCK);
    while (slowConsumer === "drop" && app.stats().slowConsumers.droppedMessages < 3) socket.send(BLOCK);
    expect(app.stats().bufferedBytes).toBe(socket.bufferedAmount);
    expect(socket.bufferedAmount).toBeGreaterThan(0);
    const dropped = slowConsumer === "drop" ? expect.toSatisfy((count: number) => count >= 3) : 0;
    expect(app.stats().slowConsumers).toEqual({ ...during, droppedMessages: dropped });
    client.terminate();
    await seen.closed;
    expect(app.stats()).toMatchObject({
      slowConsumers: { ...after, droppedMessages: dropped },
      bufferedBytes: 0,
      droppedMessages: 0,
    });
  });
});

test("refusals are counted by status, those of hooks and of the app alike", async () => {
  const app = await listeningApp({ maxConnections: 1 }, (app) =>
    app.ws("/open", (socket) => void watch(socket))
      .ws("/teapot", { upgrade: () => new Response("no", { status: 418 }) }, () => {}));
  const ask = (path: string): Promise<string> => rawRequest(portOf(app), upgradeRequest(path));
  for (const path of ["/teapot", "/nowhere", "/nowhere/else", "/teapot"]) await ask(path);
  await connectTo(app, "/open");
  await ask("/open");
  expect(app.stats()).toMatchObject({ accepted: 1, refused: 5, refusals: { 404: 2, 418: 2, 503: 1 } });
});

test("closes are counted by code, and the codes that a client may choose by their range", async () => {
  const { app } = await connectPair();
  for (const code of [1000, 1001, 3000, 3999, 4000, 4001, 4999, undefined]) {
    const client = await connectTo(app);
    client.send(code === undefined ? close() : close(code));
    await client.closed();
  }
  const rude = await connectTo(app);
  rude.send(text("unmasked", { maskingKey: false }));
  await rude.closed();
  (await connectTo(app)).reset();
  const closes = { 1000: 1, 1001: 1, 1002: 1, 1005: 1, 1006: 1, "3000-3999": 2, "4000-4999": 3 };
  await until(() => app.sockets.size === 1);
  expect(app.stats().closes).toEqual(closes);
});

describe("time-outs", () => {
  const fake = (): void => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });

  test("of the heartbeat, of a message and of a close are told apart", async () => {
    fake();
    const timeouts = { heartbeat: { intervalMs: 60_000, timeoutMs: 60_000 }, messageTimeoutMs: 30_000 };
    const { app, client, seen } = await connectPair({ ...timeouts, closeTimeoutMs: 5_000 });
    const late = await connectTo(app);
    late.send(text("late").subarray(0, 5));
    await until(() => app.stats().receivedBytes === 5);
    vi.advanceTimersByTime(32_000);
    expect((await late.closed()).code).toBe(1008);
    const leaving = await connectTo(app);
    await until(() => app.sockets.size === 2);
    const [, other] = app.sockets;
    other.close();
    expect((await leaving.nextFrame()).opcode).toBe(opcodes.close);
    vi.advanceTimersByTime(6_000);
    await leaving.closed();
    vi.advanceTimersByTime(30_000);
    expect((await client.nextFrame()).opcode).toBe(opcodes.ping);
    vi.advanceTimersByTime(62_000);
    await seen.closed;
    await until(() => app.sockets.size === 0);
    expect(app.stats().timeouts).toEqual({ handshake: 0, heartbeat: 1, message: 1, close: 1 });
  });

  test("of handshakes count who sends no request, and no idle connection that has had a response", async () => {
    fake();
    const app = await listeningApp({ handshakeTimeoutMs: 1_000 }, (app) => app.get("/", () => "hello"));
    const [silent, polite] = [connect(portOf(app), "127.0.0.1"), connect(portOf(app), "127.0.0.1")];
    onTestFinished(() => [silent, polite].forEach((each) => each.destroy()));
    const [silentEnd, politeEnd] = [once(silent.resume(), "end"), once(polite, "end")];
    polite.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(polite, "data");
    polite.resume();
    silent.write("GET / HT");
    await nextTurn();
    await until(() => {
      vi.advanceTimersByTime(100);
      return silent.readableEnded && polite.readableEnded;
    });
    await Promise.all([silentEnd, politeEnd]);
    expect(app.stats()).toMatchObject({ timeouts: { handshake: 1 }, refused: 0 });
  });

  test("of handshakes count a hook that takes too long", async () => {
    fake();
    const asked = Promise.withResolvers<void>();
    const app = await listeningApp(
      { handshakeTimeoutMs: 1_000 },
      (app) => app.ws("/", { upgrade: () => new Promise(() => asked.resolve()) }, () => {}),
    );
    const response = rawRequest(portOf(app), upgradeRequest("/"));
    await asked.promise;
    vi.advanceTimersByTime(1_100);
    expect(await response).toMatch(/^HTTP\/1.1 408 /);
    expect(app.stats().timeouts.handshake).toBe(1);
  });
});

test("messages on their way to the broker are told from those that it has taken", async () => {
  const hub = new Hub();
  const [one] = await peers(hub, 1);
  await hub.settle();
  one.broker.stall();
  for (const data of ["a", "b", "c"]) one.app.publish("news", data);
  await new Promise((resolve) => process.nextTick(resolve));
  expect(one.app.stats().broker).toMatchObject({ published: 3, pending: 3, dropped: 0 });
  one.broker.unstall();
  await hub.settle();
  expect(one.app.stats().broker).toMatchObject({ published: 3, pending: 0, dropped: 0 });
});

describe("histories", () => {
  test("in memory count topics, messages, their bytes, and how followers have fared", async () => {
    const app = await listeningApp(
      {},
      (app) =>
        app.topic("room/*", { history: { size: 2 } }).ws("/:since", async (socket, { params: { since } }) => {
          await socket.follow("room/tea", { since: since === "none" ? undefined : since === "start" ? "" : since });
          socket.send("followed");
        }),
    );
    expect(app.stats().histories).toEqual({ topics: 0, messages: 0, bytes: 0, recovered: 0, lost: 0 });
    const id = await app.append("room/tea", "four");
    await app.append("room/milk", "milk");
    for (let i = 0; i < 3; i++) await app.append("room/tea", "four");
    for (const since of ["none", "start", id, "nonsense"]) {
      const client = await connectTo(app, `/${since}`);
      await client.nextMessage();
      client.reset();
      await until(() => app.sockets.size === 0);
    }
    expect(app.stats().histories).toEqual({ topics: 2, messages: 3, bytes: 3 * 68, recovered: 1, lost: 2 });
  });

  test("do not count a follower that has left before it got an answer", async () => {
    const app = await listeningApp({}, (app) =>
      app.topic("news", { history: true }).ws("/", async (socket) => {
        const followed = socket.follow("news", { since: "" });
        socket.unsubscribe("news");
        socket.send(JSON.stringify(await followed));
      }));
    expect(await (await connectTo(app)).nextMessage()).toBe('{"recovered":false,"id":""}');
    expect(app.stats().histories).toMatchObject({ recovered: 0, lost: 0 });
  });

  test("of a broker count what this process has of them", async () => {
    const hub = new Hub();
    const [one, two] = await peers(hub, 2);
    for (const { app } of [one, two]) app.topic("news", { history: true });
    await one.member("news");
    await hub.settle();
    await two.app.append("news", "four");
    await until(() => one.app.stats().histories?.messages === 1);
    expect(one.app.stats().histories).toEqual({ topics: 1, messages: 1, bytes: 68, recovered: 0, lost: 0 });
    expect(two.app.stats().histories).toMatchObject({ topics: 0, messages: 0, bytes: 0 });
  });
});
