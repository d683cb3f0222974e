import { defineConfig } from "vitest/config";
import { options } from "./vitest.config.ts";

/**
 * What `npm run mutation` runs: the tests that the environment names, without those that are too slow in mutated code.
 * Stryker's own option for this, `testFiles`, does not switch on the mutants of constants in time, so that all survive.
 */
export default defineConfig({
  test: {
    ...options,
    include: (process.env.MUTATION_TESTS ?? "").split(","),
    tags: options.tags.map((tag) => ({ ...tag, skip: tag.name === "heavy" })),
  },
});
