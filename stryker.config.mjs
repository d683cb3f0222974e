/**
 * How `npm run mutation` tests the tests. Stryker copies the repository, puts all mutants of one source file into the
 * copy at once, switches them on one by one, and runs the tests that reach the one that is on. tests/mutation/run.ts
 * names the source file and its tests.
 *
 * @type {import("@stryker-mutator/api/core").PartialStrykerOptions}
 */
export default {
  testRunner: "vitest",
  plugins: ["@stryker-mutator/vitest-runner", "./tests/mutation/error-texts.ts"],
  vitest: { configFile: "vitest.mutation.config.ts", pool: "threads", related: false },
  coverageAnalysis: "perTest",
  // A mutant of a constant acts when its module is loaded, so that every test has to run for it.
  ignoreStatic: false,
  ignorers: ["error-texts"],
  incremental: true,
  // Stryker reads a tsconfig.json through the API of TypeScript 6, which TypeScript 7 does not have, and changes paths
  // in it that the tests do not need. A file that does not exist is left out.
  tsconfigFile: ".stryker/none.json",
  tempDirName: ".stryker/tmp",
  ignorePatterns: [".docs", ".fuzz", ".stryker", "bench", "coverage", "dist", "docs", "tests/e2e", "tests/packages"],
  reporters: [process.stdout.isTTY ? "progress" : "progress-append-only", "html", "json"],
  logLevel: "warn",
  // A mutant that never ends is killed by time. Mutated code counts its steps, which takes long in its loops.
  timeoutMS: 10_000,
  timeoutFactor: 3,
};
