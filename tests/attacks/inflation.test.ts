// Attacks by compression: little that inflates to very much.

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
/** Far more than the server needs for anything here, and far less than any of it inflates to. */
const mostGrowthBytes = 320 * MiB;

interface Report {
  peakBytes: number;
  messages: number;
  closes: Record<string, number>;
  sockets: number;
}

/** A server in a process of its own, and what it says of itself. */
async function startServer(options: AppOptions): Promise<{ port: number; report: () => Promise<Report> }> {
  const program = Program.file("tests/support/compressing-server.ts", { OPTIONS: JSON.stringify(options) });
  const [url] = await program.line(/^http:.*$/);
  const report = async (): Promise<Report> => await (await fetch(`${url}/report`)).json();
  // Once through everything, so that what is loaded and compiled on first use is not taken for growth.
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

/** A megabyte that inflates to a gigabyte of zeros: one block that does so for a megabyte, and that again and again. */
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
  // The second refers to the window of the first, which is zeros, as is its own.
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
  ])("%s ends in 1009, and the server goes on", async (_name, cut, opcode) => {
    const { port, report } = await startServer(options);
    const { payload } = await bomb();
    // Or its header alone would end the connection.
    expect(payload.length).toBeLessThan(MiB);
    const before = await report();

    const client = await DeflateClient.connect(port, { path: "/echo" });
    const startMs = performance.now();
    client.sendBytes(Buffer.concat(framesOf(opcode, cut(payload).map((each) => Buffer.from(each)), true)));
    expect((await client.closed()).code).toBe(1009);
    // To inflate it all would take some seconds.
    expect(performance.now() - startMs).toBeLessThan(2_000);

    await expectEcho(port);
    const after = await report();
    expect(after.peakBytes - before.peakBytes).toBeLessThan(mostGrowthBytes);
    expect(after.messages).toBe(before.messages + 2);
    expect(after.closes["1009"]).toBe(1);
    await expectEcho(port);
  });

  test("in twenty thousand messages of one connection is what the limit allows, and holds no memory", async () => {
    const { port, report } = await startServer(options);
    const before = await report();
    const client = await DeflateClient.connect(port, { path: "/sink" });
    const count = 20_000;
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
  });

  test("in a thousand messages, each a byte above the limit, ends at the first", async () => {
    const { port, report } = await startServer(options);
    const before = await report();
    const client = await DeflateClient.connect(port, { path: "/sink" });
    const message = framesOf(opcodes.binary, [deflated(Buffer.alloc(MiB + 1))], true)[0];
    client.sendBytes(Buffer.alloc(message.length * 1000, message));
    expect((await client.closed()).code).toBe(1009);
    const after = await report();
    expect(after.messages).toBe(before.messages);
    expect(after.peakBytes - before.peakBytes).toBeLessThan(mostGrowthBytes);
    await expectEcho(port);
  });

  test("in blocks with BFINAL, a megabyte each, is counted over all of them", async () => {
    const { port, report } = await startServer({ ...options, maxMessageBytes: 4 * MiB });
    const before = await report();
    const client = await DeflateClient.connect(port, { path: "/sink" });
    // A sync flush and an empty last block end a stream as well as any.
    const stream = Buffer.concat([deflated(Buffer.alloc(MiB), 9), Buffer.from("0000ffff0300", "hex")]);
    client.sendBytes(framesOf(opcodes.binary, [Buffer.concat(Array.from({ length: 950 }, () => stream))], true)[0]);
    expect((await client.closed()).code).toBe(1009);
    const after = await report();
    expect(after.messages).toBe(before.messages);
    expect(after.peakBytes - before.peakBytes).toBeLessThan(mostGrowthBytes);
  });

  test("on fifty connections at once costs no more", async () => {
    const { port, report } = await startServer(options);
    const before = await report();
    const { payload } = await bomb();
    const [frame] = framesOf(opcodes.binary, [payload], true);
    const clients = await Promise.all(
      Array.from({ length: 50 }, () => DeflateClient.connect(port, { path: "/sink", timeoutMs: 60_000 })),
    );
    for (const client of clients) client.sendBytes(frame);
    for (const client of clients) expect((await client.closed()).code).toBe(1009);
    const after = await report();
    expect(after.messages).toBe(before.messages);
    // Each may hold a message as it came, and inflate up to the limit.
    expect(after.peakBytes - before.peakBytes).toBeLessThan(mostGrowthBytes + 50 * 2 * MiB);
    await expectEcho(port);
  }, 60_000);

  test("begun on two hundred connections and never ended, holds what has come and no more", async () => {
    const { port, report } = await startServer(options);
    const before = await report();
    const { payload } = await bomb(100_000_000);
    const [begun] = framesOf(opcodes.binary, [payload, payload], true);
    const clients = await Promise.all(
      Array.from({ length: 200 }, () => DeflateClient.connect(port, { path: "/sink", timeoutMs: 60_000 })),
    );
    for (const client of clients) client.sendBytes(begun);
    await expectEcho(port);
    const { peakBytes } = await report();
    // 100 KB each; where it is inflated as it comes, they have been closed by now.
    expect(peakBytes - before.peakBytes).toBeLessThan(mostGrowthBytes);
    for (const client of clients) client.terminate();
  }, 60_000);
});

test.each(modes)(
  "a flood of messages that comes faster than it is inflated is held back: %s",
  async (_name, options) => {
    const { port, report } = await startServer(options);
    const before = await report();
    const client = await DeflateClient.connect(port, { path: "/sink", timeoutMs: 60_000 });
    // Noise, so that much has to be inflated, and all of it lies in memory until it is.
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

test.each(modes)("a limit of 32 MiB is a limit too: %s", async (_name, options) => {
  const { port, report } = await startServer({ ...options, maxMessageBytes: 32 * MiB });
  const before = await report();
  const client = await DeflateClient.connect(port, { path: "/sink" });
  const { payload } = await bomb(2 * gigabyte);
  client.sendBytes(framesOf(opcodes.binary, [payload], true)[0]);
  expect((await client.closed()).code).toBe(1009);
  const after = await report();
  expect(after.messages).toBe(before.messages);
  expect(after.peakBytes - before.peakBytes).toBeLessThan(mostGrowthBytes + 64 * MiB);
  await expectEcho(port);
});

test.each(modes)("a flood of empty blocks, which inflate to nothing, ends in 1009: %s", async (_name, options) => {
  const { port, report } = await startServer(options);
  const before = await report();
  const client = await DeflateClient.connect(port, { path: "/sink" });
  const blocks = Buffer.alloc(5 * 100_000, Buffer.from("000000ffff", "hex"));
  const fragments = Array.from({ length: 100 }, () => blocks);
  await client.sendApart(framesOf(opcodes.binary, fragments, true));
  expect((await client.closed()).code).toBe(1009);
  const after = await report();
  expect(after.messages).toBe(before.messages);
  expect(after.peakBytes - before.peakBytes).toBeLessThan(mostGrowthBytes);
  await expectEcho(port);
});

/** Proves that the server is well. */
async function expectEcho(port: number): Promise<void> {
  const client = await DeflateClient.connect(port, { path: "/echo" });
  const message = "still well, ".repeat(1000);
  await client.send(message);
  client.sendBytes(text("and plain"), close(1000));
  expect(await client.nextMessage()).toBe(message);
  expect(await client.nextMessage()).toBe("and plain");
  expect((await client.closed()).code).toBe(1000);
}
