/** Starts redis-server or nats-server on a free port. NATS keeps histories in a folder, which is gone at the end. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { DaemonName } from "./clients.ts";

/** How long a daemon may take until it accepts connections. */
const PATIENCE_MS = 10_000;

const ARGUMENTS: Record<DaemonName, (port: number, folder: string) => string[]> = {
  "redis-server": (port) => ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
  "nats-server": (port, folder) => ["--addr", "127.0.0.1", "--port", `${port}`, "--jetstream", "--store_dir", folder],
};

/** The version that the program prints; undefined when it is not installed. */
export function versionOf(name: DaemonName): string | undefined {
  const { status, stdout } = spawnSync(name, ["--version"], { encoding: "utf8" });
  return status === 0 ? /\d+\.\d+\.\d+/.exec(stdout)?.[0] : undefined;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** The unit in which Linux counts the CPU time of a process; undefined where `getconf` is missing. */
function ticksPerSecond(): number | undefined {
  try {
    return Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
  } catch {
    return undefined;
  }
}

export class Daemon {
  readonly name: DaemonName;
  readonly port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), "spacenode-bench-"));
  readonly #child: ChildProcess;
  readonly #ticksPerSecond = ticksPerSecond();

  private constructor(name: DaemonName, port: number) {
    this.name = name;
    this.port = port;
    this.#child = spawn(name, ARGUMENTS[name](port, this.#folder), { cwd: this.#folder, stdio: "ignore" });
  }

  static async start(name: DaemonName): Promise<Daemon> {
    const daemon = new Daemon(name, await freePort());
    for (const startedAt = performance.now(); !await accepts(daemon.port); await delay(20)) {
      if (daemon.#child.exitCode === null && performance.now() - startedAt < PATIENCE_MS) continue;
      await daemon.stop();
      throw new Error(`${name} does not accept connections on port ${daemon.port}`);
    }
    return daemon;
  }

  /** User and system time since the daemon started; undefined on a system without /proc. */
  cpuMicroseconds(): number | undefined {
    if (this.#ticksPerSecond === undefined) return undefined;
    try {
      const stat = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8");
      // User and system time are fields 14 and 15. Field 2, the name in brackets, may have spaces: counting begins
      // behind it.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return (Number(fields[11]) + Number(fields[12])) / this.#ticksPerSecond * 1e6;
    } catch {
      return undefined;
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await exited;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
