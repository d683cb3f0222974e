import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    exclude: ["tests/e2e/**", "tests/packages/**"],
    // Vitest's fork pool needs an IPC channel that Bun does not have; its workers are Bun threads instead.
    pool: process.versions.bun ? "threads" : "forks",
    allowOnly: false,
    expect: { requireAssertions: true },
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
