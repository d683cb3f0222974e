// Faults between an application's handler and its socket. Many tests name what once went wrong in some WebSocket
// server.

import { describe, expect, test } from "vitest";
import type { Socket } from "../../mod.ts";
import { echoServer, expectEcho } from "../support/echo-server.ts";
import { binary, close, text } from "../support/frames.ts";
import { Random } from "../support/random.ts";
import { RawClient } from "../support/raw-client.ts";

describe("bytes that the server sends", () => {
  const server = echoServer();

  test.each<[string, (socket: Socket, value: never) => unknown]>([
    [
      "ping(), which once sent memory that was never cleared for a number (CVE-2016-10518)",
      (socket, value) => socket.ping(value),
    ],
    ["pong(), which could do so, too", (socket, value) => socket.pong(value)],
    ["send(), which could do so, too", (socket, value) => socket.send(value)],
    ["close(), which did so for some close reasons (CVE-2026-45736)", (socket, value) => socket.close(1000, value)],
  ])("%s, throws a TypeError for a wrong value and sends nothing", async (_name, call) => {
    const { client, reported, socket } = await server.connect();
    for (const value of [16, 0, -1, NaN, true, null, [1, 2, 3], { length: 16 }, { byteLength: 16 }, Symbol("s")]) {
      expect(() => call(socket, value as never), String(value)).toThrow(TypeError);
    }
    client.send(text("only this"), close(1000));
    await client.closed();
    await reported;
    expect(client.frames.map(({ opcode, payload }) => `${opcode} ${payload}`)).toEqual([
      "1 only this",
      `8 ${close(1000, "", { maskingKey: false }).subarray(2)}`,
    ]);
  });

  test("a close reason of up to 123 bytes is sent as it is, and a longer one throws a RangeError", async () => {
    for (const reason of ["", "a", "é".repeat(61), "€".repeat(41), "r".repeat(123)]) {
      const { client, reported, socket } = await server.connect();
      expect(() => socket.close(1000, `${reason}${"x".repeat(124)}`)).toThrow(RangeError);
      socket.close(4000, reason);
      expect((await client.nextFrame()).payload.subarray(2).toString()).toBe(reason);
      client.send(close(4000));
      await client.closed();
      await reported;
    }
  });

  test("a message that a handler keeps is not overwritten by later messages", async () => {
    const { client, reported, socket } = await server.connect();
    const kept: Buffer[] = [];
    socket.on("message", (data) => kept.push(data as Buffer));
    const random = new Random(7);
    const sent = Array.from({ length: 500 }, () => random.bytes(random.below(400)));
    for (const message of sent) client.send(binary(message));
    for (const message of sent) expect(await client.nextMessage()).toEqual(message);
    expect(kept).toEqual(sent);
    client.send(close(1000));
    await client.closed();
    await reported;
  });
});

describe("errors without a listener", () => {
  const server = echoServer();

  test("an error without a listener leaves the process alive (once a crash: CVE-2024-38355)", async () => {
    server.app.ws("/deaf", () => {});
    const faults = [text("", { rsv: 1 }), close(1006), text(Buffer.of(0xff)), binary("", { payloadLength: 2 ** 40 })];
    for (const fault of faults) {
      const client = await RawClient.connect(server.port, { path: "/deaf" });
      client.send(fault);
      expect((await client.closed()).code).toBeGreaterThanOrEqual(1002);
    }
    const client = await RawClient.connect(server.port, { path: "/deaf" });
    client.reset();
    await client.closed();
    await expectEcho(server);
  });

  test("a bad frame before any listener exists leaves the process alive (once a crash: CVE-2022-21676)", async () => {
    let ready = (): void => {};
    const waiting = new Promise<void>((resolve) => ready = resolve);
    server.app.ws("/late", async () => await waiting);
    const client = await RawClient.connect(server.port, { path: "/late", early: text("bad", { rsv: 7 }) });
    await expectEcho(server);
    ready();
    expect((await client.closed()).code).toBe(1002);
    await expectEcho(server);
  });

  test("a peer that resets before the handler is ready leaves the process alive (once a crash)", async () => {
    let ready = (): void => {};
    const waiting = new Promise<void>((resolve) => ready = resolve);
    server.app.ws("/reset", async (socket) => {
      await waiting;
      socket.send("into the void");
    });
    const client = await RawClient.connect(server.port, { path: "/reset", early: text("Hello") });
    client.reset();
    await client.closed();
    await expectEcho(server);
    ready();
    await expectEcho(server);
  });

  test.each<[string, (socket: Socket) => unknown]>([
    ["throws", () => {
      throw new Error("thrown");
    }],
    ["rejects", () => Promise.reject(new Error("rejected"))],
    ["throws undefined", () => {
      throw undefined;
    }],
    ["has a message listener that throws", (socket) => {
      socket.on("message", () => {
        throw new Error("thrown");
      });
    }],
    ["has a message listener that rejects", (socket) => {
      socket.on("message", () => Promise.reject(new Error("rejected")));
    }],
    ["has an error listener that throws too", (socket) => {
      socket.on("error", () => {
        throw new Error("thrown again");
      });
      throw new Error("thrown");
    }],
  ])("a handler that %s closes its own connection with 1011, and no other", async (name, handler) => {
    const path = `/throwing/${name.replaceAll(" ", "-")}`;
    server.app.ws(path, handler);
    const client = await RawClient.connect(server.port, { path, early: text("Hello") });
    expect((await client.nextFrame()).payload.readUInt16BE(0)).toBe(1011);
    client.send(close(1011));
    expect((await client.closed()).reason, "the error's text is not sent").toBe("");
    await expectEcho(server);
  });
});
