// Attacks by peers that do not read, do not answer Pings, do not leave, or cut the connection.

import { randomBytes } from "node:crypto";
import { connect as connectTcp } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { AppOptions, Socket } from "../../mod.ts";
import { connectTo, eventOf, listeningApp } from "../support/app.ts";
import { echoServer, expectEcho } from "../support/echo-server.ts";
import { binary, close, continuation, opcodes, ping, pong, text } from "../support/frames.ts";
import { Census, usedBytes } from "../support/memory.ts";
import { rawRequest, upgradeRequest } from "../support/raw-client.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

const maxBufferedBytes = 256 * KiB;
const message = Buffer.alloc(16 * KiB, "m");
const pings = Buffer.concat(Array.from({ length: 500 }, () => ping("p".repeat(125))));
/** More than the operating systems of both ends take for a connection that nobody reads. */
const plenty = 64 * MiB;

describe("a slow consumer, while others publish to it", () => {
  const closing = echoServer({ maxBufferedBytes, closeTimeoutMs: 200 });
  const dropping = echoServer({ maxBufferedBytes, slowConsumer: "drop" });

  /**
   * Sends one message a turn until `isEnough`, and does not wait for the peer, as a publisher does not. Returns the
   * number of messages.
   */
  async function publish(socket: Socket, isEnough: () => boolean): Promise<number> {
    let count = 0;
    while (!isEnough() && count * message.length < plenty) {
      socket.send(message);
      expect(socket.bufferedAmount).toBeLessThan(maxBufferedBytes + message.length);
      count++;
      await nextTurn();
    }
    return count;
  }

  test("is closed with 1013 before it takes much memory, and no other connection notices", async () => {
    const slow = await closing.connect();
    const other = await closing.connect();
    slow.client.pause();
    const before = await usedBytes();
    await publish(slow.socket, () => slow.socket.readyState !== 1);
    expect(slow.socket.readyState).not.toBe(1);
    expect(slow.socket.send("too late")).toBe(false);
    expect(await usedBytes() - before).toBeLessThan(4 * MiB);

    other.client.send(text("not my fault"));
    expect(await other.client.nextMessage()).toBe("not my fault");
    // The slow peer does not read the Close either, so it is cut after closeTimeoutMs.
    await slow.reported;
    expect(slow.report.closes).toEqual([{ code: 1013, reason: expect.any(String), wasClean: false }]);
    expect(slow.report.errors).toHaveLength(1);
    expect([...closing.app.sockets]).toEqual([other.socket]);

    slow.client.terminate();
    other.client.send(close(1000));
    await other.client.closed();
    await other.reported;
  });

  test("gets its Close when it reads again in time", async () => {
    const { client, reported, socket } = await closing.connect();
    client.pause();
    await publish(socket, () => socket.readyState !== 1);
    client.resume();
    expect((await client.closed()).code).toBe(1013);
    await reported;
    for (const { opcode, payload } of client.frames.slice(0, -1)) {
      expect(opcode).toBe(opcodes.binary);
      expect(payload.equals(message)).toBe(true);
    }
  });

  test("loses messages and stays connected where slowConsumer is drop", async () => {
    const { client, reported, socket } = await dropping.connect();
    client.pause();
    const sent = await publish(socket, () => dropping.app.stats().droppedMessages >= 10);
    const dropped = dropping.app.stats().droppedMessages;
    expect(dropped).toBe(10);
    expect(socket.readyState).toBe(1);

    client.resume();
    for (let i = 0; i < sent - dropped; i++) expect(message.equals(await client.nextMessage() as Buffer)).toBe(true);
    await socket.drained();
    socket.send("back again");
    expect(await client.nextMessage()).toBe("back again");
    client.send(close(1000));
    await client.closed();
    await reported;
  });

  test("that sends messages to be echoed and never reads is closed, too", async () => {
    const { client, report, reported } = await closing.connect();
    client.pause();
    const frame = binary(message);
    for (let sent = 0; report.errors.length === 0 && sent < plenty; sent += message.length) {
      client.send(frame);
      await nextTurn();
    }
    await reported;
    expect(report.closes).toEqual([{ code: 1013, reason: expect.any(String), wasClean: false }]);
    client.terminate();
  });

  test("that is sent one tiny message a turn takes little memory, and gets them all when it reads", async () => {
    const { client, socket, reported } = await closing.connect();
    client.pause();
    while (socket.bufferedAmount === 0) {
      socket.send(message);
      await nextTurn();
    }
    const before = await usedBytes();
    const count = 70_000;
    for (let i = 0; i < count; i++) {
      socket.send("x");
      await nextTurn();
    }
    expect(socket.bufferedAmount).toBeGreaterThan(3 * count);
    expect(await usedBytes() - before).toBeLessThan(2 * MiB);

    client.resume();
    await socket.drained();
    client.send(close(1000));
    expect((await client.closed()).code).toBe(1000);
    expect(client.frames.filter(({ payload }) => `${payload}` === "x").length).toBe(count);
    await reported;
  });

  test("that sends Pings and reads no Pong takes no more memory than the Pongs of one chunk", async () => {
    const { client, reported, socket } = await closing.connect();
    client.pause();
    let most = 0;
    for (let sent = 0; sent < plenty / 2; sent += pings.length) {
      client.send(pings);
      await nextTurn();
      most = Math.max(most, socket.bufferedAmount);
    }
    expect(most).toBeLessThan(maxBufferedBytes / 2 + KiB);
    expect(socket.readyState).toBe(socket.OPEN);
    client.terminate();
    await reported;
  });
});

