import { globSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { slowTests, unitTests } from "../../vitest.quick.config.ts";
import { parseArguments } from "./arguments.ts";

const root = join(import.meta.dirname, "../..");
const everywhere = ["node", "node@24", "node@22", "deno", "bun"];
const quick = ["--config", "vitest.quick.config.ts"];

test.each<[commandLine: string, runtimes: string[], vitestArguments: string[]]>([
  ["", everywhere, []],
  ["deno", ["deno"], []],
  ["bun node@22", ["node@22", "bun"], []],
  ["tests/protocol", everywhere, ["tests/protocol"]],
  ["node tests/protocol -t mask", ["node"], ["tests/protocol", "-t", "mask"]],
  ["node --config other.config.ts", ["node"], ["--config", "other.config.ts"]],
  ["--quick", ["node"], quick],
  ["--quick tests/protocol", ["node"], [...quick, "tests/protocol"]],
  ["tests/protocol --quick", ["node"], [...quick, "tests/protocol"]],
  ["--quick deno bun", ["deno", "bun"], quick],
])("`npm test -- %s` runs on %j, and gives vitest %j", (commandLine, runtimes, vitestArguments) => {
  const run = parseArguments(commandLine.split(" ").filter((word) => word !== ""));
  expect(run.runtimes.map((runtime) => runtime.id)).toEqual(runtimes);
  expect(run.vitestArguments).toEqual(vitestArguments);
});

test.each(["--config", "--config=vitest.config.ts", "-c"])("--quick refuses %s beside it", (word) => {
  expect(() => parseArguments(["--quick", word])).toThrow(/--quick has a configuration of its own/);
});

test("every pattern of the quick configuration finds files: a test that was moved is not forgotten", () => {
  expect([...unitTests, ...slowTests].filter((pattern) => globSync(pattern, { cwd: root }).length === 0)).toEqual([]);
});
