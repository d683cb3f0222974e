/** Property test of presence: after random joins, leaves, losses, cuts and kills, all processes agree. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { Bus, pass, type Process, useClock, view } from "../../support/presence-bus.ts";

useClock();

/**
 * Lost requests for a state are repeated after a second, and the states may be lost too. This is time for a few
 * heartbeats and a time-out.
 */
const HEALED_MS = 12_000;
const TOPICS = ["room", "hall"];

type Step =
  | { readonly what: "join" | "leave"; readonly who: number; readonly topic: string; readonly id: string }
  | { readonly what: "kill" | "cut"; readonly who: number }
  | { readonly what: "pass"; readonly durationMs: number }
  | { readonly what: "lose"; readonly share: number }
  | { readonly what: "start" };

const who = fc.nat();
const change = fc.record({
  what: fc.constantFrom("join" as const, "join" as const, "leave" as const),
  who,
  topic: fc.constantFrom(...TOPICS),
  id: fc.constantFrom("1", "2", "3", "4"),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: change },
  {
    weight: 6,
    arbitrary: fc.record({ what: fc.constant("pass" as const), durationMs: fc.constantFrom(1, 60, 1_100) }),
  },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("lose" as const), share: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom("kill" as const, "cut" as const), who }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("start" as const) }) },
);

/** The processes, and a simple model of the sockets of each. */
class Story {
  readonly bus: Bus = new Bus();
  /** The data of the sockets of each process, by topic and name. */
  readonly #model = new Map<Process, Map<string, string>>();
  /** A random number for each message to each process. If it is below the share of losses, the message is lost. */
  readonly #fates: Iterator<number>;
  #version = 0;

  constructor(fates: Iterator<number>) {
    this.#fates = fates;
    for (const what of ["start", "start"] as const) this.#run({ what });
  }

  async run(step: Step): Promise<void> {
    if (step.what === "pass") await pass(step.durationMs);
    else this.#run(step);
  }

  #run(step: Exclude<Step, { what: "pass" }>): void {
    const { bus } = this;
    if (step.what === "lose") bus.loses = () => this.#fates.next().value! < step.share;
    else if (step.what !== "start") this.#change(step, bus.processes[step.who % bus.processes.length]);
    else if (bus.processes.length < 5) this.#model.set(bus.start(), new Map());
  }

  #change(step: Extract<Step, { who: number }>, process: Process): void {
    if (step.what === "join") {
      const data = `version ${++this.#version}`;
      process.presence.join(step.topic, step.id, data);
      this.#model.get(process)!.set(`${step.topic} ${step.id}`, data);
    } else if (step.what === "leave") {
      process.presence.leave(step.topic, step.id);
      this.#model.get(process)!.delete(`${step.topic} ${step.id}`);
    } else if (step.what === "cut") {
      this.#cut(process, !process.isCut);
    } else if (this.bus.processes.length > 1) {
      this.bus.kill(process);
      this.#model.delete(process);
    }
  }

  #cut(process: Process, isCut: boolean): void {
    process.isCut = isCut;
    if (!isCut) process.presence.greet();
  }

  /** Ends all losses and cuts. */
  async heal(): Promise<void> {
    this.bus.loses = () => false;
    for (const process of this.bus.processes) if (process.isCut) this.#cut(process, false);
    await pass(HEALED_MS);
  }

  /** The sockets that every process should list at a topic. */
  expected(topic: string): string[] {
    const lines = [...this.#model].flatMap(([{ id: processId }, members]) =>
      [...members].map(([key, data]) => [key.split(" ")[0], `${processId} ${key.split(" ")[1]} ${data}`])
    );
    return lines.filter(([at]) => at === topic).map(([, line]) => line).sort();
  }
}

test("whatever is lost, cut or killed, all living processes agree in the end on the sockets that are present", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 50, size: "max" }),
      fc.infiniteStream(fc.nat(3)),
      async (steps, fates) => {
        const story = new Story(fates);
        for (const each of steps) await story.run(each);
        await story.heal();
        for (const process of story.bus.processes) {
          for (const topic of TOPICS) expect(view(process, topic)).toEqual(story.expected(topic));
        }
        for (const { presence } of story.bus.processes) presence.stop();
      },
    ),
    { numRuns: 200 },
  );
});
