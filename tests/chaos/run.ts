/**
 * Runs the chaos, and prints the seed with which the same plans can be run again.
 *
 *     npm run chaos                                        one round in each setting, with a server on Node 26
 *     npm run chaos -- deno bun node@22 node@24            servers on other runtimes; the clients stay on Node 26
 *     npm run chaos -- --rounds 20                         a longer run
 *     npm run chaos -- bun --seed 1234 -t "slow hooks"     the plan of a failure again; other words go to vitest
 */

import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { enterRepository, wholeNumber } from "../runner/command.ts";
import { runBounded } from "../runner/process.ts";
import { fetchNode, testRuntimes } from "../runner/runtimes.ts";
import { type ChaosOptions, VARIABLE } from "./options.ts";

const ROUND_MS = 600_000;

enterRepository();

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    rounds: { type: "string", default: "1" },
    testNamePattern: { type: "string", short: "t" },
  },
});
const unknown = positionals.filter((word) => !testRuntimes.some(({ id }) => id === word));
if (unknown.length > 0) throw new Error(`Not a runtime: ${unknown.join(", ")}`);

const options: ChaosOptions = {
  seed: wholeNumber("seed", values.seed),
  rounds: wholeNumber("rounds", values.rounds, 1),
  runtimes: (positionals.length > 0 ? positionals : ["node"]).map((id) => ({ id, command: commandOf(id) })),
};
console.log(`The seed of this run is ${options.seed}.`);
const names = values.testNamePattern === undefined ? [] : ["-t", values.testNamePattern];
const vitest = ["node", "node_modules/vitest/vitest.mjs", "run", "--config", "tests/chaos/vitest.config.ts", ...names];
const env = { ...process.env, [VARIABLE]: JSON.stringify(options) };
const { exitCode } = await runBounded(vitest, env, ROUND_MS * options.rounds * options.runtimes.length);
process.exitCode = exitCode ?? 1;

/** What starts a file under a runtime. */
function commandOf(id: string): readonly string[] {
  if (id === "deno") return ["deno", "run", "--allow-all"];
  if (id.startsWith("node@")) return [fetchNode(id.slice("node@".length))];
  return [id];
}
