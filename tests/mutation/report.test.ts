import type { MutantResult } from "@stryker-mutator/api/core";
import { expect, test } from "vitest";
import { describeSurvivors, scoreOf, sumOf, tableOf } from "./report.ts";

function mutant(status: MutantResult["status"], line = 1): MutantResult {
  const location = { start: { line, column: 5 }, end: { line, column: 9 } };
  return { id: "0", fileName: "src/a.ts", mutatorName: "BooleanLiteral", replacement: "false", location, status };
}

test("mutants that were ignored or did not run do not count, and one that never ends is killed", () => {
  const statuses = ["Killed", "Timeout", "Survived", "NoCoverage", "Ignored", "CompileError", "RuntimeError"] as const;
  expect(scoreOf("src/a.ts", statuses.map((status) => mutant(status)))).toEqual({
    name: "src/a.ts",
    mutants: 4,
    killed: 2,
  });
});

test("a score is rounded down, so that one survivor among thousands is seen", () => {
  const scores = [{ name: "src/a.ts", mutants: 2000, killed: 1999 }, { name: "src/b.ts", mutants: 10, killed: 10 }];
  expect(tableOf([...scores, sumOf(scores)])).toBe([
    " 99.9 %  1999 of 2000  src/a.ts",
    "100.0 %      10 of 10  src/b.ts",
    " 99.9 %  2009 of 2010  together",
  ].join("\n"));
});

test("a survivor is named with its place, and with the code that stands there instead", () => {
  const results = [mutant("Survived", 3), mutant("Killed", 4), mutant("NoCoverage", 7)];
  expect(describeSurvivors(results)).toEqual([
    "  src/a.ts:3:5 to 9: BooleanLiteral: false",
    "  src/a.ts:7:5 to 9: BooleanLiteral: false (no test gets there)",
  ]);
});
