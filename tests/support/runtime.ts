/** Tells which runtime a test runs under, and which one it should. */

/** The runtime of a plain `vitest run`: the `node` development dependency. */
export const DEFAULT_RUNTIME = "node@26";

/** The runtime that the test runner has chosen for this process, as `name@major`. */
export function expectedRuntime(): string {
  return process.env.SPACENODE_TEST_RUNTIME ?? DEFAULT_RUNTIME;
}

/** The runtime that really runs this process, as `name@major`. */
export function actualRuntime(): string {
  // Deno and Bun report a version of Node, too, so the process is Node's only when it is neither of theirs.
  const deno = (globalThis as { Deno?: { version: { deno: string } } }).Deno?.version.deno;
  const bun = process.versions.bun;
  const [name, version] = deno ? ["deno", deno] : bun ? ["bun", bun] : ["node", process.versions.node];
  return `${name}@${version.split(".", 1)[0]}`;
}
