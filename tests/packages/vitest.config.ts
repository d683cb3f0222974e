// How the tests of the packages run: they pack, install and start processes, so they may take longer than others.

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/packages/*.test.ts"],
    allowOnly: false,
    expect: { requireAssertions: true },
    testTimeout: 60_000,
    hookTimeout: 180_000,
  },
});