describe("a silent peer", () => {
  const server = echoServer({ heartbeat: { intervalMs: 100, timeoutMs: 300 } });

  test.each<[string, readonly Uint8Array[]]>([
    ["that does not answer a Ping", []],
    ["that stops in the middle of a header", [text("cut").subarray(0, 3)]],
    ["that stops in the middle of a payload", [text("cut").subarray(0, 8)]],
  ])("%s is cut with 1006, and a peer that answers is not", async (_name, sends) => {
    const silent = await server.connect();
    const alive = await server.connect();
    silent.client.send(...sends);
    let pings = 0;
    const answering = (async () => {
      while ((await alive.client.nextFrame()).opcode === opcodes.ping) {
        pings++;
        alive.client.send(pong());
      }
    })();
    await silent.reported;
    expect(silent.report.closes).toEqual([{ code: 1006, reason: "", wasClean: false }]);
    await silent.client.closed();
    expect(silent.client.frames.map(({ opcode }) => opcode)).toContain(opcodes.ping);

    expect(alive.report.closes).toEqual([]);
    alive.client.send(close(1000));
    await answering;
    expect(pings).toBeGreaterThan(0);
    await alive.client.closed();
    await alive.reported;
    expect(alive.report.closes).toEqual([{ code: 1000, reason: "", wasClean: true }]);
  });
});

describe("a peer that sends Pings all the time and reads nothing", () => {
  const server = echoServer({ heartbeat: { intervalMs: 100, timeoutMs: 200 } });

  test.each<[string, (socket: Socket) => void]>([
    ["", () => {}],
    [", though its Pings are also answered by a listener", (socket) => socket.on("ping", () => socket.pong("mine"))],
    [
      ", though its messages pause the server and resume it",
      (socket) => socket.on("message", () => (socket.pause(), socket.resume())),
    ],
  ])("is cut with 1006%s", async (_name, prepare) => {
    const { client, report, reported, socket } = await server.connect();
    prepare(socket);
    client.pause();
    const endMs = performance.now() + 8_000;
    while (report.closes.length === 0 && performance.now() < endMs) {
      client.send(pings, text("a message"));
      await nextTurn();
    }
    expect(report.closes).toEqual([{ code: 1006, reason: "", wasClean: false }]);
    await reported;
    expect(server.app.sockets.size).toBe(0);
    client.terminate();
  });
});

describe("a peer that does not leave", () => {
  const server = echoServer({ closeTimeoutMs: 150 });

  test.each<[string, Uint8Array]>([
    ["after its own Close", close(1000, "but I stay")],
    ["after a fault of its own", text("bad", { rsv: 1 })],
  ])("%s is cut after closeTimeoutMs", async (_name, lastFrame) => {
    const { client, report, reported } = await server.connect();
    // A client that does not read sees no FIN, and sends none.
    client.pause();
    client.send(lastFrame);
    await reported;
    expect(report.closes).toHaveLength(1);
    expect(server.app.sockets.size).toBe(0);
    client.terminate();
  });

  /** Random bytes, which compression does not make smaller. */
  const noise = randomBytes(MiB);

  test.each<[string, AppOptions]>([
    ["without compression", {}],
    ["while messages are being compressed", { compression: { contextTakeover: true } }],
  ])(
    "and ends its side without reading is cut after closeTimeoutMs, %s",
    async (_name, options) => {
      const arrived = Promise.withResolvers<Socket>();
      const app = await listeningApp(
        { closeTimeoutMs: 150, heartbeat: false, maxBufferedBytes: plenty, ...options },
        (app) => app.ws("/", (socket) => arrived.resolve(socket)),
      );
      const client = await connectTo(app, { headers: { "Sec-WebSocket-Extensions": "permessage-deflate" } });
      const socket = await arrived.promise;
      const closed = eventOf(socket, "close");
      client.pause();
      for (let sent = 0; sent < plenty / 2; sent += noise.length) socket.send(noise);
      client.end();
      expect(await closed).toEqual([1006, "", false]);
      expect(app.sockets.size).toBe(0);
    },
  );

  test("and goes on sending after a bad frame fills no memory and reaches no listener", async () => {
    const { client, report, reported, socket } = await server.connect();
    let events = 0;
    for (const event of ["message", "ping", "pong"] as const) socket.on(event, () => void events++);
    const before = await usedBytes();
    client.pause();
    client.send(text("bad", { rsv: 1 }));
    const late = Buffer.concat([binary(message), ping("late"), continuation("late")]);
    for (let sent = 0; report.closes.length === 0 && sent < plenty; sent += late.length) {
      client.send(late);
      await nextTurn();
    }
    await reported;
    expect(events).toBe(0);
    expect(report.closes).toEqual([{ code: 1002, reason: expect.any(String), wasClean: false }]);
    client.terminate();
    expect(await usedBytes() - before).toBeLessThan(4 * MiB);
  });
});

