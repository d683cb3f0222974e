/**
 * Runs the fuzzing, and prints the seed with which the same inputs come again.
 *
 *     npm run fuzz                                  everything on Node 26, with a fresh seed
 *     npm run fuzz -- deno bun                      on other runtimes
 *     npm run fuzz -- --times 60                    sixty times as many inputs
 *     npm run fuzz -- --seed 1234 -t router         the inputs of a seed, for the tests whose names match
 */

import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { enterRepository, wholeNumber } from "../runner/command.ts";
import { runBounded } from "../runner/process.ts";
import { testRuntimes } from "../runner/runtimes.ts";

const RUN_MS = 600_000;

enterRepository();

const { values: { seed, times, testNamePattern }, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    times: { type: "string", default: "1" },
    testNamePattern: { type: "string", short: "t" },
  },
});
wholeNumber("seed", seed);
if (!(Number(times) > 0)) throw new Error(`--times takes a number above 0; got ${times}`);
const ids = positionals.length > 0 ? positionals : ["node"];
const runtimes = ids.map((id) => {
  const runtime = testRuntimes.find((each) => each.id === id);
  if (runtime === undefined) throw new Error(`Not a runtime: ${id}`);
  return runtime;
});

console.log(`The seed of this run is ${seed}.`);
const names = testNamePattern === undefined ? [] : ["-t", testNamePattern];
for (const { id, vitest } of runtimes) {
  console.log(`\n--- ${id}`);
  const command = [...vitest(), "run", "--config", "tests/fuzz/vitest.config.ts", ...names];
  const env = { ...process.env, FUZZ_SEED: seed, FUZZ_TIMES: times };
  const { exitCode, timedOut } = await runBounded(command, env, RUN_MS * Math.max(1, Number(times)));
  if (timedOut) console.error(`${id} was killed: it was still running after ${RUN_MS * Number(times) / 1000} s`);
  if (exitCode !== 0) process.exitCode = 1;
}
