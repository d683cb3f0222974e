// Sockets that are closed or cut while zlib works for them leave no memory behind. In ws, a callback of zlib that was
// awaited once kept their memory (ws #1617).

import process from "node:process";
import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Socket } from "../../mod.ts";
import { deflateModes, prose } from "../support/compression.ts";
import { DeflateClient, type DeflateConnection, deflateConnection } from "../support/deflate.ts";
import { echoServer } from "../support/echo-server.ts";
import { close, opcodes, text } from "../support/frames.ts";
import { Census, usedBytes } from "../support/memory.ts";
import { Program } from "../support/program.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

const large = prose(160 * KiB);
const small = prose(3 * KiB);

/** Sends messages that keep zlib's threads busy, and more messages that wait behind them. */
function burden(socket: Socket): void {
  for (const each of [small, large, "x", large, small]) socket.send(each);
}

function rssBytes(): number {
  return process.memoryUsage().rss;
}

/**
 * Expects that `measure` has grown by less than `limit` bytes. It measures again for up to ten seconds, because zlib's
 * threads finish the work that they have begun, and some garbage collectors are slow.
 */
async function expectGrowthBelow(
  limit: number,
  measure: () => number | Promise<number>,
  before: number,
): Promise<void> {
  let growth = await measure() - before;
  for (const endMs = performance.now() + 10_000; growth >= limit && performance.now() < endMs;) {
    await delay(100);
    growth = await measure() - before;
  }
  expect(growth).toBeLessThan(limit);
}

type End = (connection: DeflateConnection) => unknown;

const ends: [name: string, end: End][] = [
  ["are terminated at once", ({ socket }) => {
    burden(socket);
    socket.terminate();
  }],
  ["are terminated a turn later", async ({ socket }) => {
    burden(socket);
    await nextTurn();
    socket.terminate();
  }],
  ["are reset by the peer", ({ client, socket }) => {
    burden(socket);
    client.reset();
  }],
  ["are reset by the peer behind the server's Close", ({ client, socket }) => {
    burden(socket);
    socket.close();
    client.reset();
  }],
  ["are closed by the peer", ({ client, socket }) => {
    burden(socket);
    client.sendBytes(close(1000));
  }],
  ["fail because of a bad frame", ({ client, socket }) => {
    burden(socket);
    client.sendBytes(text("bad", { rsv: 2 }));
  }],
  ["are closed by the server and get the peer's Close", async ({ client, socket }) => {
    burden(socket);
    socket.close();
    while ((await client.nextFrame()).opcode !== opcodes.close) { /* Messages come before it. */ }
    client.sendBytes(close(1000));
  }],
  ["are terminated while drained() is awaited", async ({ socket }) => {
    burden(socket);
    const drained = socket.drained().catch((error: Error) => error.message);
    socket.terminate();
    expect(await drained).toMatch(/ended/);
  }],
  ["are reset while they inflate messages", async ({ client }) => {
    client.sendBytes(...await client.encode(large), ...await client.encode(small));
    client.reset();
  }],
  ["are terminated by a listener while they inflate messages", async ({ client, socket }) => {
    socket.on("message", () => socket.terminate());
    for (const each of [small, large, large]) await client.send(each);
  }],
  ["fail because a payload is not DEFLATE", ({ client }) => {
    client.sendBytes(text(Buffer.alloc(100 * KiB, 0xff), { rsv: 4 }));
  }],
  ["are terminated while paused, with compressed messages unread", async ({ client, socket }) => {
    socket.pause();
    for (const each of [small, large, small]) await client.send(each);
    await client.written();
    socket.terminate();
  }],
  ["are closed before their window is used", ({ client }) => client.sendBytes(close(1000))],
];

describe.each(deflateModes)("while zlib works: %s", (_name, compression) => {
  const server = echoServer({ compression, closeTimeoutMs: 20_000 });

  /** Opens `count` connections one after the other, and brings each to its end while no other connection is open. */
  async function run(count: number, end: End, census: Census): Promise<void> {
    for (let i = 0; i < count; i++) {
      const connection = await deflateConnection(server);
      census.track(connection.socket);
      await end(connection);
      await connection.reported;
      connection.client.terminate();
      expect(connection.report.closes).toHaveLength(1);
      expect([connection.socket.readyState, connection.socket.bufferedAmount]).toEqual([3, 0]);
    }
  }

  test.each(ends)("sockets that %s are garbage-collected, and their memory is given back", async (_name, end) => {
    const census = new Census();
    await run(4, end, census);
    const before = await usedBytes();
    await run(12, end, census);
    expect(server.app.sockets.size).toBe(0);
    expect(await census.countBelow(5), "of 16 sockets").toBeLessThan(5);
    // A DEFLATE stream with a window takes 256 KiB: 12 that stay in memory exceed this limit.
    await expectGrowthBelow(2 * MiB, usedBytes, before);
  }, 40_000);

  test("100 sockets that are closed, reset and terminated at once leave no memory and no handle behind", async () => {
    const storm = async (): Promise<void> => {
      const clients = await Promise.all(
        Array.from({ length: 100 }, () => DeflateClient.connect(server.port, { path: "/" })),
      );
      for (const socket of server.app.sockets) burden(socket);
      for (const [i, client] of clients.entries()) {
        if (i % 3 === 0) client.sendBytes(text("bad", { rsv: 2 }));
        if (i % 3 === 1) client.sendBytes(close(1000));
        if (i % 2 === 0) client.reset();
        else client.terminate();
      }
      while (server.app.sockets.size > 0) await nextTurn();
    };
    for (let i = 0; i < 2; i++) await storm();
    const used = await usedBytes();
    const rss = rssBytes();
    const handles = process.getActiveResourcesInfo().length;
    for (let i = 0; i < 5; i++) await storm();
    await expectGrowthBelow(4 * MiB, usedBytes, used);
    // The 500 sockets had 320 KiB of messages each and, with takeover, a window of 256 KiB or more.
    await expectGrowthBelow(80 * MiB, rssBytes, rss);
    expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(handles + 5);
  }, 60_000);
});

describe.each(deflateModes)("a process whose app is closed while zlib works: %s", (_name, compression) => {
  test("exits by itself after its clients have got every message and a Close", async () => {
    const options = JSON.stringify({ compression });
    const program = Program.file("tests/support/compressing-server.ts", { OPTIONS: options }, [], 30_000);
    const [url] = await program.line(/^http:.*$/);
    const port = Number(new URL(url).port);
    const clients = await Promise.all(
      Array.from({ length: 10 }, () => DeflateClient.connect(port, { path: "/busy" })),
    );
    const [cut] = clients.splice(0, 5).map((client) => (client.reset(), client));
    program.kill("SIGTERM");
    for (const client of clients) {
      for (let i = 0; i < 20; i++) expect((await client.nextMessage()).slice(0, 3)).toBe(`${i} ${i}`.slice(0, 3));
      expect((await client.nextFrame()).opcode).toBe(opcodes.close);
      client.sendBytes(close(1001));
      expect((await client.closed()).code).toBe(1001);
    }
    await cut.closed();
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(program.errors).toBe("");
  }, 30_000);
});
