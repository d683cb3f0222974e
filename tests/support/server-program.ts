/** Servers that we did not write, as programs of their own: each on a port of its own, so that it can go and come back. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { setImmediate as nextTurn } from "node:timers/promises";

export interface ServerKind {
  /** The name of the program, and of Debian's package. */
  readonly name: string;
  arguments(port: number, folder: string): string[];
  /** What it prints when it listens. */
  readonly ready: RegExp;
}

const READY_TIMEOUT_MS = 10_000;

/** The ports that systems give to whoever asks for any are above: none of them is taken while a server is away. */
const PORTS = { first: 20_000, count: 10_000 };

/** Whether this machine has it. Debian keeps servers where not everyone looks. */
export function isInstalled({ name }: ServerKind): boolean {
  return pathOf(name) !== undefined;
}

export class ServerProgram {
  readonly port: number;
  readonly #kind: ServerKind;
  readonly #folder: string;
  #child: ChildProcess | undefined;

  /** A server that does not run yet. */
  static async create(kind: ServerKind): Promise<ServerProgram> {
    return new ServerProgram(kind, await freePort(), await mkdtemp(join(tmpdir(), "spacenode-")));
  }

  private constructor(kind: ServerKind, port: number, folder: string) {
    this.#kind = kind;
    this.port = port;
    this.#folder = folder;
  }

  /** Resolves when it listens: the first time, and again after `stop` or `kill`. */
  async start(): Promise<this> {
    const { name, ready } = this.#kind;
    const args = this.#kind.arguments(this.port, this.#folder);
    const child = this.#child = spawn(pathOf(name)!, args, { stdio: ["ignore", "pipe", "pipe"] });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let output = "";
    const read = (chunk: Buffer): void => {
      output += chunk;
      if (ready.test(output)) resolve();
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("exit", () => reject(new Error(`${name} ended:\n${output}`)));
    const timeout = setTimeout(() => reject(new Error(`${name} is not ready:\n${output}`)), READY_TIMEOUT_MS);
    try {
      await promise;
    } finally {
      clearTimeout(timeout);
    }
    return this;
  }

  /** Asks it to end, and waits until it has. */
  stop(): Promise<void> {
    return this.#end("SIGTERM");
  }

  /** Ends it as a power cut would. */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** It keeps its connections and does nothing. Resolves when its last thread has come to a stop. */
  async pause(): Promise<void> {
    const pid = this.#child!.pid!;
    process.kill(pid, "SIGSTOP");
    while (!isStopped(pid)) await nextTurn();
  }

  resume(): void {
    process.kill(this.#child!.pid!, "SIGCONT");
  }

  /** Ends it, whatever it is doing, and leaves nothing behind. */
  async dispose(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    // Deno takes whoever was signalled by `child.kill` for ended.
    process.kill(child.pid!, signal);
    await exited;
  }
}

/** Linux says so; elsewhere it is believed. */
function isStopped(pid: number): boolean {
  const folder = `/proc/${pid}/task`;
  if (!existsSync(folder)) return true;
  return readdirSync(folder).every((thread) => /^State:\s+T/m.test(readFileSync(`${folder}/${thread}/status`, "utf8")));
}

function pathOf(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

async function freePort(): Promise<number> {
  const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
  const server = createServer();
  const isFree = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
  if (!isFree) return freePort();
  server.close();
  await once(server, "close");
  return port;
}
