/** Presence without apps and sockets: processes that send messages to each other directly, under fake timers. */

import { afterEach, beforeEach, vi } from "vitest";
import { Presence, type PresenceOptions } from "../../src/app/pubsub/presence.ts";

export const OPTIONS: PresenceOptions = { intervalMs: 1_000, timeoutMs: 3_500 };

/** Fakes the timers for each test of a file. */
export function useClock(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
  });
  afterEach(() => void vi.useRealTimers());
}

/** A process with its presence. */
export interface Process {
  readonly id: string;
  readonly presence: Presence;
  /** All messages that the process has sent. */
  readonly told: string[];
  isCut: boolean;
}

/** Processes that get each other's messages, except for those that `loses` selects. */
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

  /** Ends a process without a last message. */
  kill(process: Process): void {
    process.isCut = true;
    process.presence.stop();
    this.processes.splice(this.processes.indexOf(process), 1);
  }

  /** Starts processes, and lets them exchange their states. */
  async meet(count: number): Promise<Process[]> {
    while (this.processes.length < count) this.start();
    await pass(100);
    return [...this.processes];
  }
}

/** Lets time pass, and runs the timers that are due. */
export async function pass(durationMs: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(durationMs);
}

/** The sockets that a process lists at a topic, as one line each. */
export function view({ presence }: Process, topic: string = "room"): string[] {
  return presence.of(topic).map(({ processId, id, data }) => `${processId} ${id} ${data}`).sort();
}
