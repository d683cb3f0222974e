/**
 * Property tests of histories over a broker: whatever is published, cut, lost and slow, each client has a run of the
 * truth, or was told where it has not.
 */

import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { HistoryOptions } from "../../../../mod.ts";
import {
  expectEnd,
  expectRuns,
  FakeClient,
  fakeClocks,
  type FakePubSub,
  type Fate,
  FATES,
  NARROW_HISTORIES,
  topicsOf,
  type True,
} from "../../../support/followers.ts";
import { Hub, type MemoryBroker, type Published } from "../../../support/memory-broker.ts";

beforeEach(fakeClocks);
afterEach(() => void vi.useRealTimers());

const PROCESSES = 3;
const CLIENTS = 3;

type Step =
  | { readonly what: "publish"; readonly process: number; readonly count: number }
  | { readonly what: "connect"; readonly client: number; readonly process: number; readonly drops: boolean }
  | { readonly what: Fate; readonly client: number }
  | { readonly what: "cut" | "cut before answers" | "restore"; readonly process: number }
  | { readonly what: "pass"; readonly durationMs: number }
  | { readonly what: "settle" | "deliver late" | "lose the store" }
  | { readonly what: "faults"; readonly share: number };

const process = fc.nat(PROCESSES - 1);
const client = fc.nat(CLIENTS - 1);
const only = <What extends string>(...what: What[]): fc.Arbitrary<What> => fc.constantFrom(...what);

const GENTLE: fc.WeightedArbitrary<Step>[] = [
  { weight: 12, arbitrary: fc.record({ what: only("publish"), process, count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 8, arbitrary: fc.record({ what: only("connect"), client, process, drops: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ what: only(...FATES), client }) },
  { weight: 4, arbitrary: fc.record({ what: only("cut", "cut before answers", "restore", "restore"), process }) },
  { weight: 3, arbitrary: fc.record({ what: only("pass"), durationMs: fc.constantFrom(1, 100, 700) }) },
  { weight: 12, arbitrary: fc.record({ what: only("settle", "settle", "settle", "deliver late") }) },
  { weight: 2, arbitrary: fc.record({ what: only("faults"), share: fc.nat(6) }) },
];
const HARSH: fc.WeightedArbitrary<Step>[] = [
  ...GENTLE,
  { weight: 2, arbitrary: fc.record({ what: only("lose the store") }) },
  { weight: 2, arbitrary: fc.record({ what: only("pass"), durationMs: fc.constantFrom(5_000, 50_000) }) },
];

interface Held extends Published {
  readonly to: MemoryBroker;
}

/** Several processes on one hub, and clients that go from one to another. */
class Story {
  readonly hub = new Hub();
  readonly links: MemoryBroker[] = [];
  readonly processes: FakePubSub[] = [];
  readonly clients: FakeClient[] = Array.from({ length: CLIENTS }, () => new FakeClient());
  readonly #cut = new Set<MemoryBroker>();
  readonly #held: Held[] = [];
  /** What happens to each message on its way to each process, unless it is at least the share of faults. */
  readonly #fates: Iterator<number>;
  #share = 0;
  #published = 0;

  constructor(history: HistoryOptions, fates: Iterator<number>) {
    this.#fates = fates;
    this.hub.loses = (topic, to) => this.#isLost(topic, to);
    for (let i = 0; i < PROCESSES; i++) {
      const link = this.hub.link();
      const topics = topicsOf(link);
      topics.declare("news", { history });
      this.links.push(link);
      this.processes.push(topics);
    }
  }

  get truth(): True[] {
    return this.hub.published.flatMap(({ position, bytes }) =>
      position === undefined ? [] : [{ id: `${position.epoch}.${position.offset}`, text: bytes.toString("utf8", 1) }]
    );
  }

  async run(step: Step): Promise<void> {
    switch (step.what) {
      case "publish":
        for (let i = 0; i < step.count; i++) this.#publish(this.processes[step.process]);
        return;
      case "connect":
        return void this.clients[step.client].connect(this.processes[step.process], "news", step.drops);
      case "drop":
      case "stall":
      case "drain":
      case "drain once":
        return this.clients[step.client].undergo(step.what);
      case "cut":
      case "cut before answers":
        return this.#cutLink(this.links[step.process], step.what);
      case "restore":
        return this.#restore(this.links[step.process]);
      case "pass":
        return void await vi.advanceTimersByTimeAsync(step.durationMs);
      case "settle":
        return await this.hub.settle();
      case "deliver late":
        return this.#deliverLate();
      case "lose the store":
        return this.hub.histories.lose();
      case "faults":
        this.#share = step.share;
    }
  }

  /** Ends all faults, lets the clients take what waits, and publishes once more. */
  async end(): Promise<void> {
    this.#share = 0;
    // A link that comes back makes its process look for what it has missed, also if nothing new comes.
    for (const link of this.links) {
      this.#cutLink(link, "cut");
      this.#restore(link);
    }
    for (const { socket } of this.clients) socket?.drain(false);
    this.#deliverLate();
    await this.#calm();
    this.expectEnds();
    this.#publish(this.processes[0]);
    await this.#calm();
    this.expectEnds();
  }

  expectEnds(): void {
    const { truth } = this;
    for (const client of this.clients) {
      const isInLife = truth.at(-1)?.id.split(".")[0] === client.lastId?.split(".")[0];
      if (client.isConnected && isInLife) expectEnd(client, truth);
    }
  }

  async close(): Promise<void> {
    for (const { socket } of this.clients) socket?.terminate();
    const closed = Promise.all(this.processes.map((topics) => topics.close()));
    await this.hub.settle();
    await closed;
  }

  #publish(topics: FakePubSub): void {
    topics.publish("news", `message ${++this.#published}`);
  }

  async #calm(): Promise<void> {
    for (let round = 0; round < 4; round++) {
      await this.hub.settle();
      await vi.advanceTimersByTimeAsync(1_100);
    }
    await this.hub.settle();
  }

  #cutLink(link: MemoryBroker, how: "cut" | "cut before answers"): void {
    if (this.#cut.has(link)) return;
    this.#cut.add(link);
    if (how === "cut") link.disconnect();
    else link.disconnectBeforeAnswers();
  }

  #restore(link: MemoryBroker): void {
    if (this.#cut.delete(link)) link.reconnect();
  }

  #isLost(topic: string, to: MemoryBroker): boolean {
    const fate: number = this.#fates.next().value!;
    if (fate >= this.#share || this.hub.published.at(-1)!.position === undefined) return false;
    // Some of the lost messages come later, in another order, and some come twice.
    if (fate % 3 !== 0) this.#held.push({ ...this.hub.published.at(-1)!, topic, to });
    return fate % 3 !== 2;
  }

  #deliverLate(): void {
    for (const { to, topic, bytes, position } of this.#held.splice(0).reverse()) to.receive(topic, bytes, position);
  }
}

