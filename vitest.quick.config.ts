import { defineConfig } from "vitest/config";
import base from "./vitest.config.ts";

/**
 * What `npm test -- --quick` runs: the tests of single files, without those that are slow by their nature. These start
 * processes, send many messages or megabytes through real sockets, or try many random inputs.
 */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ["tests/*.test.ts", "tests/{app,protocol,runner,transport}/**/*.test.ts"],
    // Vitest leaves one core to itself, which is half of a machine with two.
    maxWorkers: "100%",
    exclude: [
      "tests/examples.test.ts",
      "tests/app/**/*signals.test.ts",
      "tests/app/**/presence-{apps,processes}.test.ts",
      "tests/app/**/*{iteration,streams}.test.ts",
      "tests/{app,transport}/**/{compression,compression-flow,compressing-outbox,negotiated-deflate}.test.ts",
      "tests/{app,protocol}/**/*-properties.test.ts",
    ],
  },
});
