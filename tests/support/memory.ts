/** Garbage collection and memory use, for tests on any runtime. */

import process from "node:process";
import { setImmediate as nextTurn, setTimeout } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const collect = findCollector();

/** How long the collector may find nothing before the objects that are left count as kept for ever. */
const PATIENCE_MS = 8_000;
/** The time between two runs of the collector. */
const PAUSE_MS = 20;

/** Collects garbage, and lets the finalizers run. */
export async function collectGarbage(): Promise<void> {
  // Objects that one round finalizes may refer to others, and streams free their buffers a turn later.
  for (let round = 0; round < 4; round++) {
    collect();
    await nextTurn();
  }
}

/** The bytes in use on the heap and beside it, after a collection. */
export async function usedBytes(): Promise<number> {
  await collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/**
 * Counts the tracked objects that still exist, since something still refers to them. A conservative collector, such as
 * Bun's, may take a number on the stack for a reference: a test must allow a few objects to be left, while a leak
 * leaves all of them.
 */
export class Census {
  #alive = 0;
  readonly #registry = new FinalizationRegistry<void>(() => this.#alive--);

  track(object: object): void {
    this.#alive++;
    this.#registry.register(object);
  }

  /**
   * How many tracked objects are left. The collector runs until fewer than `enough` are left, or it has found none for
   * `PATIENCE_MS`: one run may not find them all, and under Bun a busy machine lets go of some closed sockets only four
   * seconds later.
   */
  async countBelow(enough: number): Promise<number> {
    let lastFoundAtMs = performance.now();
    while (this.#alive >= enough && performance.now() - lastFoundAtMs < PATIENCE_MS) {
      const before = this.#alive;
      await collectGarbage();
      if (this.#alive < before) lastFoundAtMs = performance.now();
      else await setTimeout(PAUSE_MS);
    }
    return this.#alive;
  }
}

function findCollector(): () => void {
  const { Bun } = globalThis as { Bun?: { gc(isSynchronous: boolean): void } };
  if (Bun) return () => Bun.gc(true);
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}
