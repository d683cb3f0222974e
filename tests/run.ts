/**
 * Runs the same tests under every runtime, one after the other, and ends in one total line.
 *
 *     npm test                                 everything, everywhere
 *     npm test -- node                         one runtime: node (26), node@24, node@22, deno or bun
 *     npm test -- deno bun tests/protocol      two runtimes, some files; whatever names no runtime goes to vitest
 *     npm test -- --quick                      the unit tests, on Node 26, in less than a minute
 *     npm test -- --quick tests/protocol       those of some files
 *     npm run coverage                         everything on Node 26, and how much of src it has run
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseArguments } from "./runner/arguments.ts";
import { enterRepository } from "./runner/command.ts";
import { type BoundedExit, runBounded } from "./runner/process.ts";
import { joinReports, type Outcome, readReport, summarise, type VitestReport } from "./runner/report.ts";
import type { TestRuntime } from "./runner/runtimes.ts";

const RUN_TIMEOUT_MS = 600_000;
const root = enterRepository();
if (!process.stdout.isTTY) {
  process.env.NO_COLOR = "1";
  delete process.env.FORCE_COLOR;
}

const { runtimes, vitestArguments } = parseArguments(process.argv.slice(2));
const folder = await mkdtemp(join(tmpdir(), "spacenode-tests-"));
// Node keeps compiled code here. The servers that the tests start begin in a third of the time: most of it goes into
// the types, which Node takes out of every file of the source.
const compileCache = join(folder, "compiled");
try {
  const outcomes: Outcome[] = [];
  for (const runtime of runtimes) outcomes.push(await runUnder(runtime));
  const { text, failed } = summarise(outcomes);
  console.log(`\n${text}`);
  process.exitCode = failed === 0 ? 0 : 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function runUnder(runtime: TestRuntime): Promise<Outcome> {
  const startedAt = performance.now();
  const ended = (result: Partial<Outcome>): Outcome => ({
    runtime: runtime.expected,
    passed: 0,
    failed: 0,
    leftOut: [],
    faults: [],
    testsByFile: new Map(),
    durationMs: performance.now() - startedAt,
    ...result,
  });
  try {
    const [executable, ...args] = runtime.vitest();
    const version = execFileSync(executable!, ["--version"], { encoding: "utf8" }).split("\n", 1)[0];
    console.log(`\n--- ${runtime.expected}: ${executable} ${version}`);

    const env = { ...process.env, SPACENODE_TEST_RUNTIME: runtime.expected, NODE_COMPILE_CACHE: compileCache };
    // A process that is killed, as most servers of the tests are, adds nothing to the compiled code.
    if (runtime.id.startsWith("node")) spawnSync(executable!, ["mod.ts"], { env });
    // Vitest refuses more shares than there are files, so only the whole suite is shared.
    const processes = vitestArguments.length === 0 ? runtime.processes ?? 1 : 1;
    // Some shares take far longer than others. A process that is done takes the next one.
    const shares = processes === 1 ? 1 : 3 * processes;
    const runs: (BoundedExit & { readonly reportPath: string })[] = [];
    let begun = 0;
    await Promise.all(Array.from({ length: processes }, async () => {
      while (begun < shares) {
        const number = ++begun;
        const reportPath = join(folder, `${runtime.id}-${number}.json`);
        const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${reportPath}`];
        const share = shares === 1 ? [] : [`--shard=${number}/${shares}`];
        const command = [executable!, ...args, "run", ...reporters, "--silent=passed-only", ...share];
        runs.push({ reportPath, ...await runBounded([...command, ...vitestArguments], env, RUN_TIMEOUT_MS) });
      }
    }));
    if (runs.some(({ timedOut }) => timedOut)) {
      return ended({ faults: [`killed, still running after ${RUN_TIMEOUT_MS / 1000} s; a file missing above hangs`] });
    }
    const { exitCode } = runs.find((run) => run.exitCode !== 0) ?? runs[0];
    if (!runs.every(({ reportPath }) => existsSync(reportPath))) {
      return ended({ faults: [`vitest left no report; its exit code was ${exitCode}`] });
    }
    const reports = await Promise.all(runs.map(async ({ reportPath }) => await readFile(reportPath, "utf8")));
    const report = joinReports(reports.map((text) => JSON.parse(text) as VitestReport));
    for (const file of report.testResults) file.name = relative(root, file.name);
    // On a developer's machine a tool such as python3 or redis-server may be missing; the gate has everything.
    const mayLeaveOut = process.env.CI === undefined;
    return ended(readReport(report, exitCode, mayLeaveOut));
  } catch (error) {
    return ended({ faults: [(error as Error).message] });
  }
}
