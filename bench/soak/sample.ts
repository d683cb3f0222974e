/**
 * What a soaked server has in common with the other one: it reports its port, and answers the runner's questions on
 * stdin with samples of its memory and of what it has open.
 */
import { readdirSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { setImmediate as nextTurn } from "node:timers/promises";
import * as v8 from "node:v8";

/** What a server has at one moment. Undefined is what its runtime or its system cannot say. */
export interface Sample {
  readonly heapBytes: number;
  /** The heap with the room that the engine has taken for it, which V8 makes larger for more garbage. */
  readonly reservedBytes: number;
  /** Memory outside the heap that objects of the heap keep. */
  readonly externalBytes: number;
  readonly residentBytes: number;
  readonly connections: number;
  readonly topics: number;
  /** Handshakes that were accepted since the start. */
  readonly accepted: number;
  /** Sockets, as handlers get them, that the collector has not taken back: those that are open, and those that leak. */
  readonly aliveSockets: number;
  /** Listeners of all open sockets, and those of the process. */
  readonly listeners: number;
  readonly timers: number | undefined;
  /** Open file descriptors, of which each TCP connection has one. */
  readonly files: number | undefined;
}

/**
 * `sample`: a sample after garbage collection, unless SOAK_NATURAL is set. `census`: one after garbage collection in
 * any case. `cpu`: microseconds of CPU time since the start. `close`: closes the server, and replies with a census
 * whose `timers` counts those that do not keep the process alive as well.
 */
export type Question = "sample" | "census" | "cpu" | "close";

/** The server's own share of a sample, and its end. */
export interface Soaked {
  counts(): Pick<Sample, "connections" | "topics" | "accepted" | "listeners">;
  close(): Promise<unknown>;
}

interface Runtime {
  gc?: () => void;
  Bun?: { gc(isSynchronous: boolean): void };
}

/** A module that only Bun has. */
const JSC = "bun:jsc";
const { gc, Bun } = globalThis as Runtime;
/** True when the samples under traffic leave the collector alone, as it is outside a soak. */
const isNatural = process.env.SOAK_NATURAL !== undefined;
let aliveSockets = 0;
const census = new FinalizationRegistry<void>(() => aliveSockets--);

/** Counts an object until the collector has taken it back. */
export function track(socket: object): void {
  aliveSockets++;
  census.register(socket);
}

async function collectGarbage(): Promise<void> {
  // What one round finalizes may refer to other objects, and streams free their buffers a turn later.
  for (let round = 0; round < 2; round++) {
    if (Bun) Bun.gc(true);
    else gc?.();
    await nextTurn();
  }
}

/** The class of the objects that `setTimeout` and `setInterval` return. */
const Timeout = setTimeout(() => {}, 0).constructor as new () => object;

/**
 * Timers that are not due yet. V8 lists those that keep the process alive, and finds all of them on its heap when it
 * searches the heap, for which it takes so much memory that only the last sample may ask for it. Bun lists none, but
 * counts the objects on its heap.
 */
async function countTimers(searchesHeap: boolean): Promise<number | undefined> {
  if (Bun) {
    const { heapStats } = await import(JSC) as { heapStats(): { objectTypeCounts: Record<string, number> } };
    return heapStats().objectTypeCounts.Timeout ?? 0;
  }
  if (searchesHeap) return v8.queryObjects(Timeout, { format: "count" });
  return process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
}

function countFiles(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return undefined;
  }
}

async function sampleOf(soaked: Soaked, question: Question): Promise<Sample> {
  if (question !== "sample" || !isNatural) await collectGarbage();
  const { heapUsed, heapTotal, external, rss } = process.memoryUsage();
  const ofProcess = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
  const counts = soaked.counts();
  return {
    heapBytes: heapUsed,
    reservedBytes: heapTotal,
    externalBytes: external,
    residentBytes: rss,
    ...counts,
    listeners: counts.listeners + ofProcess,
    aliveSockets,
    timers: await countTimers(question === "close"),
    files: countFiles(),
  };
}

/**
 * Reports the port, then answers the questions. After `close` nothing here keeps the process alive: it ends by itself,
 * unless the server has left something behind.
 */
export function announce(port: number, soaked: Soaked): void {
  const report = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
  let isClosed = false;
  createInterface({ input: process.stdin })
    .on("line", async (question: Question) => {
      if (question === "cpu") {
        const { user, system } = process.cpuUsage();
        return report(user + system);
      }
      if (question === "close") {
        isClosed = true;
        await soaked.close();
      }
      report(await sampleOf(soaked, question));
    })
    // A runner that is gone leaves no server behind.
    .on("close", () => {
      if (!isClosed) process.exit(1);
    });
  report(port);
}