describe("sockets whose connection is over", () => {
  const server = echoServer();
  type Connection = Awaited<ReturnType<typeof server.connect>>;

  test.each<[string, (connection: Connection) => unknown]>([
    ["are closed by the peer", ({ client }) => client.send(close(1000))],
    ["are closed by the server", async ({ client, socket }) => {
      socket.close();
      await client.nextFrame();
      client.send(close(1000));
    }],
    ["fail because of a bad frame", ({ client }) => client.send(text("", { rsv: 1 }))],
    ["get a FIN in the middle of a message", ({ client }) => {
      client.send(text("begun", { fin: false }));
      client.end();
    }],
    ["are reset", ({ client }) => client.reset()],
    ["are reset with bytes on their way", ({ client, socket }) => {
      socket.send(Buffer.alloc(100_000));
      client.reset();
    }],
    ["are terminated", ({ socket }) => socket.terminate()],
    ["are terminated inside a listener", ({ client, socket }) => {
      socket.on("message", () => socket.terminate());
      client.send(text("one"), text("two"), text("three"));
    }],
    ["are reset while they are paused", ({ client, socket }) => {
      socket.pause();
      client.send(text("unread"));
      client.reset();
      socket.resume();
    }],
    ["are terminated while drained() is awaited", ({ client, socket }) => {
      client.pause();
      for (let i = 0; i < 10; i++) socket.send(Buffer.alloc(MiB));
      const drained = socket.drained().catch((error) => error);
      socket.terminate();
      client.terminate();
      return drained.then((error) => expect(error).toBeInstanceOf(Error));
    }],
    ["are closed while their iterator waits", async ({ client, socket }) => {
      const iterator = socket[Symbol.asyncIterator]();
      const waiting = iterator.next();
      client.send(close(1000));
      expect((await waiting).done).toBe(true);
    }],
  ])("sockets that %s are garbage-collected (once a leak: redis-adapter #197, socket.io #1793)", async (_name, end) => {
    const census = new Census();
    await Promise.all(Array.from({ length: 50 }, async () => {
      const connection = await server.connect();
      census.track(connection.socket);
      await end(connection);
      await connection.client.closed();
      await connection.reported;
      expect(connection.report.closes).toHaveLength(1);
      expect(connection.socket.readyState).toBe(3);
      expect(connection.socket.send("too late")).toBe(false);
      expect(connection.socket.bufferedAmount).toBe(0);
    }));
    expect(server.app.sockets.size).toBe(0);
    expect(await census.countBelow(5), "of 50 sockets").toBeLessThan(5);
    await expectEcho(server);
  });

  test("200 resets in the middle of handshakes and right behind them do no harm", async () => {
    const request = Buffer.concat([Buffer.from(upgradeRequest()), text("Hello")]);
    await Promise.all(Array.from({ length: 200 }, (_, i) => {
      return new Promise<void>((resolve) => {
        const raw = connectTcp({ port: server.port, host: "127.0.0.1" }, () => {
          raw.write(request.subarray(0, i), () => raw.resetAndDestroy());
        });
        raw.on("error", () => {});
        raw.on("close", () => resolve());
      });
    }));
    await expectEcho(server);
  });

  test("refused handshakes and plain requests leave no connection behind", async () => {
    await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        rawRequest(
          server.port,
          i % 2 ? upgradeRequest("/nowhere") : "GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )),
    );
    expect(server.app.stats().connections).toBe(0);
    await expectEcho(server);
  });
});
