// Sockets that end while zlib is at work for them: once, somebody waited for its callback and held their memory (ws #1617).

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

/** Gives zlib's threads work, and some to do behind it. */
function burden(socket: Socket): void {
  for (const each of [small, large, "x", large, small]) socket.send(each);
}

function rssBytes(): number {
  return process.memoryUsage().rss;
}

/** What zlib's threads have begun they end, and some collectors take their time: looks again for a while. */
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
  ["by terminate, at once", ({ socket }) => {
    burden(socket);
    socket.terminate();
  }],
  ["by terminate, a turn later", async ({ socket }) => {
    burden(socket);
    await nextTurn();
    socket.terminate();
  }],
  ["by a reset", ({ client, socket }) => {
    burden(socket);
    client.reset();
  }],
  ["by a reset behind the server's Close", ({ client, socket }) => {
    burden(socket);
    socket.close();
    client.reset();
  }],
  ["by a Close of the peer", ({ client, socket }) => {
    burden(socket);
    client.sendBytes(close(1000));
  }],
  ["by a fault of the peer", ({ client, socket }) => {
    burden(socket);
    client.sendBytes(text("bad", { rsv: 2 }));
  }],
  ["by the server's Close, which the peer answers", async ({ client, socket }) => {
    burden(socket);
    socket.close();
    while ((await client.nextFrame()).opcode !== opcodes.close) { /* what was sent before */ }
    client.sendBytes(close(1000));
  }],
  ["while somebody waited for drained()", async ({ socket }) => {
    burden(socket);
    const drained = socket.drained().catch((error: Error) => error.message);
    socket.terminate();
    expect(await drained).toMatch(/ended/);
  }],
  ["while they inflated, by a reset", async ({ client }) => {
    client.sendBytes(...await client.encode(large), ...await client.encode(small));
    client.reset();
  }],
  ["while they inflated, by terminate in a listener", async ({ client, socket }) => {
    socket.on("message", () => socket.terminate());
    for (const each of [small, large, large]) await client.send(each);
  }],
  ["while they inflated what is no DEFLATE", ({ client }) => {
    client.sendBytes(text(Buffer.alloc(100 * KiB, 0xff), { rsv: 4 }));
  }],
  ["paused, with compressed messages unread", async ({ client, socket }) => {
    socket.pause();
    for (const each of [small, large, small]) await client.send(each);
    await client.written();
    socket.terminate();
  }],
  ["with a window that was never used", ({ client }) => client.sendBytes(close(1000))],
];

describe.each(deflateModes)("sockets that have ended in the middle of it: %s", (_name, compression) => {
  const server = echoServer({ compression, closeTimeoutMs: 500 });

  /** That many connections, one after the other, so that each is alone with its end. */
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

  test.each(ends)("%s, are held by nobody", async (_name, end) => {
    const census = new Census();
    await run(20, end, census);
    const before = await usedBytes();
    await run(20, end, census);
    expect(server.app.sockets.size).toBe(0);
    expect(await census.count(), "of 40 sockets").toBeLessThan(5);
    // What sends with a window takes 256 KiB: 20 of them would show.
    await expectGrowthBelow(2 * MiB, usedBytes, before);
  }, 40_000);

  test("all at once, leave the process as it was", async () => {
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
    // 500 sockets, each with 320 KiB of messages and, with takeover, a window of 256 KiB and more.
    await expectGrowthBelow(80 * MiB, rssBytes, rss);
    expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(handles + 5);
  }, 60_000);
});

describe.each(deflateModes)("a process whose app is closed while zlib is at work: %s", (_name, compression) => {
  test("ends by itself, and its clients get what was sent, and a Close", async () => {
    const options = JSON.stringify({ compression });
    const program = Program.file("tests/support/compressing-server.ts", { OPTIONS: options });
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
