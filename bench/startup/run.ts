/**
 * How long a server takes to start: the import, and until it listens. Each start is a process of its own, and the
 * servers take turns.
 *
 *     node bench/startup/run.ts [--runtime node,deno,bun] [--rounds 20]
 */
import { execFileSync } from "node:child_process";
import process from "node:process";
import { parseArgs } from "node:util";
import { median } from "simple-statistics";
import { percent, span, table } from "../shared/format.ts";
import { chooseCores, pinned, root, type Runtime, type RuntimeName } from "../shared/machine.ts";
import { amount, chosenRuntimes } from "../shared/options.ts";
import { ReportingProcess } from "../shared/processes.ts";
import { ratioText, scatterOfPairs } from "../shared/scatter.ts";
import type { Parts } from "./report.ts";

const { values } = parseArgs({ options: { runtime: { type: "string" }, rounds: { type: "string" } } });
const rounds = amount("rounds", values.rounds, 20);

interface Program {
  label: string;
  file: string;
  runtimes: RuntimeName[];
}

const ALL: RuntimeName[] = ["node", "deno", "bun"];
const OURS: Program = { label: "SpaceNode", file: "spacenode.ts", runtimes: ALL };
/** The same program once more, which shows how far two runs of it lie apart. */
const AGAIN: Program = { ...OURS };
const programs: Program[] = [
  AGAIN,
  { label: "the runtime alone", file: "empty.ts", runtimes: ALL },
  { label: "node:http", file: "node-http.ts", runtimes: ALL },
  { label: "Deno.serve", file: "native.ts", runtimes: ["deno"] },
  { label: "Bun.serve", file: "native.ts", runtimes: ["bun"] },
  { label: "ws", file: "ws.ts", runtimes: ["node", "deno"] },
  { label: "ws (Bun's shim)", file: "ws.ts", runtimes: ["bun"] },
  OURS,
];

interface Start extends Parts {
  /** From the start of the process until the runner has read its report. */
  totalMs: number;
}

const core = chooseCores()?.server;

async function start(runtime: Runtime, { file }: Program): Promise<Start> {
  const startMs = performance.now();
  const path = new URL(file, import.meta.url).pathname;
  const child = new ReportingProcess(pinned([...runtime.command, path], core), {});
  try {
    const parts = await child.report<Parts>("starting");
    return { ...parts, totalMs: performance.now() - startMs };
  } finally {
    await child.stop();
  }
}

/** A table of one runtime, in the order of the programs. */
async function measure(runtime: Runtime): Promise<string> {
  const starts = new Map(
    programs.filter(({ runtimes }) => runtimes.includes(runtime.name)).map((each) => [each, [] as Start[]]),
  );
  // The first start of each program is not counted: it reads files, and fills the caches of Deno.
  for (const program of starts.keys()) await start(runtime, program);
  for (let round = 0; round < rounds; round += 1) {
    for (const [program, some] of starts) some.push(await start(runtime, program));
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${runtime.name}, round ${round + 1}`);
  }
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  const totals = (program: Program): number[] => starts.get(program)!.map(({ totalMs }) => totalMs);
  const scatter = scatterOfPairs(totals(OURS), totals(AGAIN));
  const ours = median(totals(OURS));
  const rows = [...starts].filter(([program]) => program !== AGAIN).map(([program, some]) => {
    const middle = (field: keyof Start): number => median(some.map((each) => each[field]));
    return [
      program.label,
      span(middle("totalMs")),
      program === OURS ? "" : ratioText(middle("totalMs") / ours, scatter),
      span(middle("importMs")),
      span(middle("listenMs")),
    ];
  });
  return `${runtime.name} ${runtime.version}: median of ${rounds} starts, each in a fresh process; ` +
    `scatter ${scatter === undefined ? "unknown" : percent(scatter)}\n` +
    table([["", "process to listening", "× ours", "import", "create and listen"], ...rows]);
}

execFileSync("npm", ["run", "--silent", "build"], { cwd: root, stdio: "inherit" });
for (const runtime of chosenRuntimes(values.runtime)) console.log(`\n${await measure(runtime)}`);
