import { defineConfig } from "vitest/config";
import { projectsOf } from "./tests/runner/projects.ts";
import base, { options } from "./vitest.config.ts";

/**
 * The tests that are slow by their nature: they start processes, send many messages or megabytes through real sockets,
 * or try many random inputs.
 */
export const slowTests: readonly string[] = [
  "tests/examples.test.ts",
  "tests/app/**/*signals.test.ts",
  "tests/app/**/presence-{apps,processes}.test.ts",
  "tests/app/**/*{iteration,streams}.test.ts",
  "tests/{app,transport}/**/{compression,compression-flow,compressing-outbox,negotiated-deflate}.test.ts",
  "tests/{app,protocol}/**/*-properties.test.ts",
];

/** Where the tests of single files are. */
export const unitTests: readonly string[] = [
  "tests/*.test.ts",
  "tests/{app,protocol,runner,transport}/**/*.test.ts",
];

/** What `npm test -- --quick` runs: the tests of single files, without the slow ones. */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    projects: projectsOf(options, unitTests, slowTests),
  },
});
