// Attacks by compression: a few bytes that inflate to very many.

import { randomBytes } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { constants, createDeflateRaw } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { AppOptions } from "../../mod.ts";
import { DeflateClient, deflated, framesOf } from "../support/deflate.ts";
import { close, opcodes, pieces, text } from "../support/frames.ts";
import { Program } from "../support/program.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

const gigabyte = 1_000_000_000;
/** Far more memory than the server needs for any test here, and far less than the attacks inflate to. */
const mostGrowthBytes = 320 * MiB;

/** As long as the longest test here may take. A server that ended before would fail the test on a busy machine. */
const LIFETIME_MS = 60_000;

interface Report {
  peakBytes: number;
  messages: number;
  closes: Record<string, number>;
  sockets: number;
}

/** Starts a server in a process of its own. `report` returns the figures that the server gives of itself. */
async function startServer(options: AppOptions): Promise<{ port: number; report: () => Promise<Report> }> {
  const program = Program.file(
    "tests/support/compressing-server.ts",
    { OPTIONS: JSON.stringify(options) },
    [],
    LIFETIME_MS,
  );
  const [url] = await program.line(/^http:.*$/);
  const report = async (): Promise<Report> => await (await fetch(`${url}/report`)).json();
  // Five messages go through everything first, so that code which is compiled on first use does not count as growth.
  const client = await DeflateClient.connect(Number(new URL(url).port), { path: "/echo" });
  const warmUp = Buffer.alloc(500 * KiB, "warm");
  for (let i = 0; i < 5; i++) {
    await client.send(warmUp);
    expect(Buffer.compare(await client.nextMessage() as Buffer, warmUp)).toBe(0);
  }
  client.sendBytes(close(1000));
  await client.closed();
  return { port: Number(new URL(url).port), report };
}

/**
 * Makes a payload of almost a megabyte that inflates to `totalBytes` of zeros: `unit`, which inflates to one megabyte,
 * again and again.
 */
async function bomb(totalBytes: number = gigabyte): Promise<{ payload: Buffer; unit: Buffer; unitBytes: number }> {
  const unitBytes = MiB;
  const stream = createDeflateRaw({ level: 9 });
  const output: Buffer[] = [];
  stream.on("data", (bytes: Buffer) => output.push(bytes));
  const zeros = Buffer.alloc(unitBytes);
  const flushed = async (): Promise<Buffer> => {
    stream.write(zeros);
    await new Promise<void>((resolve) => stream.flush(constants.Z_SYNC_FLUSH, () => resolve()));
    return Buffer.concat(output.splice(0));
  };
  const first = await flushed();
  // The second block refers to the zeros that the first has left in the window. It leaves zeros, too, so it can be
  // repeated.
  const unit = await flushed();
  stream.close();
  const units = Math.ceil(totalBytes / unitBytes) - 1;
  return {
    payload: Buffer.concat([first, ...Array.from({ length: units }, () => unit)]).subarray(0, -4),
    unit,
    unitBytes,
  };
}

const modes: [name: string, options: AppOptions][] = [
  ["no takeover", { compression: true }],
  ["takeover", { compression: { contextTakeover: true } }],
];

