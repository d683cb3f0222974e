/** The files of the repository, and the parser that the tests of the repository itself read them with. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { type ParseResult, parseSync } from "vite";

export const root = join(import.meta.dirname, "../..");

/** The text of a file, by its path from the top level. */
export function read(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** All files of the repository that a person wrote, by their paths from the top level, with forward slashes. */
export function repositoryFiles(folder = root): string[] {
  const notOurs = new Set([
    ".api",
    ".docs",
    ".fuzz",
    ".git",
    ".stryker",
    ".vitest",
    "coverage",
    "dist",
    "node_modules",
  ]);
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (notOurs.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? repositoryFiles(path) : [relative(root, path).replaceAll(sep, "/")];
  });
}

/** The syntax tree and the comments of a TypeScript or JavaScript file; throws when the text cannot be parsed. */
export function parseScript(path: string, text = read(path)): ParseResult {
  const result = parseSync(path, text);
  if (result.errors.length > 0) throw new Error(`${path}: ${result.errors[0]!.message}`);
  return result;
}
