import { spawnSync } from "node:child_process";
import { realpathSync } from "node:fs";
import { DEFAULT_RUNTIME } from "../support/runtime.ts";
import { WORKERS } from "./workers.ts";

const VITEST = "node_modules/vitest/vitest.mjs";
const FETCH_TIMEOUT_MS = 180_000;

export interface TestRuntime {
  /** What chooses it on the command line: `npm test -- deno`. */
  readonly id: string;
  /** What the tests must find themselves on, as `name@major`. */
  readonly expected: string;
  /** The command that starts vitest under it; throws when the runtime cannot be had. */
  readonly vitest: () => string[];
  /** How many processes share the whole suite, where one process of vitest does not use every core by itself. */
  readonly processes?: number;
}

/** The floor and the line in between come from npm on demand; the others are development dependencies. */
export const testRuntimes: readonly TestRuntime[] = [
  { id: "node", expected: DEFAULT_RUNTIME, vitest: () => ["node", VITEST] },
  { id: "node@24", expected: "node@24", vitest: () => [fetchNode("24"), VITEST] },
  { id: "node@22", expected: "node@22", vitest: () => [fetchNode("22"), VITEST] },
  { id: "deno", expected: "deno@2", vitest: () => ["deno", "run", "--allow-all", VITEST] },
  // The workers of vitest are threads under Bun, and some tests measure the memory of the process: one worker each.
  { id: "bun", expected: "bun@1", vitest: () => ["bun", "--bun", VITEST], processes: WORKERS },
];

/** The path of a Node executable of that major version, downloaded once into npm's cache. */
export function fetchNode(major: string): string {
  return fetchFromNpm(`node@${major}`, 'node -p "process.execPath"');
}

/** The path of the compiler of that version of TypeScript, downloaded once into npm's cache. */
export function fetchTypeScript(version: string): string {
  return fetchFromNpm(`typescript@${version}`, "command -v tsc");
}

/** The path of the command of Jazzer.js, downloaded once into npm's cache. */
export function fetchJazzer(): string {
  return realpathSync(fetchFromNpm("@jazzer.js/core@4", "command -v jazzer"));
}

/** What `fetchFromNpm` has found in this process. Each call of npx takes more than a second. */
const fetched = new Map<string, string>();

/** The output of a shell command that finds the programs of a package from npm in front of all others. */
function fetchFromNpm(npmPackage: string, command: string): string {
  const known = fetched.get(npmPackage);
  if (known !== undefined) return known;
  // What is in npm's cache is taken as it is: a registry that is slow at this moment must not hold the tests up.
  const npx = ["--yes", "--prefer-offline", "--package", npmPackage, "-c", command];
  const { status, stdout, stderr, error } = spawnSync("npx", npx, { encoding: "utf8", timeout: FETCH_TIMEOUT_MS });
  if (status !== 0) throw new Error(`npx could not provide ${npmPackage}: ${error?.message ?? stderr.trim()}`);
  fetched.set(npmPackage, stdout.trim());
  return stdout.trim();
}
