// How the tests of the packages run: they pack, install and start processes, so they may take longer than others.

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/packages/*.test.ts"],
    globalSetup: "tests/packages/pack.ts",
    // Most of the commands use one core only.
    maxWorkers: 2,
    maxConcurrency: 2,
    allowOnly: false,
    expect: { requireAssertions: true },
    testTimeout: 60_000,
    hookTimeout: 180_000,
  },
});
