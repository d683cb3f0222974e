/**
 * The bench of the sockets: SpaceNode beside other servers, or beside another checkout of itself. Each server runs in a
 * process of its own and the load in another, each on a core of its own where the system can pin processes.
 *
 *     node bench/sockets/run.ts [--quick] [--against main] [--base ../other-checkout] [--runtime node,deno,bun]
 *                               [--only echo-32-16,…] [--peers spacenode,ws,raw] [--rounds 3] [--seconds 2]
 *                               [--warm-up 1] [--lowest] [--out bench/results] [--help]
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import process from "node:process";
import { chooseCores, type Cores, describeMachine, root, type Runtime } from "../shared/machine.ts";
import type { Cell } from "./cell.ts";
import { chart } from "./charts.ts";
import { comparisonTable } from "./comparison.ts";
import { GeneratorProcess } from "./generator-process.ts";
import { measureCell, type Sample } from "./measure-cell.ts";
import type { Peer } from "./peers.ts";
import { cellLine, runtimeTable } from "./report.ts";
import { type Report, summarise } from "./results.ts";
import { readSettings } from "./settings.ts";
import { targetTable } from "./target-table.ts";

const RESULTS = new URL("../results", import.meta.url).pathname;
const { base, runtimes, cells, peersOf, rounds, times, lowest, out, whole } = readSettings(process.argv.slice(2));

// The packages for Node and Bun are built. The base needs no node_modules: its types are stripped and not checked.
execFileSync("npm", ["run", "--silent", "build"], { cwd: root, stdio: "inherit" });
if (base) {
  const types = new URL("node_modules/@types", root).pathname;
  const project = new URL("tsconfig.build.json", base.folder).pathname;
  execFileSync("npx", ["tsc", "-p", project, "--noCheck", "--typeRoots", types], { cwd: root, stdio: "inherit" });
}

const cores = chooseCores();

const report: Report = {
  date: new Date().toISOString(),
  machine: describeMachine(runtimes, ["ws", "bufferutil", "websocket", "crossws"], cores),
  ...(base && { base: { folder: base.folder.pathname, commit: base.commit } }),
  rounds,
  lowest,
  times,
  results: [],
  failures: [],
};
let generator = new GeneratorProcess(cores);

/** The peers take turns, in another order in each round, so that a passing disturbance does not hit one peer alone. */
async function runCell(cell: Cell, runtime: Runtime, pinnedTo: Cores | undefined): Promise<void> {
  const samplesOf = new Map<Peer, Sample[]>(peersOf(runtime, cell).map((peer) => [peer, []]));
  if (samplesOf.size === 0) return;
  for (let round = 0; round < rounds; round += 1) {
    const order = [...samplesOf.keys()];
    for (const peer of [...order.slice(round % order.length), ...order.slice(0, round % order.length)]) {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${cell.id}, round ${round + 1}: ${peer.label}`);
      try {
        samplesOf.get(peer)?.push(await measureCell(peer, runtime, cell, generator, pinnedTo, times));
      } catch (error) {
        const { message } = error as Error;
        report.failures.push({ runtime: runtime.name, peer: peer.id, cell: cell.id, reason: message });
        generator.stop();
        generator = new GeneratorProcess(cores);
      }
    }
  }
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  for (const [peer, samples] of samplesOf) {
    if (samples.length > 0) report.results.push(summarise(peer, cell, samples, lowest));
  }
  console.log(cellLine(report, runtime.name, cell));
}

/** Only the whole bench replaces the committed results; a part of it or a short one is saved where `--out` says. */
function save(folder = whole ? RESULTS : undefined): void {
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/latest.json`, `${JSON.stringify(report, undefined, 2)}\n`);
  for (const { name } of runtimes) {
    const svg = chart(report, name);
    if (svg) writeFileSync(`${folder}/${name}.svg`, svg);
  }
  console.log(`\nWritten to ${folder}`);
}

const { loadBefore } = report.machine;
if (loadBefore > 0.5) {
  console.log(`Other programs keep this machine busy (load ${loadBefore.toFixed(1)}): figures scatter.`);
}
console.log(
  `${report.machine.cpu}, ${report.machine.cores} cores, ${report.machine.system}; ` +
    (cores
      ? `server on core ${cores.server}, generator on core ${cores.generator}`
      : "processes are not pinned to cores"),
);
if (report.base) console.log(`here: ${report.machine.commit}; base: ${report.base.commit} in ${report.base.folder}`);
for (const runtime of runtimes) {
  console.log(`\n${runtime.name} ${runtime.version}: server CPU for a message; ×: the ratio to ours`);
  for (const cell of cells) await runCell(cell, runtime, cores);
}
generator.stop();
console.log(`\nIt took ${Math.round(performance.now() / 1000)} s.`);

for (const { name } of runtimes) console.log(`\n${runtimeTable(report, name)}`);
if (base) { for (const { name } of runtimes) console.log(`\n${comparisonTable(report, name)}`); }
else console.log(`\n${targetTable(report)}`);
if (report.failures.length > 0) {
  const faults = new Set(report.failures.map(({ runtime, peer, reason }) => `  ${runtime} ${peer}: ${reason}`));
  console.log(`\nFailed, and left out:\n${[...faults].join("\n")}`);
  process.exitCode = 1;
}
save(out);