describe.each(modes)("a megabyte that inflates to a gigabyte: %s", (_name, options) => {
  test.each<[name: string, cut: (payload: Buffer) => readonly Uint8Array[], opcode: number]>([
    ["in one frame", (payload) => [payload], opcodes.binary],
    ["in ten fragments", (payload) => pieces(payload, payload.length / 10), opcodes.binary],
    ["in ten thousand fragments", (payload) => pieces(payload, payload.length / 10_000), opcodes.text],
  ])("%s, closes the connection with 1009, and the server goes on", async (_name, cut, opcode) => {
    const { port, report } = await startServer(options);
    const { payload } = await bomb();
    // A longer payload would be refused by its header alone.
    expect(payload.length).toBeLessThan(MiB);
    const before = await report();

    const client = await DeflateClient.connect(port, { path: "/echo" });
    const startMs = performance.now();
    client.sendBytes(Buffer.concat(framesOf(opcode, cut(payload).map((each) => Buffer.from(each)), true)));
    expect((await client.closed()).code).toBe(1009);
    // Inflating the whole payload would take some seconds.
    expect(performance.now() - startMs).toBeLessThan(2_000);

    await expectEcho(port);
    const after = await report();
    expect(after.peakBytes - before.peakBytes).toBeLessThan(mostGrowthBytes);
    expect(after.messages).toBe(before.messages + 2);
    expect(after.closes["1009"]).toBe(1);
    await expectEcho(port);
  });

  test("in ten thousand messages of one connection, each within the limit, takes no memory", async () => {
    const { port, report } = await startServer(options);
    const before = await report();
    const client = await DeflateClient.connect(port, { path: "/count", timeoutMs: 60_000 });
    const count = 10_000;
    const message = framesOf(opcodes.binary, [deflated(Buffer.alloc(50_000))], true)[0];
    for (let sent = 0; sent < count; sent += 1000) {
      client.sendBytes(Buffer.alloc(message.length * 1000, message));
      await nextTurn();
    }
    client.sendBytes(close(1000));
    expect((await client.closed()).code).toBe(1000);
    const after = await report();
    expect(after.messages - before.messages).toBe(count);
    expect(after.peakBytes - before.peakBytes).toBeLessThan(mostGrowthBytes);
  }, 60_000);

  test("in a thousand messages, each a byte above the limit, is closed with 1009 at the first", async () => {
    const { port, report } = await startServer(options);
    const before = await report();
    const client = await DeflateClient.connect(port, { path: "/count" });
    const message = framesOf(opcodes.binary, [deflated(Buffer.alloc(MiB + 1))], true)[0];
    client.sendBytes(Buffer.alloc(message.length * 1000, message));
    expect((await client.closed()).code).toBe(1009);
    const after = await report();
    expect(after.messages).toBe(before.messages);
    expect(after.peakBytes - before.peakBytes).toBeLessThan(mostGrowthBytes);
    await expectEcho(port);
  });

  test("in blocks with BFINAL, a megabyte each, counts as one message", async () => {
    const { port, report } = await startServer({ ...options, maxMessageBytes: 4 * MiB });
    const before = await report();
    const client = await DeflateClient.connect(port, { path: "/count" });
    // A sync flush and an empty final block end a DEFLATE stream like any other final block.
    const stream = Buffer.concat([deflated(Buffer.alloc(MiB), 9), Buffer.from("0000ffff0300", "hex")]);
    client.sendBytes(framesOf(opcodes.binary, [Buffer.concat(Array.from({ length: 950 }, () => stream))], true)[0]);
    expect((await client.closed()).code).toBe(1009);
    const after = await report();
    expect(after.messages).toBe(before.messages);
    expect(after.peakBytes - before.peakBytes).toBeLessThan(mostGrowthBytes);
  });

  test("on fifty connections at once takes what their messages may, and no more", async () => {
    const { port, report } = await startServer(options);
    const before = await report();
    const { payload } = await bomb();
    const [frame] = framesOf(opcodes.binary, [payload], true);
    const clients = await Promise.all(
      Array.from({ length: 50 }, () => DeflateClient.connect(port, { path: "/count", timeoutMs: 60_000 })),
    );
    for (const client of clients) client.sendBytes(frame);
    for (const client of clients) expect((await client.closed()).code).toBe(1009);
    const after = await report();
    expect(after.messages).toBe(before.messages);
    // Each connection may keep one message as it came, and inflate it up to the limit.
    expect(after.peakBytes - before.peakBytes).toBeLessThan(mostGrowthBytes + 50 * 2 * MiB);
    await expectEcho(port);
  }, 60_000);

  test("begun on two hundred connections and never completed, takes the memory of what has come", async () => {
    const { port, report } = await startServer(options);
    const before = await report();
    const { payload } = await bomb(100_000_000);
    const [begun] = framesOf(opcodes.binary, [payload, payload], true);
    const clients = await Promise.all(
      Array.from({ length: 200 }, () => DeflateClient.connect(port, { path: "/count", timeoutMs: 60_000 })),
    );
    for (const client of clients) client.sendBytes(begun);
    await expectEcho(port);
    const { peakBytes } = await report();
    // 100 KB have come on each connection. Where fragments are inflated as they come, the connections are closed by
    // now.
    expect(peakBytes - before.peakBytes).toBeLessThan(mostGrowthBytes);
    for (const client of clients) client.terminate();
  }, 60_000);
});

test.each(modes)(
  "a flood of messages that come faster than they are inflated is slowed down: %s",
  async (_name, options) => {
    const { port, report } = await startServer(options);
    const before = await report();
    const client = await DeflateClient.connect(port, { path: "/count", timeoutMs: 60_000 });
    // Random bytes do not shrink, so much has to be inflated, and all of it waits in memory until then.
    const frames = [10 * KiB, 100 * KiB].map((size) =>
      framesOf(opcodes.binary, [deflated(randomBytes(size))], true)[0]
    );
    const batch = Buffer.concat(Array.from({ length: 10 }, () => frames).flat());
    const batches = 300;
    for (let i = 0; i < batches; i++) {
      client.sendBytes(batch);
      await client.written();
    }
    client.sendBytes(close(1000));
    expect((await client.closed()).code).toBe(1000);
    const after = await report();
    expect(after.messages - before.messages).toBe(20 * batches);
    expect(after.peakBytes - before.peakBytes).toBeLessThan(mostGrowthBytes);
  },
  60_000,
);

test.each(modes)("a maxMessageBytes of 32 MiB limits what a message inflates to, too: %s", async (_name, options) => {
  const { port, report } = await startServer({ ...options, maxMessageBytes: 32 * MiB });
  const before = await report();
  const client = await DeflateClient.connect(port, { path: "/count" });
  const { payload } = await bomb(2 * gigabyte);
  client.sendBytes(framesOf(opcodes.binary, [payload], true)[0]);
  expect((await client.closed()).code).toBe(1009);
  const after = await report();
  expect(after.messages).toBe(before.messages);
  expect(after.peakBytes - before.peakBytes).toBeLessThan(mostGrowthBytes + 64 * MiB);
  await expectEcho(port);
});

test.each(modes)(
  "a flood of empty blocks, which inflate to nothing, is closed with 1009: %s",
  async (_name, options) => {
    const { port, report } = await startServer(options);
    const before = await report();
    const client = await DeflateClient.connect(port, { path: "/count" });
    const blocks = Buffer.alloc(5 * 100_000, Buffer.from("000000ffff", "hex"));
    const fragments = Array.from({ length: 100 }, () => blocks);
    await client.sendApart(framesOf(opcodes.binary, fragments, true));
    expect((await client.closed()).code).toBe(1009);
    const after = await report();
    expect(after.messages).toBe(before.messages);
    expect(after.peakBytes - before.peakBytes).toBeLessThan(mostGrowthBytes);
    await expectEcho(port);
  },
);

/** Shows that the server is well: a new client gets its echoes and a clean close. */
async function expectEcho(port: number): Promise<void> {
  const client = await DeflateClient.connect(port, { path: "/echo" });
  const message = "still well, ".repeat(1000);
  await client.send(message);
  client.sendBytes(text("and plain"), close(1000));
  expect(await client.nextMessage()).toBe(message);
  expect(await client.nextMessage()).toBe("and plain");
  expect((await client.closed()).code).toBe(1000);
}
