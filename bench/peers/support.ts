/**
 * What every server of the bench has in common. By the path a client connects to:
 * `/echo` sends a message back as it came; `/text` the same, through a string; `/fan` sends it to every client of
 * `/fan` by a plain loop; `/publish` does so by the server's own publish, where it has one.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { type DeflateMode, keepsContext, windowsOf } from "../shared/deflate-modes.ts";
import type { Memory, Question } from "../shared/processes.ts";

/** Above every message and every burst of the bench, so that no limit is part of what is measured. */
export const LIMIT_BYTES: number = 64 * 1024 * 1024;

const mode = (process.env.BENCH_DEFLATE ?? "off") as DeflateMode;
const { windowBits, memLevel } = windowsOf(mode);

/** What the cell asks of permessage-deflate, and the level where the peer can be told one. */
export const deflate = {
  mode,
  level: Number(process.env.BENCH_LEVEL ?? 3),
  contextTakeover: keepsContext(mode),
  /** Undefined where the peer's own are wanted. */
  windowBits,
  memLevel,
};

interface Collector {
  gc?: (options?: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void;
  Bun?: { gc(synchronous: boolean): void };
}

/**
 * After garbage collection and a while of rest. `trimmed` has V8 also give back the pages that it keeps for what may come: what many compressed messages have left there
 * would outweigh a thousand connections.
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

/** Tells the runner the port, answers its questions on stdin, and ends with it. */
export function announce(port: number): void {
  const answer = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
  createInterface({ input: process.stdin })
    .on("line", async (question: Question) => {
      answer(question === "cpu" ? cpuMicroseconds() : await settledMemory(question === "trimmed"));
    })
    .on("close", () => process.exit(0));
  answer(port);
}
