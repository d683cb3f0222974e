/** The corpora of the targets: a line of base64 for each input. */

import { existsSync, readFileSync, writeFileSync } from "node:fs";

export const CORPUS: URL = new URL("corpus/", import.meta.url);

function fileOf(name: string): URL {
  return new URL(`${name}.txt`, CORPUS);
}

/** The inputs of a target; none when it has no corpus yet. */
export function readCorpus(name: string): Buffer[] {
  if (!existsSync(fileOf(name))) return [];
  return readFileSync(fileOf(name), "utf8").trimEnd().split("\n").map((line) => Buffer.from(line, "base64"));
}

export function writeCorpus(name: string, inputs: readonly Buffer[]): void {
  writeFileSync(fileOf(name), inputs.map((input) => `${input.toString("base64")}\n`).join(""));
}
