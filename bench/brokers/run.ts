/**
 * The bench of the brokers: messages are published in one process of SpaceNode and received in another, over a real
 * redis-server or nats-server. Then each of the two servers delivers messages to more and more subscribers by itself.
 *
 *     node bench/brokers/run.ts [--quick] [--runtime node,deno,bun] [--clients none,node-redis,ioredis,nats]
 *                           [--pairs 50] [--rounds 3] [--seconds 2] [--warm-up 1] [--out bench/results]
 */
import { mkdirSync, writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { describeMachine, type Runtime } from "../shared/machine.ts";
import { amount, chosen, chosenRuntimes } from "../shared/options.ts";
import { type Client, clients, type DaemonName } from "./clients.ts";
import { PAYLOAD_BYTES } from "./crossing.ts";
import { Daemon, versionOf } from "./daemon.ts";
import { measureFans } from "./fan.ts";
import { type BrokerSample, type BrokerTimes, measureClient, medians } from "./measure-client.ts";
import { type BrokerReport, brokerTables, fanTable } from "./tables.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    runtime: { type: "string" },
    clients: { type: "string" },
    pairs: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    "warm-up": { type: "string" },
    out: { type: "string" },
  },
});

const RESULTS = new URL("../results", import.meta.url).pathname;
const { quick } = values;
const onlyClients = chosen("clients", values.clients, clients.map(({ name }) => name));
const rounds = amount("rounds", values.rounds, quick ? 1 : 3);
const times: BrokerTimes = {
  pairs: amount("pairs", values.pairs, 50),
  seconds: amount("seconds", values.seconds, quick ? 0.4 : 2),
  warmUpSeconds: amount("warm-up", values["warm-up"], quick ? 0.4 : 1),
};
const runtimes = chosenRuntimes(values.runtime);
const wanted = clients.filter(({ name }) => !onlyClients || onlyClients.has(name));

const daemonVersions: Record<string, string> = {};
for (const name of new Set(wanted.flatMap(({ daemon }) => daemon ?? []))) {
  const version = versionOf(name);
  if (version !== undefined) daemonVersions[name] = version;
  else {console.error(`${name} is not installed, which leaves out ${
      labels(wanted.filter(({ daemon }) => daemon === name))
    }`);}
}
const measured = wanted.filter(({ daemon }) => daemon === undefined || daemon in daemonVersions);
const daemons = new Map<DaemonName, Daemon>();

function labels(of: Client[]): string {
  return of.map(({ label }) => label).join(", ");
}

const machine = describeMachine(runtimes, measured.flatMap((client) => client.package ?? []), undefined);
const report: BrokerReport = {
  date: new Date().toISOString(),
  machine: { ...machine, versions: { ...machine.versions, ...daemonVersions } },
  payloadBytes: PAYLOAD_BYTES,
  rounds,
  times,
  results: [],
  fans: [],
  failures: [],
};

function say(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/** The clients take turns, so that a passing disturbance does not hit one client alone. */
async function runRuntime(runtime: Runtime): Promise<void> {
  const taken = new Map<Client, BrokerSample[]>(measured.map((client) => [client, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [client, samples] of taken) {
      say(`${runtime.name}, round ${round + 1} of ${rounds}: ${client.label}`);
      try {
        samples.push(await measureClient(client, client.daemon && daemons.get(client.daemon), runtime, times));
      } catch (error) {
        report.failures.push({ runtime: runtime.name, client: client.name, reason: (error as Error).message });
      }
    }
  }
  say("");
  for (const [client, samples] of taken) {
    if (samples.length === 0) continue;
    report.results.push({ runtime: runtime.name, client: client.name, ...medians(samples), samples });
  }
  console.log(`\n${brokerTables(report, runtime)}`);
}

if (machine.loadBefore > 0.5) {
  console.log(`Other programs keep this machine busy (load ${machine.loadBefore.toFixed(1)}): figures scatter.`);
}
console.log(
  `${machine.cpu}, ${machine.cores} cores, ${machine.system}; ` +
    Object.entries(report.machine.versions).map(([name, version]) => `${name} ${version}`).join(", "),
);
try {
  for (const name of new Set(measured.flatMap(({ daemon }) => daemon ?? []))) {
    daemons.set(name, await Daemon.start(name));
  }
  for (const runtime of runtimes) await runRuntime(runtime);
  for (const daemon of daemons.values()) report.fans.push(...await measureFans(daemon, rounds, times));
  if (report.fans.length > 0) console.log(`\n${fanTable(report)}`);
} finally {
  for (const daemon of daemons.values()) await daemon.stop();
}
console.log(`\nIt took ${Math.round(performance.now() / 1000)} s.`);

if (report.failures.length > 0) {
  const faults = report.failures.map(({ runtime, client, reason }) => `  ${runtime} ${client}: ${reason}`);
  console.log(`\nFailed, and left out:\n${[...new Set(faults)].join("\n")}`);
  process.exitCode = 1;
}
// Only the whole bench replaces the committed results; a part of it or a short one is saved where `--out` says.
const folder = values.out ?? (quick || onlyClients || values.runtime ? undefined : RESULTS);
if (folder !== undefined) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/brokers.json`, `${JSON.stringify(report, undefined, 2)}\n`);
  console.log(`\nWritten to ${folder}`);
}
