// How the fuzzing runs: with a seed that is printed, and for as long as the environment says.
//
//     npm run fuzz                                  a minute on Node 26, with a fresh seed
//     npm run fuzz -- deno bun                      the same on Deno and Bun as well
//     FUZZ_SEED=1234 npm run fuzz                   the inputs of a seed that was printed
//     FUZZ_TIMES=0.1 npm run fuzz -- -t router      a tenth of the inputs, for the tests whose names match
//     FUZZ_TIMES=100 npx vitest run --config tests/fuzz/vitest.config.ts
//                                                   a hundred times as many, which the runner above would cut off

import { randomInt } from "node:crypto";
import process from "node:process";
import { defineConfig } from "vitest/config";

const seed = process.env.FUZZ_SEED ??= String(randomInt(2 ** 31));
const times = process.env.FUZZ_TIMES ??= "1";
console.log(`FUZZ_SEED=${seed} FUZZ_TIMES=${times} repeats this run`);

const TIMEOUT_MS = 120_000;

export default defineConfig({
  test: {
    include: ["tests/fuzz/*.test.ts"],
    env: { FUZZ_SEED: seed, FUZZ_TIMES: times },
    // Bun has no IPC channel for vitest's fork pool.
    pool: process.versions.bun ? "threads" : "forks",
    maxWorkers: process.versions.bun ? 1 : "100%",
    allowOnly: false,
    expect: { requireAssertions: true },
    testTimeout: TIMEOUT_MS * Math.max(1, Number(times)),
    hookTimeout: TIMEOUT_MS,
  },
});
