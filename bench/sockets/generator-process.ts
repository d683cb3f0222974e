/** Starts the generator in a process of its own, on a core of its own, and calls it over IPC. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import type { Target } from "../load/load.ts";
import { type Cores, pinned } from "../shared/machine.ts";
import { PATIENCE_MS, within } from "../shared/processes.ts";
import type { Call, Reply, Window } from "./generator.ts";

export class GeneratorProcess {
  readonly #child: ChildProcess;

  constructor(cores: Cores | undefined) {
    const file = new URL("generator.ts", import.meta.url).pathname;
    const [program, ...args] = pinned([process.execPath, file], cores?.generator);
    this.#child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  }

  async #call(call: Call): Promise<Window | undefined> {
    const patienceMs = PATIENCE_MS + (call.call === "drive" ? call.seconds * 1000 : 0);
    const replied = once(this.#child, "message") as Promise<[Reply]>;
    this.#child.send(call);
    const [reply] = await within(patienceMs, call.call, replied);
    if ("error" in reply) throw new Error(reply.error);
    return reply.window;
  }

  /** Opens the connections of a load beside those that are open already. */
  async open(target: Target): Promise<void> {
    await this.#call({ call: "open", target });
  }

  /** Drives the load that was opened last. */
  async drive(seconds: number): Promise<Window> {
    return (await this.#call({ call: "drive", seconds })) as Window;
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    await this.#call({ call: "close" });
  }

  stop(): void {
    this.#child.kill();
  }
}
