// How the tests of the documentation run. They need the built package: `npm run docs` builds it first.

import { defineConfig } from "vitest/config";
import { options } from "../../vitest.config.ts";

export default defineConfig({
  test: {
    ...options,
    include: ["tests/docs/*.test.ts"],
    expect: { requireAssertions: true, poll: { timeout: 15_000 } },
    testTimeout: 60_000,
    // The programs of the pages that ask for a port get any free one.
    env: { PORT: "0" },
    // Vitest leaves these files to the runtime, which has to run them as it would run a reader's.
    server: { deps: { external: [/\/\.docs\//] } },
  },
});
