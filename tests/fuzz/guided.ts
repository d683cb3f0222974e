/**
 * Fuzzing that is guided by coverage: Jazzer.js keeps each input that reaches something new, and changes it further.
 *
 *     npm run fuzz:guided                           every target for a minute
 *     npm run fuzz:guided -- frames --seconds 600   one target for longer
 *     npm run fuzz:guided -- frames --keep          afterwards the corpus of the target is chosen anew
 *
 * npm fetches Jazzer.js on demand, because nothing else needs it. Its native part needs glibc 2.38. The inputs that it
 * finds stay in `.fuzz/`, and so does one that fails.
 */

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { enterRepository, wholeNumber } from "../runner/command.ts";
import { fetchJazzer } from "../runner/runtimes.ts";
import { CORPUS, readCorpus, writeCorpus } from "./corpus.ts";
import * as targets from "./targets.ts";

const MAX_INPUT_BYTES = 400;
/** A corpus has so many inputs, short ones and long ones. */
const MAX_KEPT = 200;
const root = enterRepository();
const folder = join(root, ".fuzz");
const bundle = join(folder, "targets.mjs");

const { values: { seconds, keep }, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: "string", default: "60" }, keep: { type: "boolean", default: false } },
});
wholeNumber("seconds", seconds, 1);
const names = Object.keys(targets);
const unknown = positionals.filter((word) => !names.includes(word));
if (unknown.length > 0) throw new Error(`Not a target: ${unknown.join(", ")}; expected ${names.join(", ")}`);

// Jazzer.js instruments JavaScript. One file has the code under test and the second readers.
run("bun", "build", "tests/fuzz/targets.ts", "--target=node", `--outfile=${bundle}`);
const jazzer = fetchJazzer();
for (const name of positionals.length > 0 ? positionals : names) {
  console.log(`\n--- ${name}, ${seconds} s`);
  const found = join(folder, name);
  mkdirSync(found, { recursive: true });
  readCorpus(name).forEach((input, index) => writeFileSync(join(found, `kept-${index}`), input));
  run(
    process.execPath,
    "--disable-warning=DEP0205",
    jazzer,
    bundle,
    ...["--fuzzEntryPoint", name, "--includes", "targets.mjs", "--disableBugDetectors", ".*", found, "--"],
    ...[`-max_total_time=${seconds}`, `-max_len=${MAX_INPUT_BYTES}`, `-artifact_prefix=${folder}/${name}-`],
    "-print_final_stats=1",
  );
  if (keep) {
    const texts = readdirSync(found).map((file) => readFileSync(join(found, file), "latin1"));
    const inputs = [...new Set(texts)].map((text) => Buffer.from(text, "latin1"))
      .sort((a, b) => a.length - b.length || a.compare(b));
    const step = Math.max(1, inputs.length / MAX_KEPT);
    const kept = inputs.filter((_, index) => Math.floor(index / step) > Math.floor((index - 1) / step));
    writeCorpus(name, kept);
    console.log(`${CORPUS.pathname}${name}.txt has ${kept.length} of ${inputs.length} inputs`);
  }
}

function run(command: string, ...words: string[]): void {
  const { status, error } = spawnSync(command, words, { stdio: "inherit" });
  if (status !== 0) throw new Error(`${command} has failed: ${error?.message ?? `exit code ${status}`}`);
}
