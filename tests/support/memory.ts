/** Garbage collection and memory use, for tests on any runtime. */

import process from "node:process";
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const collect = findCollector();

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
   * How many tracked objects are left. The collector runs until twenty runs in a row have found none, since one run may
   * not find them all, and a busy machine reports them late.
   */
  async count(): Promise<number> {
    for (let vainRuns = 0; vainRuns < 20 && this.#alive > 0;) {
      const before = this.#alive;
      await collectGarbage();
      vainRuns = this.#alive < before ? 0 : vainRuns + 1;
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
