// How the chaos runs: each test starts a server and several processes of clients, one test after the other.

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/chaos/*.test.ts"],
    allowOnly: false,
    expect: { requireAssertions: true },
    testTimeout: 240_000,
    fileParallelism: false,
  },
});
