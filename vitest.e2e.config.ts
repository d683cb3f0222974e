import { defineConfig } from "vitest/config";
import { SlowFilesFirst } from "./tests/runner/sequencer.ts";

export default defineConfig({
  test: {
    include: ["tests/e2e/**/*.test.ts"],
    sequence: { sequencer: SlowFilesFirst },
    allowOnly: false,
    expect: { requireAssertions: true, poll: { timeout: 15_000 } },
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Each file brings its own browser and servers, which use more than one core by themselves.
    maxWorkers: 2,
  },
});
