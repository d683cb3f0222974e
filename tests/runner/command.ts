/** What the commands of the tests have in common: where they run, and how they read their options. */

import { delimiter, join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** Goes to the top level of the repository, where the development dependencies come first on the PATH. */
export function enterRepository(): string {
  process.chdir(root);
  process.env.PATH = join(root, "node_modules", ".bin") + delimiter + process.env.PATH;
  return root;
}

/** Reads an option that is a whole number. */
export function wholeNumber(name: string, text: string, least: number = 0): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < least) {
    throw new Error(`--${name} takes a whole number from ${least} on; got ${text}`);
  }
  return number;
}
