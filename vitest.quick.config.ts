import { defineConfig } from "vitest/config";
import base from "./vitest.config.ts";

/**
 * What `npm test -- --quick` runs: the tests of single files and the vectors of the RFCs. Left out are tests that are slow
 * by their nature: those that start processes, and those that send messages of many megabytes.
 */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ["tests/*.test.ts", "tests/{app,conformance,protocol,runner,transport}/**/*.test.ts"],
    // Vitest leaves one core to itself, which is half of a machine with two.
    maxWorkers: "100%",
    exclude: [
      "tests/examples.test.ts",
      "tests/app/**/*-processes.test.ts",
      "tests/app/**/*signals.test.ts",
      "tests/conformance/7692-messages.test.ts",
      "tests/conformance/10.4-limits.test.ts",
    ],
  },
});
