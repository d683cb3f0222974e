/**
 * The seed and the length of a run of the fuzzing, which run.ts gives to the tests in the environment. A plain run of
 * vitest has always the same seed.
 */

import process from "node:process";
import fc from "fast-check";
import { expect } from "vitest";

const seed = Number(process.env.FUZZ_SEED ?? 6455);
const times = Number(process.env.FUZZ_TIMES ?? 1);

/** How many inputs the current test has tried. */
let inputs = 0;

/** Counts inputs that were tried beyond the one that fast-check counts itself. */
export function countInputs(count: number): void {
  inputs += count;
}

/**
 * Checks a property with the seed of this run, and prints how many inputs that were.
 *
 * @param runs how many inputs fast-check makes, unless `--times` asks for a multiple of them
 * @param endOnFailure true where every try takes so long that a failure is not made smaller
 */
export async function fuzz<Inputs>(
  runs: number,
  property: fc.IRawProperty<Inputs>,
  endOnFailure: boolean = false,
): Promise<void> {
  inputs = 0;
  const numRuns = Math.max(1, Math.round(runs * times));
  const startMs = performance.now();
  const result = await fc.check(property, { seed, numRuns, endOnFailure });
  if (result.failed) {
    const { errorInstance } = result;
    const fault = errorInstance instanceof Error ? errorInstance.message : errorInstance;
    const report = endOnFailure ? "" : `\n${await fc.asyncDefaultReportMessage(result)}`;
    expect.fail(`--seed ${seed} --times ${times} repeats this.${report}\n${fault}`);
  }
  expect(result.numRuns).toBe(numRuns);
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(
    `${expect.getState().currentTestName}: ${(numRuns + inputs).toLocaleString("en")} inputs in ${seconds} s`,
  );
}
