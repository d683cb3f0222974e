import { type TestRuntime, testRuntimes } from "./runtimes.ts";

const QUICK = "--quick";
const QUICK_CONFIG = "vitest.quick.config.ts";

/** What one command line of the test runner asks for. */
export interface TestRun {
  readonly runtimes: readonly TestRuntime[];
  /** Everything that vitest gets in addition, such as the names of files. */
  readonly vitestArguments: readonly string[];
}

/**
 * Reads the words behind `npm test --`. A word that names a runtime chooses this runtime; without any, all runtimes are
 * chosen. `--quick` chooses the unit tests, on the first runtime only unless the command line names others. Every other
 * word goes to vitest unchanged.
 */
export function parseArguments(words: readonly string[]): TestRun {
  const isQuick = words.includes(QUICK);
  const named = testRuntimes.filter((runtime) => words.includes(runtime.id));
  const others = words.filter((word) => word !== QUICK && !named.some((runtime) => runtime.id === word));
  if (!isQuick) return { runtimes: named.length > 0 ? named : testRuntimes, vitestArguments: others };

  const config = others.find((word) => /^(-c|--config)(=|$)/.test(word));
  if (config !== undefined) throw new Error(`${QUICK} has a configuration of its own; leave out ${config}`);
  return {
    runtimes: named.length > 0 ? named : testRuntimes.slice(0, 1),
    vitestArguments: ["--config", QUICK_CONFIG, ...others],
  };
}
