/**
 * Property tests of histories in the memory of one process: whatever is published, dropped, trimmed and slow, each
 * client has a run of the truth, or was told where it has not.
 */

import { setImmediate as nextTurn } from "node:timers/promises";
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

beforeEach(fakeClocks);
afterEach(() => void vi.useRealTimers());

const CLIENTS = 4;
const TOPICS = ["news", "sports", "weather"];

type Step =
  | { readonly what: "publish"; readonly topic: number; readonly count: number; readonly padding: number }
  | { readonly what: "connect"; readonly client: number; readonly drops: boolean; readonly since?: "" }
  | { readonly what: Fate; readonly client: number }
  | { readonly what: "pass"; readonly durationMs: number }
  | { readonly what: "turn" };

const client = fc.nat(CLIENTS - 1);
const only = <What extends string>(...what: What[]): fc.Arbitrary<What> => fc.constantFrom(...what);
const publish = fc.record({
  what: only("publish"),
  topic: fc.nat(TOPICS.length - 1),
  count: fc.integer({ min: 1, max: 4 }),
  padding: fc.constantFrom(0, 0, 100, 500),
});

const GENTLE: fc.WeightedArbitrary<Step>[] = [
  { weight: 12, arbitrary: publish },
  { weight: 8, arbitrary: fc.record({ what: only("connect"), client, drops: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ what: only(...FATES), client }) },
  { weight: 6, arbitrary: fc.record({ what: only("turn") }) },
];
const HARSH: fc.WeightedArbitrary<Step>[] = [
  ...GENTLE,
  {
    weight: 1,
    arbitrary: fc.record({ what: only("connect"), client, drops: fc.boolean(), since: fc.constant("" as const) }),
  },
  { weight: 3, arbitrary: fc.record({ what: only("pass"), durationMs: fc.constantFrom(400, 1_000, 15_000) }) },
];

/** The topics of one process. Every client follows the same one of them. */
class Story {
  readonly clients: FakeClient[] = Array.from({ length: CLIENTS }, () => new FakeClient());
  readonly #topics: FakePubSub;
  readonly #truth: Promise<True>[] = [];
  #published = 0;

  constructor(history: HistoryOptions, limits: object) {
    this.#topics = topicsOf(undefined, limits);
    this.#topics.declare("*", { history });
  }

  truth(): Promise<True[]> {
    return Promise.all(this.#truth);
  }

  async run(step: Step): Promise<void> {
    switch (step.what) {
      case "publish":
        for (let i = 0; i < step.count; i++) this.#publish(TOPICS[step.topic], step.padding);
        return;
      case "connect": {
        const client = this.clients[step.client];
        const since = step.since ?? client.lastId;
        // Who begins anew at the oldest message has forgotten what it got before.
        if (since === "") this.clients[step.client] = new FakeClient();
        return void this.clients[step.client].connect(this.#topics, TOPICS[0], step.drops, since);
      }
      case "drop":
      case "stall":
      case "drain":
      case "drain once":
        return this.clients[step.client].undergo(step.what);
      case "pass":
        return void await vi.advanceTimersByTimeAsync(step.durationMs);
      case "turn":
        await nextTurn();
    }
  }

  /** Lets the clients take what waits, and publishes once more. */
  async end(): Promise<void> {
    for (const { socket } of this.clients) socket?.drain(false);
    await nextTurn();
    this.expectEnds(await this.truth());
    this.#publish(TOPICS[0], 0);
    await nextTurn();
    this.expectEnds(await this.truth());
  }

  expectEnds(truth: readonly True[]): void {
    for (const client of this.clients) if (client.isConnected && truth.length > 0) expectEnd(client, truth);
  }

  async close(): Promise<void> {
    for (const { socket } of this.clients) socket?.terminate();
    await this.#topics.close();
  }

  #publish(topic: string, padding: number): void {
    const text = `message ${++this.#published} ${"x".repeat(padding)}`;
    const id = this.#topics.append(topic, text);
    if (topic === TOPICS[0]) this.#truth.push(id.then((id) => ({ id, text })));
  }
}

async function play(
  history: HistoryOptions,
  limits: object,
  steps: readonly Step[],
  judge: (story: Story) => void,
): Promise<void> {
  const story = new Story(history, limits);
  for (const step of steps) await story.run(step);
  await story.end();
  const truth = await story.truth();
  // The topic has one life. A place before its first message has another epoch.
  const lifeOf = (epoch: string): string => epoch.startsWith("0-") ? truth[0].id.split(".")[0] : epoch;
  try {
    for (const client of story.clients) {
      expectRuns(client, truth, lifeOf);
    }
    judge(story);
  } finally {
    await story.close();
  }
}

const RUNS = { numRuns: 200 };

test("each client has a run of the truth, or was told where it has not", async () => {
  const limits = fc.record({ maxHistoryBytes: fc.constantFrom(1, 600, 2_000, 1_000_000) });
  const steps = fc.array(fc.oneof(...HARSH), { maxLength: 60, size: "max" });
  await fc.assert(
    fc.asyncProperty(
      NARROW_HISTORIES,
      limits,
      steps,
      (history, limits, steps) => play(history, limits, steps, () => {}),
    ),
    RUNS,
  );
});

test("nobody is told of a loss while all that was published is kept", async () => {
  const steps = fc.array(fc.oneof(...GENTLE), { maxLength: 60, size: "max" });
  await fc.assert(
    fc.asyncProperty(steps, (steps) =>
      play({ maxAgeMs: 3_600_000 }, {}, steps, ({ clients }) => {
        expect(clients.map(({ losses }) => losses)).toEqual(clients.map(() => 0));
      })),
    RUNS,
  );
});
