import { expect, test } from "vitest";
import { disagreements, joinReports, type Outcome, readReport, summarise, type VitestReport } from "./report.ts";

type TestResult = [fullName: string, status: string];

function reportOf(files: Record<string, TestResult[]>, status = "passed", message = ""): VitestReport {
  const testResults = Object.entries(files).map(([name, tests]) => ({
    name,
    status,
    message,
    assertionResults: tests.map(([fullName, status]) => ({ fullName, status })),
  }));
  return { testResults };
}

function outcomeOf(runtime: string, report: VitestReport, exitCode = 0): Outcome {
  return { runtime, durationMs: 0, ...readReport(report, exitCode, true) };
}

const green = reportOf({ "a.test.ts": [["one", "passed"], ["two", "passed"]] });

test("a green run has no failure", () => {
  expect(readReport(green, 0, false)).toMatchObject({ passed: 2, failed: 0, faults: [], leftOut: [] });
});

test("a failed test is counted once, not again for its file or for vitest's exit code", () => {
  const report = reportOf({ "a.test.ts": [["one", "passed"], ["two", "failed"]] }, "failed");
  expect(readReport(report, 1, false)).toMatchObject({ passed: 1, failed: 1, faults: [] });
});

test.each<[string, VitestReport, number | undefined, RegExp]>([
  [
    "a file that cannot be loaded",
    reportOf({ "a.test.ts": [] }, "failed", "no such module"),
    1,
    /a\.test\.ts.*no such/,
  ],
  ["a run of zero tests", reportOf({}), 0, /not one test/],
  ["a run that only skips", reportOf({ "a.test.ts": [["one", "skipped"]] }), 0, /not one test/],
  ["an unhandled error outside the tests", green, 1, /exit code 1/],
  ["a vitest that a signal ended", green, undefined, /exit code undefined/],
])("%s is a fault", (_name, report, exitCode, fault) => {
  expect(readReport(report, exitCode, true).faults.join()).toMatch(fault);
});

test("the reports of processes that have shared a suite are one report, with the faults of each", () => {
  const other = reportOf({ "b.test.ts": [["three", "failed"]] }, "failed");
  const outcome = readReport(joinReports([green, other, reportOf({})]), 1, false);
  expect(outcome).toMatchObject({ passed: 2, failed: 1, faults: [] });
  expect([...outcome.testsByFile]).toEqual([["a.test.ts", 2], ["b.test.ts", 1]]);
});

test("a test that was left out is named once, with its runtimes when it was run on others", () => {
  const lacking = reportOf({ "a.test.ts": [["one", "passed"], ["group > two", "skipped"], ["three", "skipped"]] });
  const more = reportOf({ "a.test.ts": [["one", "passed"], ["group > two", "skipped"], ["three", "passed"]] });
  const { text } = summarise([outcomeOf("node@26", lacking), outcomeOf("deno@2", lacking), outcomeOf("bun@1", more)]);
  expect(text.split("\n").filter((line) => line.startsWith("left out"))).toEqual([
    "left out: group > two",
    "left out: three (on node@26, deno@2)",
  ]);
});

test("a test that was left out is a fault where that is not allowed", () => {
  const report = reportOf({ "a.test.ts": [["one", "passed"], ["group > two", "skipped"]] });
  expect(readReport(report, 0, false).faults).toEqual([expect.stringContaining("group > two")]);
});

test("runtimes that do not have the same tests fail, with the file and the counts", () => {
  const fewer = reportOf({ "a.test.ts": [["one", "passed"]] });
  const outcomes = [outcomeOf("node@26", green), outcomeOf("deno@2", fewer)];
  expect(disagreements(outcomes)).toEqual(["a.test.ts has 2 tests on node@26, 1 tests on deno@2"]);
  expect(summarise(outcomes).failed).toBe(1);
});

test("a runtime that left no report fails once, and disagrees with nobody", () => {
  const missing: Outcome = { ...outcomeOf("bun@1", reportOf({})), faults: ["bun is missing"] };
  const { text, failed } = summarise([outcomeOf("node@26", green), missing]);
  expect(failed).toBe(1);
  expect(text).toContain("failed: bun is missing");
});

test("the last line is the total and nothing else", () => {
  const { text } = summarise([outcomeOf("node@26", green), outcomeOf("deno@2", green)]);
  expect(text.split("\n").at(-1)).toBe("4 passed, 0 failed");
});
