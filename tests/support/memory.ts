/** What tests need to see of memory, on any runtime. */

import process from "node:process";
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const collect = findCollector();

/** Frees what nobody holds, and lets what hears of it run. */
export async function collectGarbage(): Promise<void> {
  // What one round finalises may hold more, and streams let go of their buffers a turn later.
  for (let round = 0; round < 4; round++) {
    collect();
    await nextTurn();
  }
}

/** Bytes in use, on the heap and beside it, once the garbage is gone. */
export async function usedBytes(): Promise<number> {
  await collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/**
 * Counts objects that exist: what is tracked and not collected is held by somebody. A collector that looks for references on
 * the stack by guessing, as Bun's does, may take a stray number for one: expect a few to be left, where a leak leaves all.
 */
export class Census {
  #alive = 0;
  readonly #registry = new FinalizationRegistry<void>(() => this.#alive--);

  track(object: object): void {
    this.#alive++;
    this.#registry.register(object);
  }

  /** How many of them are left. A collector may take a few rounds until it has found all that it can. */
  async count(): Promise<number> {
    for (let round = 0; round < 20 && this.#alive > 0; round++) await collectGarbage();
    return this.#alive;
  }
}

function findCollector(): () => void {
  const { Bun } = globalThis as { Bun?: { gc(isSynchronous: boolean): void } };
  if (Bun) return () => Bun.gc(true);
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}
