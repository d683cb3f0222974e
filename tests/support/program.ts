/** Runs a program as a process of its own, under the runtime of the test, and reads the lines that it prints. */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { onTestFinished } from "vitest";
import { actualRuntime } from "./runtime.ts";

const RUN_FILE: Record<string, string[]> = { node: [], deno: ["run", "-A"], bun: [] };
const RUN_TEXT: Record<string, string[]> = { node: ["--input-type=module", "-e"], deno: ["eval"], bun: ["-e"] };
const TIMEOUT_MS = 15_000;

/** How a process has ended. */
export interface Exit {
  /** Null when a signal has ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running program. It is killed when the test is finished, unless several tests share it. */
export class Program {
  /** The lines of its standard output so far. */
  readonly lines: string[] = [];
  /** Resolves when the process has ended. */
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  #errors = "";
  #onLine: () => void = () => {};

  /** Starts a file. `path` is relative to the root of the repository. */
  static file(
    path: string,
    env: NodeJS.ProcessEnv = {},
    args: readonly string[] = [],
    timeoutMs: number = TIMEOUT_MS,
  ): Program {
    const command = [process.execPath, ...RUN_FILE[runtimeName()], path, ...args];
    const program = new Program(command, env, timeoutMs);
    onTestFinished(() => program.dispose());
    return program;
  }

  /** Starts a file for all tests of a file or a block, which has to dispose of it. `path` as in `file`. */
  static shared(path: string, timeoutMs: number): Program {
    return new Program([process.execPath, ...RUN_FILE[runtimeName()], path], {}, timeoutMs);
  }

  /** Starts a command, which may belong to another runtime than the test's, in the folder `cwd`. */
  static command(
    command: readonly string[],
    env: NodeJS.ProcessEnv = {},
    timeoutMs: number = TIMEOUT_MS,
    cwd: string | URL = root,
  ): Program {
    const program = new Program(command, env, timeoutMs, cwd);
    onTestFinished(() => program.dispose());
    return program;
  }

  /** Starts the source text of a module. `{root}` in the text stands for the URL of the repository. */
  static source(text: string, env: NodeJS.ProcessEnv = {}): Program {
    const command = [process.execPath, ...RUN_TEXT[runtimeName()], text.replaceAll("{root}", root.href)];
    const program = new Program(command, env);
    onTestFinished(() => program.dispose());
    return program;
  }

  /** Starts the process, and kills it when it still runs after `timeoutMs`. */
  private constructor(
    command: readonly string[],
    env: NodeJS.ProcessEnv,
    timeoutMs: number = TIMEOUT_MS,
    cwd: string | URL = root,
  ) {
    const [executable, ...args] = command;
    this.#child = spawn(executable, args, {
      cwd,
      env: { ...process.env, NO_COLOR: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      this.lines.push(line);
      this.#onLine();
    });
    this.#child.stderr.on("data", (chunk) => this.#errors += chunk);
    this.exited = this.#waitForExit(timeoutMs);
  }

  /** Waits for the first line that matches. Rejects when the program ends, or when the time is over. */
  async line(pattern: RegExp, timeoutMs: number = TIMEOUT_MS): Promise<RegExpExecArray> {
    const found = Promise.withResolvers<RegExpExecArray>();
    this.#onLine = () => {
      const match = this.lines.map((line) => pattern.exec(line)).find((each) => each !== null);
      if (match) found.resolve(match);
    };
    this.#onLine();
    const ended = this.exited.then(() => {
      this.#onLine();
      found.reject(this.#complaint(`ended without printing ${pattern}`));
    });
    const timeout = setTimeout(() => found.reject(this.#complaint(`did not print ${pattern}`)), timeoutMs);
    ended.catch(() => {});
    try {
      return await found.promise;
    } finally {
      clearTimeout(timeout);
    }
  }

  /** Kills the process if it still runs. */
  dispose(): void {
    this.#child.kill("SIGKILL");
  }

  /** Kills the process if it still runs. Resolves once every line and every error that it has printed is read. */
  async end(): Promise<void> {
    this.dispose();
    await this.exited;
  }

  /** Sends a signal, unless the process has ended. */
  kill(signal: NodeJS.Signals): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    try {
      // After `child.kill`, Deno reports the process as killed, however it has ended.
      process.kill(this.pid, signal);
    } catch (error) {
      // The process has ended, and its end is not reported yet.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The text on its standard error so far. */
  get errors(): string {
    return this.#errors;
  }

  async #waitForExit(timeoutMs: number): Promise<Exit> {
    const timeout = setTimeout(() => this.#child.kill("SIGKILL"), timeoutMs);
    const [code, signal] = await once(this.#child, "close") as [number | null, NodeJS.Signals | null];
    clearTimeout(timeout);
    return { code, signal };
  }

  #complaint(what: string): Error {
    return new Error(`The program ${what}; it said:\n${this.lines.join("\n")}\n${this.#errors}`);
  }
}

const root = new URL("../../", import.meta.url);

function runtimeName(): string {
  return actualRuntime().split("@")[0];
}
