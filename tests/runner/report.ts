/** The part of vitest's JSON report that is read here. */
export interface VitestReport {
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { fullName: string; status: string }[];
  }[];
}

/** What one runtime made of the tests. */
export interface Outcome {
  readonly runtime: string;
  readonly passed: number;
  readonly failed: number;
  /** Tests that were skipped, by name: none may be left out silently. */
  readonly leftOut: readonly string[];
  /** What went wrong outside any test; each counts as one failure. */
  readonly faults: readonly string[];
  /** How many tests each file has. */
  readonly testsByFile: ReadonlyMap<string, number>;
  readonly durationMs: number;
}

/** The report of a suite that several processes have shared. */
export function joinReports(reports: readonly VitestReport[]): VitestReport {
  return { testResults: reports.flatMap(({ testResults }) => testResults) };
}

/** The outcome of a vitest process that ended by itself and left a report. */
export function readReport(
  report: VitestReport,
  exitCode: number | undefined,
  mayLeaveOut: boolean,
): Omit<Outcome, "runtime" | "durationMs"> {
  const faults: string[] = [];
  const leftOut: string[] = [];
  const testsByFile = new Map<string, number>();
  let passed = 0;
  let failed = 0;
  for (const file of report.testResults) {
    testsByFile.set(file.name, file.assertionResults.length);
    let failedHere = 0;
    for (const test of file.assertionResults) {
      if (test.status === "passed") passed++;
      else if (test.status === "failed") failedHere++;
      else leftOut.push(test.fullName);
    }
    failed += failedHere;
    // A file that cannot be loaded, or whose hook fails, fails without any failed test in it.
    if (file.status === "failed" && failedHere === 0) {
      faults.push(`${file.name}: ${file.message.trim().split("\n", 1)[0]}`);
    }
  }
  if (!mayLeaveOut) faults.push(...leftOut.map((name) => `left out, which this run does not allow: ${name}`));
  if (passed + failed === 0) faults.push("not one test was run");
  if (exitCode !== 0 && failed + faults.length === 0) {
    faults.push(`vitest ended with exit code ${exitCode} although no test failed; its output above says why`);
  }
  return { passed, failed, leftOut, faults, testsByFile };
}

/** Where the runtimes that have a report do not have the same tests, one line for each file. */
export function disagreements(outcomes: readonly Outcome[]): string[] {
  const reports = outcomes.filter((outcome) => outcome.testsByFile.size > 0);
  const files = new Set(reports.flatMap((outcome) => [...outcome.testsByFile.keys()]));
  return [...files].sort().flatMap((file) => {
    const counts = reports.map((outcome) => outcome.testsByFile.get(file) ?? 0);
    if (counts.every((count) => count === counts[0])) return [];
    return [`${file} has ${reports.map((outcome, i) => `${counts[i]} tests on ${outcome.runtime}`).join(", ")}`];
  });
}

/** Each test that was left out anywhere, once, and on which runtimes when it was run on others. */
function leftOutLines(outcomes: readonly Outcome[]): string[] {
  const reports = outcomes.filter((outcome) => outcome.testsByFile.size > 0);
  const names = new Set(reports.flatMap((outcome) => outcome.leftOut));
  return [...names].map((name) => {
    const without = reports.filter((outcome) => outcome.leftOut.includes(name));
    const where = without.length === reports.length ? "" : ` (on ${without.map(({ runtime }) => runtime).join(", ")})`;
    return `left out: ${name}${where}`;
  });
}

/** The end of the run: a line for each runtime, what went wrong or was left out, and the total on a line of its own. */
export function summarise(outcomes: readonly Outcome[]): { text: string; failed: number } {
  const split = disagreements(outcomes);
  const lines = outcomes.flatMap((outcome) => [
    `${outcome.runtime.padEnd(14)} ${outcome.passed} passed, ${outcome.failed} failed` +
    `${outcome.leftOut.length > 0 ? `, ${outcome.leftOut.length} left out` : ""}` +
    ` (${(outcome.durationMs / 1000).toFixed(1)} s)`,
    ...outcome.faults.map((fault) => `  failed: ${fault}`),
  ]);
  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
  const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed + outcome.faults.length, split.length);
  const ends = [...leftOutLines(outcomes), ...split.map((line) => `failed: ${line}`)];
  return { text: [...lines, ...ends, "", `${passed} passed, ${failed} failed`].join("\n"), failed };
}
