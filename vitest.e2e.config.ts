import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/e2e/**/*.test.ts"],
    allowOnly: false,
    expect: { requireAssertions: true, poll: { timeout: 15_000 } },
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Each file brings its own browser and servers, which use more than one core by themselves.
    maxWorkers: 2,
  },
});
