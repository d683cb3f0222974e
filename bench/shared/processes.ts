/** Child processes of the bench that report on stdout, one line of JSON each: the servers, and the flooder. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { pinned, type Runtime } from "./machine.ts";

/** How long a process may take over one report. */
export const PATIENCE_MS = 30_000;

/** The promise's own result, or an error that names the task when it takes longer than `ms`. */
export function within<T>(ms: number, task: string, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${task} took more than ${ms / 1000} s`)), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** The line of a stack trace that names the error. */
function errorLine(stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return lines.find((line) => /error/i.test(line) && !line.startsWith("at ")) ?? lines[0] ??
    "it wrote nothing to stderr";
}

/** A program in a process of its own. */
export class ReportingProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #stderr = "";

  /** @param env what the program finds in its environment beside the environment of this process */
  constructor([program, ...args]: string[], env: Record<string, string>) {
    this.#child = spawn(program, args, { env: { ...process.env, ...env, NO_COLOR: "1" } });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    // A process that has ended takes no more questions: the next report then says that it ended, and why.
    this.#child.stdin?.on("error", () => {});
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  /**
   * The next report.
   *
   * @param task names in the error what the process was to do, if no report comes within `patienceMs`
   */
  async report<T>(task: string, patienceMs = PATIENCE_MS): Promise<T> {
    const { value, done } = await within(patienceMs, task, this.#lines.next());
    if (done) throw new Error(`the process ended: ${errorLine(this.#stderr)}`);
    return JSON.parse(value) as T;
  }

  /** Writes a question to the process's stdin and returns the report that follows. */
  ask<T>(question: string, patienceMs = PATIENCE_MS): Promise<T> {
    this.#child.stdin?.write(`${question}\n`);
    return this.report(question, patienceMs);
  }

  /** Closes the process's stdin, and waits for the process to end by itself: its exit code, or null after a signal. */
  async ended(patienceMs = PATIENCE_MS): Promise<number | null> {
    const exited = this.#child.exitCode === null && this.#child.signalCode === null && once(this.#child, "exit");
    this.#child.stdin?.end();
    if (exited) await within(patienceMs, "ending by itself", exited);
    return this.#child.exitCode;
  }

  /** Kills the process; resolves when it is gone. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }
}

export interface Memory {
  residentBytes: number;
  /** What the engine knows of: its heap, and the memory outside the heap that its objects keep. */
  heapBytes: number;
}

/**
 * The questions that a server of `peers/` takes on stdin: CPU time, memory, memory without the engine's spare pages.
 */
export type Question = "cpu" | "memory" | "trimmed";

/** A server to start: a file of `peers/`, and its environment. */
export interface Program {
  file: string;
  env: Record<string, string>;
}

/** A server of `peers/` in a process of its own. */
export class Server {
  readonly #process: ReportingProcess;
  readonly port: number;

  private constructor(process: ReportingProcess, port: number) {
    this.#process = process;
    this.port = port;
  }

  /** @param core the core to which the server is pinned; undefined where processes cannot be pinned */
  static async start({ file, env }: Program, runtime: Runtime, core: number | undefined): Promise<Server> {
    const path = new URL(`../peers/${file}`, import.meta.url).pathname;
    const process = new ReportingProcess(pinned([...runtime.command, path], core), env);
    try {
      return new Server(process, await process.report("starting"));
    } catch (error) {
      await process.stop();
      throw error;
    }
  }

  #ask<T>(question: Question): Promise<T> {
    return this.#process.ask(question);
  }

  /** User and system time of all threads of the server since it started. */
  cpuMicroseconds(): Promise<number> {
    return this.#ask("cpu");
  }

  /** Memory after garbage collection and a short rest. `trimmed` has the engine give back its spare pages first. */
  memory(trimmed: boolean): Promise<Memory> {
    return this.#ask(trimmed ? "trimmed" : "memory");
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }
}
