/**
 * What all peers have in common. The path to which a client connects says what a peer does with a message: on `/echo`
 * it sends the message back as it came, and on `/text` as a string. On `/fan` it sends the message to every client of
 * `/fan` in a plain loop, and on `/publish` to every client of `/publish` by the server's own publish, if there is one.
 * A client of `/topics/17` is subscribed to the topics of socket 17, and a message goes to the topic that it begins
 * with. `/read`, `/reply` and `/typed` are echoes in which SpaceNode is compared with itself: it reads the messages in
 * the way that BENCH_READ names, sends what it received or, with BENCH_REPLY=fresh, a copy of that, and validates JSON
 * by a schema or as BENCH_TYPED says.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { type DeflateMode, keepsContext, windowsOf } from "../shared/deflate-modes.ts";
import type { Memory, Question } from "../shared/processes.ts";

/** Larger than every message and every burst of the bench, so that no server reaches a limit. */
export const LIMIT_BYTES: number = 64 * 1024 * 1024;

export const HOST = "127.0.0.1";

/** A port that several processes share, or any free one. */
export const place: { port: number; reusePort: boolean } = {
  port: Number(process.env.BENCH_PORT ?? 0),
  reusePort: process.env.BENCH_REUSE_PORT === "1",
};

const { BENCH_TLS_KEY: key, BENCH_TLS_CERT: cert } = process.env;

/** The key and the certificate in the cells over TLS; undefined in all others. */
export const tls: { key: string; cert: string } | undefined = key && cert ? { key, cert } : undefined;

const mode = (process.env.BENCH_DEFLATE ?? "off") as DeflateMode;
const { windowBits, memLevel } = windowsOf(mode);

/** What the cell asks of permessage-deflate, and the compression level for peers that have a setting for it. */
export const deflate = {
  mode,
  level: Number(process.env.BENCH_LEVEL ?? 3),
  contextTakeover: keepsContext(mode),
  /** The sizes of zlib's memory; undefined where the peer's defaults apply. */
  windowBits,
  memLevel,
};

/** The functions by which an engine runs its garbage collection. */
interface Collector {
  gc?: (options?: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void;
  Bun?: { gc(synchronous: boolean): void };
}

/**
 * The memory after several garbage collections and short rests. With `trimmed`, V8 also gives back its spare pages,
 * because those that many compressed messages leave behind would outweigh a thousand connections.
 */
async function settledMemory(trimmed: boolean): Promise<Memory> {
  const { gc, Bun } = globalThis as Collector;
  for (let pass = 0; pass < 4; pass += 1) {
    if (Bun) Bun.gc(true);
    else if (trimmed) gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
    else gc?.();
    await delay(100);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { residentBytes: rss, heapBytes: heapUsed + external };
}

function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Reports the port to the runner, then replies to the questions that come on stdin, and exits when stdin is closed. */
export function announce(port: number): void {
  const report = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
  createInterface({ input: process.stdin })
    .on("line", async (question: Question) => {
      report(question === "cpu" ? cpuMicroseconds() : await settledMemory(question === "trimmed"));
    })
    .on("close", () => process.exit(0));
  report(port);
}
