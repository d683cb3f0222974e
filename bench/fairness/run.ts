/**
 * Fairness: how long one client waits for its echo while another client floods the server. SpaceNode with its default
 * options stands beside a bare node:http upgrade that does the same work without any limit.
 *
 *     node bench/fairness/run.ts [--runtime node,deno,bun] [--floods tiny,pings,…] [--peers spacenode,bare]
 *                                [--seconds 3] [--tls]
 */
import { execFileSync } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { quantile } from "simple-statistics";
import { maskedFrame, OPCODE } from "../load/frames.ts";
import { digits, span, table } from "../shared/format.ts";
import { findRuntime, type Runtime } from "../shared/machine.ts";
import { amount, chosen, chosenRuntimes } from "../shared/options.ts";
import { PATIENCE_MS, ReportingProcess } from "../shared/processes.ts";
import type { FloodReport } from "./flooder.ts";
import { type Flood, floods } from "./floods.ts";
import { RawClient } from "./raw-client.ts";

const { values } = parseArgs({
  options: {
    runtime: { type: "string" },
    floods: { type: "string" },
    peers: { type: "string" },
    seconds: { type: "string" },
    tls: { type: "boolean", default: false },
  },
});

const PEERS = ["spacenode", "bare"];
const WARM_UP_MS = 300;
/** The pause between an echo and the next message. */
const REST_MS = 2;

const seconds = amount("seconds", values.seconds, 3);
const onlyFloods = chosen("floods", values.floods, floods.map(({ name }) => name));
const peers = [...chosen("peers", values.peers, PEERS) ?? PEERS];

/** What one client waited, in ms, and what the other one sent meanwhile. */
interface Waits extends FloodReport {
  readonly all: number[];
}

function start(command: string[], file: string, env: Record<string, string>): ReportingProcess {
  return new ReportingProcess([...command, new URL(file, import.meta.url).pathname], env);
}

function certificate(): Record<string, string> {
  const command = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const both = execFileSync("openssl", [...command, "-subj", "/CN=localhost", "-keyout", "-", "-out", "-"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [key, cert] = both.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n/g)!;
  return { TLS_KEY: key, TLS_CERT: cert };
}

const tlsEnv = values.tls ? certificate() : {};

async function measureWaits(runtime: Runtime, peer: string, flood: Flood): Promise<Waits> {
  const server = start(runtime.command, `${peer}-server.ts`, { COMPRESSION: flood.compression ?? "", ...tlsEnv });
  let flooder: ReportingProcess | undefined;
  try {
    const port = await server.report<number>("starting");
    const client = await RawClient.connect(port, values.tls);
    flooder = start(findRuntime("node")!.command, "flooder.ts", {
      PORT: `${port}`,
      FLOOD: flood.name,
      TLS: values.tls ? "1" : "",
      SECONDS: `${WARM_UP_MS / 1000 + seconds}`,
    });
    await flooder.report("starting the flood");
    await delay(WARM_UP_MS);
    const all: number[] = [];
    const message = maskedFrame(OPCODE.binary, Buffer.alloc(32, "x"));
    const endMs = performance.now() + seconds * 1000;
    while (performance.now() < endMs) {
      const startMs = performance.now();
      const isEchoed = await client.echo(message, 2 + 32, endMs - startMs);
      // When not even the first echo came, the wait was at least this long.
      if (isEchoed || all.length === 0) all.push(performance.now() - startMs);
      await delay(REST_MS);
    }
    client.destroy();
    return { all, ...await flooder.report<FloodReport>("the flood", PATIENCE_MS + seconds * 1000) };
  } finally {
    await flooder?.stop();
    await server.stop();
  }
}

const runtimes = chosenRuntimes(values.runtime);
const rows = [["", "p50", "p99", "longest", "echoes", "flood/s", "flood closed"]];
for (const runtime of runtimes) {
  for (const flood of floods) {
    if (onlyFloods && !onlyFloods.has(flood.name)) continue;
    for (const peer of peers) {
      const { all, perSecond, closed } = await measureWaits(runtime, peer, flood);
      const [p50, p99] = quantile(all, [0.5, 0.99]);
      rows.push([
        `${runtime.name} ${flood.name} ${peer}`,
        span(p50),
        span(p99),
        span(Math.max(...all)),
        digits(all.length),
        digits(perSecond),
        closed ?? "",
      ]);
      console.error(rows.at(-1)!.join("  "));
    }
  }
}
console.log(table(rows));
