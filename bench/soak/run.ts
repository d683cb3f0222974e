/**
 * The soak: thousands of idle and busy connections that come and go, an hour's ordinary traffic in a few minutes. Then
 * storms of handshakes, connections that are cut at once, the heartbeat alone, and the end. The command fails when
 * memory grows, or when anything is left behind.
 *
 *     npm run soak -- [node deno bun] [--minutes 10] [--hours 1] [--quick] [--idle 10000] [--busy 2000] [--storm 2000]
 *                     [--server spacenode|bare] [--natural] [--leak sockets|memory|timers|listeners]
 *                     [--out some/folder]
 *
 * `--hours` says how many hours' ordinary traffic is sent in the minutes. `--quick` is a tenth of the connections for a
 * minute and a half. `--server bare` soaks the control without SpaceNode. `--natural` samples without collecting
 * garbage first, as memory is outside a soak; the heap then goes up and down. `--leak` gives the server a fault on
 * purpose, which the soak has to find: the command then succeeds when a check fails.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { describeMachine, type Machine } from "../shared/machine.ts";
import { amount, chosen, chosenRuntimes } from "../shared/options.ts";
import { chart } from "./chart.ts";
import { checkLimits } from "./limits.ts";
import { report, sampleLine } from "./report.ts";
import type { Soak, Subject } from "./result.ts";
import { soak } from "./soak.ts";
import { type Leak, LEAKS, type Plan } from "./traffic.ts";
import { failuresOf } from "./verdict.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: "string" },
    hours: { type: "string" },
    quick: { type: "boolean", default: false },
    idle: { type: "string" },
    busy: { type: "string" },
    storm: { type: "string" },
    server: { type: "string", default: "spacenode" },
    natural: { type: "boolean", default: false },
    leak: { type: "string" },
    out: { type: "string" },
  },
});

export interface SoakReport {
  date: string;
  machine: Machine;
  soaks: Soak[];
}

const RESULTS = new URL("../results", import.meta.url).pathname;
const { quick } = values;
const runtimes = chosenRuntimes(positionals.length > 0 ? positionals.join() : undefined);
const [subject] = chosen("server", values.server, ["spacenode", "bare"])! as Set<Subject>;
const [leak] = (chosen("leak", values.leak, [...LEAKS]) ?? []) as Iterable<Leak> as Leak[];
const plan: Plan = {
  idle: amount("idle", values.idle, quick ? 1_000 : 10_000),
  busy: amount("busy", values.busy, quick ? 200 : 2_000),
  storm: amount("storm", values.storm, quick ? 500 : 2_000),
  minutes: amount("minutes", values.minutes, quick ? 1.5 : 10),
  hours: amount("hours", values.hours, 1),
  heartbeatMs: quick ? 3_000 : 30_000,
};
checkLimits(plan);
if (values.natural) process.env.SOAK_NATURAL = "1";

const { date, machine, soaks }: SoakReport = {
  date: new Date().toISOString(),
  machine: describeMachine(runtimes, [], undefined),
  soaks: [],
};
let failed = 0;
for (const runtime of runtimes) {
  const { name, version } = runtime;
  console.log(`\n${name} ${version}: ${plan.idle} idle and ${plan.busy} busy connections, ${plan.minutes} minutes`);
  const result = await soak(runtime, subject, plan, leak, (phase, sample) => {
    console.log(sample === undefined ? `  ${phase}` : sampleLine(sample));
  });
  soaks.push(result);
  failed += failuresOf(result).length;
  save();
  console.log(`\n${report(result)}`);
}
if (leak !== undefined && failed === 0) console.log(`\nThe soak has not found that the server leaks ${leak}.`);
process.exitCode = (leak === undefined) === (failed === 0) ? 0 : 1;

/** Only a whole soak replaces the committed results; any other one is saved where `--out` says. */
function save(): void {
  const isWhole = leak === undefined && subject === "spacenode" && runtimes.length === 3 && soaks.length === 3 &&
    [quick, values.natural, values.minutes, values.hours, values.idle, values.busy, values.storm].every((value) =>
      !value
    );
  const folder = values.out ?? (isWhole ? RESULTS : undefined);
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/soak.json`, `${JSON.stringify({ date, machine, soaks })}\n`);
  const { cpu, cores, system } = machine;
  writeFileSync(
    `${folder}/soak.svg`,
    chart(soaks, `dashed: the regression after the warm-up · ${cpu}, ${cores} cores, ${system} · ${date.slice(0, 10)}`),
  );
}
