/**
 * Fairness: how long another client waits for its echo while one client floods the server, for the default options and for a bare node:http upgrade that does the same work.
 *
 *     node bench/fairness.ts [--runtime node,deno,bun] [--floods tiny,pings,…] [--peers spacenode,bare] [--seconds 3] [--tls]
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { quantile } from "simple-statistics";
import { Client } from "./fairness/client.ts";
import { floods } from "./fairness/floods.ts";
import { digits, span, table } from "./format.ts";
import { maskedFrame, OPCODE } from "./load/frames.ts";
import { findRuntime, type Runtime } from "./machine.ts";
import { amount, chosen, chosenRuntimes } from "./options.ts";

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
/** Between an echo and the next message. */
const REST_MS = 2;

const seconds = amount("seconds", values.seconds, 3);
const onlyFloods = chosen("floods", values.floods, floods.map(({ name }) => name));
const peers = [...chosen("peers", values.peers, PEERS) ?? PEERS];

/** Waits of the other client in ms, and what the server took of the flood meanwhile. */
interface Waits {
  readonly all: number[];
  readonly floodPerSecond: number;
  /** How the flood ended, if it did. */
  readonly end: string | undefined;
}

class Program {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor([program, ...args]: string[], file: string, env: Record<string, string>) {
    const path = new URL(`fairness/${file}`, import.meta.url).pathname;
    this.#child = spawn(program, [...args, path], {
      env: { ...process.env, ...env, NO_COLOR: "1" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("A program of the bench has ended");
    return value;
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }
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

async function measure(runtime: Runtime, peer: string, flood: (typeof floods)[number]): Promise<Waits> {
  const server = new Program(runtime.command, `${peer}.ts`, { COMPRESSION: flood.compression ?? "", ...tlsEnv });
  let flooder: Program | undefined;
  try {
    const port = Number(await server.line());
    const probe = await Client.connect(port, values.tls);
    flooder = new Program(findRuntime("node")!.command, "flood.ts", {
      PORT: `${port}`,
      FLOOD: flood.name,
      TLS: values.tls ? "1" : "",
      SECONDS: `${WARM_UP_MS / 1000 + seconds}`,
    });
    await flooder.line();
    await delay(WARM_UP_MS);
    const all: number[] = [];
    const message = maskedFrame(OPCODE.binary, Buffer.alloc(32, "x"));
    const endMs = performance.now() + seconds * 1000;
    while (performance.now() < endMs) {
      const startMs = performance.now();
      const isEchoed = await probe.echo(message, 2 + 32, endMs - startMs);
      // One that has not come yet has waited so long at least.
      if (isEchoed || all.length === 0) all.push(performance.now() - startMs);
      await delay(REST_MS);
    }
    probe.destroy();
    const { perSecond, end } = JSON.parse(await flooder.line());
    return { all, floodPerSecond: perSecond, end };
  } finally {
    await flooder?.stop();
    await server.stop();
  }
}

const runtimes = chosenRuntimes(values.runtime);
const rows = [["", "p50", "p99", "longest", "echoes", "flood/s", "flood ended"]];
for (const runtime of runtimes) {
  for (const flood of floods) {
    if (onlyFloods && !onlyFloods.has(flood.name)) continue;
    for (const peer of peers) {
      const { all, floodPerSecond, end } = await measure(runtime, peer, flood);
      const [p50, p99] = quantile(all, [0.5, 0.99]);
      rows.push([
        `${runtime.name} ${flood.name} ${peer}`,
        span(p50),
        span(p99),
        span(Math.max(...all)),
        digits(all.length),
        digits(floodPerSecond),
        end ?? "",
      ]);
      console.error(rows.at(-1)!.join("  "));
    }
  }
}
console.log(table(rows));
process.exit(0);
