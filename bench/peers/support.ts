/**
 * What every server of the bench has in common. By the path a client connects to:
 * `/echo` sends a message back as it came; `/text` the same, through a string; `/fan` sends it to every client of
 * `/fan` by a plain loop; `/publish` does so by the server's own publish, where it has one.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";

/** Above every message and every burst of the bench, so that no limit is part of what is measured. */
export const LIMIT_BYTES: number = 64 * 1024 * 1024;

interface Collector {
  gc?: () => void;
  Bun?: { gc(synchronous: boolean): void };
}

async function settledMemory(): Promise<number> {
  const { gc, Bun } = globalThis as Collector;
  for (let pass = 0; pass < 4; pass += 1) {
    if (Bun) Bun.gc(true);
    else gc?.();
    await delay(100);
  }
  return process.memoryUsage().rss;
}

function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Tells the runner the port, answers its questions on stdin, and ends with it. */
export function announce(port: number): void {
  const answer = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
  createInterface({ input: process.stdin })
    .on("line", async (question) => {
      answer(question === "memory" ? await settledMemory() : cpuMicroseconds());
    })
    .on("close", () => process.exit(0));
  answer(port);
}
