/** Property tests of topics: random steps in a real app and in a simple model have the same results. */

import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Socket } from "../../../mod.ts";
import { type Subscriber, Topics } from "../../../src/app/pubsub/topics.ts";
import { changesOf, type Crowd, crowd, type Member } from "../../support/crowd.ts";

const SOCKETS = 4;
const TOPICS = ["a", "b", "c"];

type Step =
  | { readonly what: "subscribe" | "unsubscribe" | "publish from"; readonly who: number; readonly topic: string }
  | { readonly what: "publish"; readonly topic: string }
  | { readonly what: "send" | "close" | "terminate"; readonly who: number }
  | { readonly what: "end of turn" };

const who = fc.nat(SOCKETS - 1);
const topic = fc.constantFrom(...TOPICS);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ what: fc.constant("subscribe" as const), who, topic }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("unsubscribe" as const), who, topic }) },
  { weight: 6, arbitrary: fc.record({ what: fc.constant("publish from" as const), who, topic }) },
  { weight: 6, arbitrary: fc.record({ what: fc.constant("publish" as const), topic }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("send" as const), who }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom("close" as const, "terminate" as const), who }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("end of turn" as const) }) },
);

/** A socket in the model. */
interface Part {
  state: "open" | "closing" | "cut";
  topics: string[];
  readonly received: string[];
}

/** The model. It searches everything in lists. */
class Model {
  readonly parts: Part[] = Array.from({ length: SOCKETS }, () => ({ state: "open", topics: [], received: [] }));
  readonly changes: string[] = [];

  subscribe(who: number, topic: string): boolean {
    const part = this.parts[who];
    if (part.state !== "open" || part.topics.includes(topic)) return false;
    part.topics.push(topic);
    this.changes.push(`join ${who} ${topic}`);
    return true;
  }

  unsubscribe(who: number, topic: string): boolean {
    const part = this.parts[who];
    if (!part.topics.includes(topic)) return false;
    part.topics = part.topics.filter((each) => each !== topic);
    this.changes.push(`leave ${who} ${topic}`);
    return true;
  }

  publish(topic: string, message: string, except: number = -1): number {
    const receivers = this.parts.filter((part, index) => index !== except && part.topics.includes(topic));
    for (const { received } of receivers) received.push(message);
    return receivers.length;
  }

  end(who: number, state: "closing" | "cut"): void {
    const part = this.parts[who];
    for (const topic of part.topics) this.unsubscribe(who, topic);
    if (part.state !== "cut") part.state = state;
  }

  count(topic: string): number {
    return this.parts.filter(({ topics }) => topics.includes(topic)).length;
  }
}

/** Runs each step in the app and in the model. */
class Story {
  readonly model: Model = new Model();
  readonly #crowd: Crowd;
  readonly #members: readonly Member[];
  readonly #changes: ReturnType<typeof changesOf>;
  #messages = 0;

  constructor(crowd: Crowd, members: readonly Member[], changes: ReturnType<typeof changesOf>) {
    this.#crowd = crowd;
    this.#members = members;
    this.#changes = changes;
  }

  async run(step: Step): Promise<void> {
    const { model } = this;
    const { app } = this.#crowd;
    const message = `message ${++this.#messages}`;
    if (step.what === "end of turn") return void await nextTurn();
    if (step.what === "publish") {
      expect(app.publish(step.topic, message)).toBe(model.publish(step.topic, message));
      return;
    }
    const { socket } = this.#members[step.who];
    const part = model.parts[step.who];
    if (step.what === "subscribe") {
      expect(socket.subscribe(step.topic)).toBe(model.subscribe(step.who, step.topic));
    } else if (step.what === "unsubscribe") {
      expect(socket.unsubscribe(step.topic)).toBe(model.unsubscribe(step.who, step.topic));
    } else if (step.what === "publish from") {
      if (part.state !== "open") return;
      expect(socket.publish(step.topic, message)).toBe(model.publish(step.topic, message, step.who));
    } else if (step.what === "send") {
      if (part.state === "open") part.received.push(message);
      socket.send(message);
    } else if (step.what === "close") {
      model.end(step.who, "closing");
      socket.close();
    } else {
      model.end(step.who, "cut");
      socket.terminate();
    }
  }

  /** Compares all that is visible of the topics with the model. */
  check(): void {
    const { app } = this.#crowd;
    const { model } = this;
    expect(this.#members.map(({ socket }) => socket.topics)).toEqual(model.parts.map(({ topics }) => topics));
    expect(TOPICS.map((topic) => app.subscribers(topic))).toEqual(TOPICS.map((topic) => model.count(topic)));
    expect(app.stats().topics).toBe(TOPICS.filter((topic) => model.count(topic) > 0).length);
    const indexOf = (socket: Socket): number => this.#members.findIndex((each) => each.socket === socket);
    expect(this.#changes.map(({ event, socket, topic }) => `${event} ${indexOf(socket)} ${topic}`))
      .toEqual(model.changes);
  }

  /** Compares the messages of each client with the model, in order. A client that was cut may have fewer. */
  async checkReceived(): Promise<void> {
    for (const [who, { client, socket }] of this.#members.entries()) {
      const { state, received } = this.model.parts[who];
      if (state === "open") socket.close();
      if (state !== "cut") { while (client.closeFrame === undefined) await client.nextFrame(); }
      else await client.closed();
      const texts = client.frames.filter(({ opcode }) => opcode === 1).map(({ payload }) => payload.toString());
      expect(texts).toEqual(state === "cut" ? received.slice(0, texts.length) : received);
      client.terminate();
    }
  }
}

test("whatever happens, each socket has its topics and gets its messages in order", async () => {
  const all = await crowd();
  const changes = changesOf(all.app);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60, size: "max" }), async (steps) => {
      const members: Member[] = [];
      while (members.length < SOCKETS) members.push(await all.member());
      changes.length = 0;
      const story = new Story(all, members, changes);
      for (const each of steps) {
        await story.run(each);
        story.check();
      }
      await story.checkReceived();
      expect(all.app.stats().topics).toBe(0);
    }),
    { numRuns: 60, endOnFailure: true },
  );
});

/** So many topics that the empty ones are swept out now and then. */
test("however many topics come and go, their members are the same as in a plain list", () => {
  const MANY = 200;
  const change = fc.record({ who: fc.nat(2), from: fc.nat(MANY), count: fc.nat(MANY), isIn: fc.boolean() });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 20 }), (changes) => {
      const topics = new Topics<Subscriber>();
      const members: Subscriber[] = Array.from({ length: 3 }, () => ({ subscriptions: undefined }));
      const model: Subscriber[][] = Array.from({ length: MANY }, () => []);
      for (const { who, from, count, isIn } of changes) {
        const member = members[who];
        for (let i = from; i < Math.min(from + count, MANY); i++) {
          const isChange = model[i].includes(member) !== isIn;
          expect(isIn ? topics.add(`${i}`, member) : topics.delete(`${i}`, member)).toBe(isChange);
          model[i] = model[i].filter((each) => each !== member || isIn);
          if (isIn && isChange) model[i].push(member);
        }
        expect(topics.size).toBe(model.filter(({ length }) => length > 0).length);
      }
      model.forEach((expected, i) => {
        expect(topics.membersOf(`${i}`)).toEqual(expected);
        expect(topics.count(`${i}`)).toBe(expected.length);
      });
    }),
    { numRuns: 50 },
  );
});
