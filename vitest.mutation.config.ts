import { defineConfig } from "vitest/config";
import base from "./vitest.config.ts";

/**
 * What `npm run mutation` runs: the tests that the environment names, without those that are too slow in mutated code.
 * Stryker's own option for this, `testFiles`, does not switch on the mutants of constants in time, so that all survive.
 */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: (process.env.MUTATION_TESTS ?? "").split(","),
    tags: base.test!.tags!.map((tag) => ({ ...tag, skip: tag.name === "heavy" })),
  },
});
