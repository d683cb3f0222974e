// How the fuzzing runs; run.ts gives it the seed and the length.

import process from "node:process";
import { defineConfig } from "vitest/config";
import { SlowFilesFirst } from "../runner/sequencer.ts";

const TIMEOUT_MS = 120_000;

export default defineConfig({
  test: {
    include: ["tests/fuzz/*.test.ts"],
    // Bun has no IPC channel for vitest's fork pool.
    pool: process.versions.bun ? "threads" : "forks",
    maxWorkers: process.versions.bun ? 1 : "100%",
    sequence: { sequencer: SlowFilesFirst },
    allowOnly: false,
    expect: { requireAssertions: true },
    testTimeout: TIMEOUT_MS * Math.max(1, Number(process.env.FUZZ_TIMES ?? 1)),
    hookTimeout: TIMEOUT_MS,
  },
});
