/**
 * Changes the source in small ways, one at a time, and runs the tests of the changed file. A change that no test
 * notices shows a rule that no test states, or code that is of no use.
 *
 *     npm run mutation                                     the engine and the guards of the app, which takes hours
 *     npm run mutation -- src/protocol/close.ts            some files or folders
 *     npm run mutation -- --force src/protocol/close.ts    without the results of the run before
 *     npm run mutation -- src/app/http/request.ts --with tests/app/http
 *                                                          with tests of other names as well
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import type { MutantResult } from "@stryker-mutator/api/core";
import { Stryker } from "@stryker-mutator/core";
import { describeSurvivors, type Score, scoreOf, sumOf, tableOf } from "./report.ts";
import { findTargets, type Target } from "./targets.ts";

const root = join(import.meta.dirname, "../..");
process.chdir(root);

const { values: { force, with: more }, positionals } = parseArgs({
  allowPositionals: true,
  options: { force: { type: "boolean", default: false }, with: { type: "string", multiple: true, default: [] } },
});
const concurrency = Number(process.env.MUTATION_CONCURRENCY ?? 1);
const targets = findTargets(root, positionals, more);
if (targets.length === 0) throw new Error(`no source file with tests of its name: ${positionals.join(" ")}`);

const scores: Score[] = [];
for (const target of targets) {
  const startedAt = performance.now();
  const results = await mutate(target);
  const score = scoreOf(target.source, results);
  if (score.mutants === 0) continue;
  scores.push(score);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  console.log(`\n${tableOf([score])}\n${[...describeSurvivors(results), `${seconds} s`].join("\n")}`);
}
console.log(`\n${tableOf([...scores, sumOf(scores)])}\nThe reports are in .stryker/.`);

async function mutate({ source, tests }: Target): Promise<MutantResult[]> {
  const name = join(".stryker", source.replace(/^src\/(.*)\.ts$/, "$1"));
  await mkdir(dirname(name), { recursive: true });
  process.env.MUTATION_TESTS = tests.join();
  const stryker = new Stryker({
    mutate: [source],
    concurrency,
    force,
    incrementalFile: `${name}.incremental.json`,
    htmlReporter: { fileName: `${name}.html` },
    jsonReporter: { fileName: `${name}.json` },
  });
  return await stryker.runMutationTest();
}