/** A place without messages is the place before the first message of the life that begins next. */
const lifeOf = (epoch: string): string => epoch.replace(/^empty-/, "life-");

async function play(
  history: HistoryOptions,
  steps: readonly Step[],
  fates: Iterator<number>,
  judge: (story: Story) => void,
): Promise<void> {
  const story = new Story(history, fates);
  await story.hub.settle();
  for (const step of steps) await story.run(step);
  await story.end();
  try {
    for (const client of story.clients) {
      expectRuns(client, story.truth, lifeOf);
    }
    judge(story);
  } finally {
    await story.close();
  }
}

const fates = fc.infiniteStream(fc.nat(11));
const RUNS = { numRuns: 100 };

test("each client has a run of the truth, or was told where it has not", async () => {
  const steps = fc.array(fc.oneof(...HARSH), { maxLength: 60, size: "max" });
  await fc.assert(
    fc.asyncProperty(NARROW_HISTORIES, steps, fates, (history, steps, fates) => play(history, steps, fates, () => {})),
    RUNS,
  );
});

test("nobody is told of a loss while the broker keeps all that was published", async () => {
  const steps = fc.array(fc.oneof(...GENTLE), { maxLength: 60, size: "max" });
  await fc.assert(
    fc.asyncProperty(steps, fates, (steps, fates) =>
      play({ maxAgeMs: 3_600_000 }, steps, fates, ({ clients }) => {
        expect(clients.map(({ losses }) => losses)).toEqual(clients.map(() => 0));
      })),
    RUNS,
  );
});
