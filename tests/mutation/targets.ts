/** The source files whose tests are tested by mutation, and the tests of each. */
import { globSync } from "node:fs";
import { matchesGlob } from "node:path";
import { slowTests } from "../../vitest.quick.config.ts";

/** The engine, and those files of the app that stand between a stranger and the handlers. */
const SOURCES = [
  "src/protocol/*.ts",
  "src/transport/**/*.ts",
  "src/app/server/*.ts",
  "src/app/http/{body,forwarded,request,router,trust-proxy}.ts",
  "src/app/websocket/{close,inbox,origin-checker,origins,socket-registry}.ts",
  "src/app/common/validate.ts",
];

export interface Target {
  readonly source: string;
  readonly tests: readonly string[];
}

/** The tests that `--quick` leaves out are slow by their nature, and would be run hundreds of times here. */
function isSlow(test: string): boolean {
  return slowTests.some((pattern) => matchesGlob(test, pattern));
}

/**
 * The files that patterns name, or all targets, each with its tests: `outbox.test.ts` and `outbox-*.test.ts`. A source
 * file whose tests are all slow keeps them.
 *
 * @param more tests of other names that each target gets as well: files or folders
 */
export function findTargets(root: string, patterns: readonly string[] = [], more: readonly string[] = []): Target[] {
  const find = (pattern: string | string[]): string[] => globSync(pattern, { cwd: root }).sort();
  const asFiles = patterns.map((pattern) => pattern.endsWith(".ts") ? pattern : `${pattern}/**/*.ts`);
  const sources = find(asFiles.length > 0 ? asFiles : SOURCES);
  const others = find(more.map((pattern) => pattern.endsWith(".ts") ? pattern : `${pattern}/**/*.test.ts`));
  const stemOf = (source: string): string => source.replace(/^src\/(.*)\.ts$/, "tests/$1");
  const stems = find("src/**/*.ts").map(stemOf);
  return sources.map((source) => {
    const stem = stemOf(source);
    // The tests of `socket-options.ts` belong to it, and not to `socket.ts`.
    const longer = stems.filter((other) => other.startsWith(`${stem}-`));
    const tests = find([`${stem}.test.ts`, `${stem}-*.test.ts`]).filter((test) =>
      !longer.some((other) => test === `${other}.test.ts` || test.startsWith(`${other}-`))
    );
    const quick = tests.filter((test) => !isSlow(test));
    return { source, tests: [...new Set([...quick.length > 0 ? quick : tests, ...others])] };
  }).filter(({ tests }) => tests.length > 0);
}
