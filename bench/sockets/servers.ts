/** The processes of a server that is measured. */
import type { Runtime } from "../shared/machine.ts";
import { type Program, Server } from "../shared/processes.ts";

/** The server of a cell: one process, or several at one port. */
export class Servers {
  readonly #all: Server[] = [];

  /** @param count several processes are started one after the other, the later ones at the port of the first */
  async start(program: Program, runtime: Runtime, core: number | undefined, count: number | undefined): Promise<void> {
    this.#all.push(await Server.start(program, runtime, core));
    while (this.#all.length < (count ?? 1)) {
      const env = { ...program.env, BENCH_PORT: String(this.port) };
      this.#all.push(await Server.start({ ...program, env }, runtime, core));
    }
  }

  get port(): number {
    return this.#all[0].port;
  }

  /** The first process, whose memory is measured. */
  get first(): Server {
    return this.#all[0];
  }

  /** The CPU time of each process. */
  cpuMicroseconds(): Promise<number[]> {
    return Promise.all(this.#all.map((server) => server.cpuMicroseconds()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map((server) => server.stop()));
  }
}
