/**
 * Runs servers such as redis-server and nats-server as processes, each at a fixed port of its own, so that a test can
 * stop one and start it again.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { setImmediate as nextTurn } from "node:timers/promises";

/** A server program, and how it is started. */
export interface ServerKind {
  /** The name of the program, which is also the name of its package in Debian. */
  readonly name: string;
  /** The arguments of its command line. `folder` is an empty folder for its data. */
  arguments(port: number, folder: string): string[];
  /** More variables of its environment. */
  environment?(folder: string): Record<string, string>;
  /** Matches the output of the program once it listens. */
  readonly ready: RegExp;
}

const READY_TIMEOUT_MS = 10_000;

/**
 * The ports that an operating system gives for port 0 lie above these, so no other program takes the port of a server
 * while the server is stopped.
 */
const PORTS = { first: 20_000, count: 10_000 };

/** True when this machine has the program. */
export function isInstalled({ name }: ServerKind): boolean {
  return pathOf(name) !== undefined;
}

/** One server, which may run or not. */
export class ServerProgram {
  readonly port: number;
  /** The folder for its data. */
  readonly folder: string;
  readonly #kind: ServerKind;
  #child: ChildProcess | undefined;

  /** Prepares a server, with a free port and a folder. `start` starts it. */
  static async create(kind: ServerKind): Promise<ServerProgram> {
    return new ServerProgram(kind, await freePort(), await mkdtemp(join(tmpdir(), "spacenode-")));
  }

  private constructor(kind: ServerKind, port: number, folder: string) {
    this.#kind = kind;
    this.port = port;
    this.folder = folder;
  }

  /** Starts the server, unless it runs already. Resolves when it listens. */
  async start(): Promise<this> {
    if (this.#child !== undefined) return this;
    const { name, ready } = this.#kind;
    const args = this.#kind.arguments(this.port, this.folder);
    const env = { ...process.env, ...this.#kind.environment?.(this.folder) };
    const child = this.#child = spawn(pathOf(name)!, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let output = "";
    const read = (chunk: Buffer): void => {
      output += chunk;
      if (ready.test(output)) resolve();
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("exit", () => {
      reject(new Error(`${name} ended:\n${output}`));
      // The tests that use a server which has crashed fail without naming the crash.
      if (this.#child === child) process.stderr.write(`${name} has ended by itself:\n${output}`);
    });
    const timeout = setTimeout(() => reject(new Error(`${name} is not ready:\n${output}`)), READY_TIMEOUT_MS);
    try {
      await promise;
    } finally {
      clearTimeout(timeout);
    }
    return this;
  }

  /** Asks the server to exit, and waits until it has. */
  stop(): Promise<void> {
    return this.#end("SIGTERM");
  }

  /** Kills the server, as a power cut would. */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** Sends a signal to the server, which goes on. */
  signal(signal: NodeJS.Signals): void {
    process.kill(this.#child!.pid!, signal);
  }

  /** Stops all threads of the server, which keeps its connections. Resolves when the last thread stands still. */
  async pause(): Promise<void> {
    const pid = this.#child!.pid!;
    process.kill(pid, "SIGSTOP");
    await untilStopped(pid);
  }

  /** Removes the data of a server that does not run. */
  async wipe(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
    await mkdir(this.folder);
  }

  /** Lets a paused server go on. */
  resume(): void {
    process.kill(this.#child!.pid!, "SIGCONT");
  }

  /** Kills the server and removes its folder. */
  async dispose(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    // After `child.kill`, Deno takes the process for ended at once.
    process.kill(child.pid!, signal);
    await exited;
  }
}

/** Resolves when all threads of a process that has got SIGSTOP stand still. */
export async function untilStopped(pid: number): Promise<void> {
  while (!isStopped(pid)) await nextTurn();
}

/** True when all threads of a process stand still. Only Linux shows that; elsewhere it is taken for granted. */
function isStopped(pid: number): boolean {
  const folder = `/proc/${pid}/task`;
  if (!existsSync(folder)) return true;
  return readdirSync(folder).every((thread) => /^State:\s+T/m.test(readFileSync(`${folder}/${thread}/status`, "utf8")));
}

/** Finds a program in PATH, or in the folders of servers, which are not always in PATH. */
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
