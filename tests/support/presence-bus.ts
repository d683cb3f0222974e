/** Presence without apps or sockets: processes that tell each other directly, on a clock of the test's own. */

import { afterEach, beforeEach, vi } from "vitest";
import { Presence, type PresenceOptions } from "../../src/app/pubsub/presence.ts";

export const OPTIONS: PresenceOptions = { intervalMs: 1_000, timeoutMs: 3_500 };

/** Begins a clock for each test of a file. */
export function useClock(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
  });
  afterEach(() => void vi.useRealTimers());
}

/** One process. */
export interface Process {
  readonly id: string;
  readonly presence: Presence;
  /** What it has told the others. */
  readonly told: string[];
  isCut: boolean;
}

/** Processes that hear each other, but for what gets lost. */
export class Bus {
  readonly processes: Process[] = [];
  loses: (from: Process, to: Process) => boolean = () => false;
  #started = 0;

  start(): Process {
    const id = `process ${this.#started++}`;
    const told: string[] = [];
    const presence = new Presence(id, OPTIONS, (text) => {
      told.push(text);
      for (const to of this.processes) {
        if (to !== process && !process.isCut && !to.isCut && !this.loses(process, to)) to.presence.receive(text, id);
      }
    });
    const process: Process = { id, presence, told, isCut: false };
    this.processes.push(process);
    presence.greet();
    return process;
  }

  /** Takes a process away without a word. */
  kill(process: Process): void {
    process.isCut = true;
    process.presence.stop();
    this.processes.splice(this.processes.indexOf(process), 1);
  }

  /** Several that know each other. */
  async meet(count: number): Promise<Process[]> {
    while (this.processes.length < count) this.start();
    await pass(100);
    return [...this.processes];
  }
}

/** Lets time pass, and what falls due happen. */
export async function pass(durationMs: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(durationMs);
}

/** Who a process sees, as one line each. */
export function view({ presence }: Process, topic: string = "room"): string[] {
  return presence.of(topic).map(({ processId, id, data }) => `${processId} ${id} ${data}`).sort();
}
