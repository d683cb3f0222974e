/** The two kinds of child processes: servers, asked over stdin, and the generator, called over IPC. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Answer, Call, Window } from "./generator.ts";
import { type Cores, pinned, type Runtime } from "./machine.ts";
import type { Memory } from "./peers/support.ts";

const PATIENCE_MS = 30_000;

function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${what} took more than ${ms / 1000} s`)), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** The line of a stack trace that says what went wrong. */
function gist(complaints: string): string {
  const lines = complaints.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return lines.find((line) => /error/i.test(line) && !line.startsWith("at ")) ?? lines[0] ?? "without a word";
}

/** A server to start: a file beside the peers, and what it is told. */
export interface Program {
  file: string;
  env: Record<string, string>;
}

export class Server {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #complaints = "";
  port = 0;

  private constructor({ file, env }: Program, runtime: Runtime, core: number | undefined) {
    const path = new URL(`peers/${file}`, import.meta.url).pathname;
    const [program, ...args] = pinned([...runtime.command, path], core);
    this.#child = spawn(program, args, { env: { ...process.env, ...env, NO_COLOR: "1" } });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#complaints += text));
    this.#child.stdin?.on("error", () => {});
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  static async start(program: Program, runtime: Runtime, core: number | undefined): Promise<Server> {
    const server = new Server(program, runtime, core);
    try {
      server.port = await server.#next("starting");
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  async #next<T>(what: string): Promise<T> {
    const { value, done } = await within(PATIENCE_MS, what, this.#lines.next());
    if (done) throw new Error(`the server ended: ${gist(this.#complaints)}`);
    return JSON.parse(value) as T;
  }

  #ask<T>(question: "cpu" | "memory" | "trimmed"): Promise<T> {
    this.#child.stdin?.write(`${question}\n`);
    return this.#next(question);
  }

  /** User and system time of all its threads since it started. */
  cpuMicroseconds(): Promise<number> {
    return this.#ask("cpu");
  }

  /** After garbage collection and a while of rest; `trimmed`, without what the engine keeps for later. */
  memory(trimmed: boolean): Promise<Memory> {
    return this.#ask(trimmed ? "trimmed" : "memory");
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }
}

export class Generator {
  readonly #child: ChildProcess;

  constructor(cores: Cores | undefined) {
    const file = new URL("generator.ts", import.meta.url).pathname;
    const [program, ...args] = pinned([process.execPath, file], cores?.generator);
    this.#child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  }

  async #call(call: Call): Promise<Window | undefined> {
    const patienceMs = PATIENCE_MS + (call.call === "drive" ? call.seconds * 1000 : 0);
    const answered = once(this.#child, "message") as Promise<[Answer]>;
    this.#child.send(call);
    const [answer] = await within(patienceMs, call.call, answered);
    if ("error" in answer) throw new Error(answer.error);
    return answer.window;
  }

  async open(target: Extract<Call, { call: "open" }>["target"]): Promise<void> {
    await this.#call({ call: "open", target });
  }

  async drive(seconds: number): Promise<Window> {
    return (await this.#call({ call: "drive", seconds })) as Window;
  }

  async close(): Promise<void> {
    await this.#call({ call: "close" });
  }

  stop(): void {
    this.#child.kill();
  }
}
