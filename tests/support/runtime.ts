/** The runtime of a plain `vitest run`: the `node` development dependency. */
export const DEFAULT_RUNTIME = "node@26";

/** The runtime the test runner says this process was started as. */
export function expectedRuntime(): string {
  return process.env.SPACENODE_TEST_RUNTIME ?? DEFAULT_RUNTIME;
}

/** The runtime this process really is, as `name@major`. */
export function actualRuntime(): string {
  // Deno and Bun report a Node version too, so Node is what is left when it is neither.
  const deno = (globalThis as { Deno?: { version: { deno: string } } }).Deno?.version.deno;
  const bun = process.versions.bun;
  const [name, version] = deno ? ["deno", deno] : bun ? ["bun", bun] : ["node", process.versions.node];
  return `${name}@${version.split(".", 1)[0]}`;
}
