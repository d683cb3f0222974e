/** The contract of every broker that keeps the histories of topics. */

import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import {
  type Broker,
  HISTORY_PREFIX,
  type HistoryLimits,
  type HistoryMessage,
  type HistoryPage,
  type HistoryPosition,
  type HistoryRange,
} from "../../src/app/pubsub/broker.ts";
import { Member } from "./broker-member.ts";

/** A server, or what has its part, and the brokers over it. */
export interface HistoryStore {
  /** Opens another broker over the same server. */
  open(): OpenHistoryBroker;
  dispose(): unknown;
}

export interface OpenHistoryBroker {
  readonly broker: Broker;
  /** Ends the client, once the broker is closed. */
  endClient?(): unknown;
}

export interface HistoryKind {
  readonly name: string;
  /** False if the machine lacks the server. */
  readonly isInstalled: boolean;
  createStore(): Promise<HistoryStore>;
}

/** Limits that no test reaches. */
export const AMPLE: HistoryLimits = { size: 100_000, maxAgeMs: 3_600_000 };

/** All that is kept. */
export const ALL: HistoryRange = { maxMessages: 100_000, maxBytes: 100_000_000 };

const FOREIGN_EPOCHS: [name: string, epoch: string][] = [
  ["of another history", "x1b2c3d4"],
  ["of 64 characters", "-_Zz09".repeat(11).slice(0, 64)],
];

const GARBAGE: [name: string, position: unknown][] = [
  ["no epoch", { epoch: "", offset: 1 }],
  ["an epoch of 1,000 characters", { epoch: "a".repeat(1_000), offset: 1 }],
  ["an epoch with a null and a line end", { epoch: "a\0\r\nDEL x\r\n", offset: 1 }],
  ["an epoch with a lone surrogate", { epoch: "\ud800", offset: 1 }],
  ["an epoch like a number", { epoch: "0", offset: 0 }],
  ["an epoch of dots", { epoch: "a.b-c.d", offset: 1 }],
  ["an epoch that is a number", { epoch: 7, offset: 1 }],
  ["no members", {}],
];

const BAD_OFFSETS: [name: string, offset: unknown][] = [
  ["a negative number", -1],
  ["a fraction", 1.5],
  ["a number above the newest", 4],
  ["the largest safe integer", 2 ** 53 - 1],
  ["a number above all safe integers", 2 ** 60],
  ["NaN", NaN],
  ["infinity", Infinity],
  ["a text", "1"],
  ["nothing", undefined],
];

const BYTES: [name: string, bytes: Buffer][] = [
  ["each value of a byte", Buffer.from(Array.from({ length: 256 }, (_, value) => value))],
  ["no bytes", Buffer.alloc(0)],
  ["bytes that are not UTF-8", Buffer.from("c0affeffeda08080", "hex")],
  ["line ends and bytes like those of a command", Buffer.from("\r\n$5\r\nhello\r\nPING\r\n\0")],
  ["300 KiB", Buffer.alloc(300 * 1024, "0123456789abcde")],
];

const TOPICS: [name: string, topic: string][] = [
  ["spaces", " a topic with spaces "],
  ["dots, stars and >", "a..b.*.>"],
  ["braces", "{a}b{"],
  ["line ends and a null", "a\r\nb\0"],
  ["the prefix itself", HISTORY_PREFIX],
  ["emoji", "🚀👩🏽‍🚀"],
  ["upper case", "NEWS"],
  ["lower case", "news"],
  ["a member of every object", "__proto__"],
  ["512 characters of three bytes", "你".repeat(512)],
];

/** A member of a store, with the methods of its broker with texts in place of bytes. */
export class HistoryMember extends Member {
  append(topic: string, texts: readonly string[], limits: HistoryLimits = AMPLE): Promise<HistoryPosition> {
    return this.broker.append!(topic, texts.map((text) => Buffer.from(text)), limits);
  }

  read(topic: string, range: Partial<HistoryRange> = {}, limits: HistoryLimits = AMPLE): Promise<HistoryPage> {
    return this.broker.read!(topic, { ...ALL, ...range }, limits);
  }
}

/** The messages as texts, each with its offset. */
export function textsOf(messages: readonly HistoryMessage[]): [offset: number, text: string][] {
  return messages.map(({ offset, bytes }) => [offset, Buffer.from(bytes).toString()]);
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

export function testHistories(kind: HistoryKind): void {
  describe.skipIf(!kind.isInstalled)(`histories: ${kind.name}`, () => {
    let store: HistoryStore;
    let ada: HistoryMember;
    let topic: string;
    let topicCount = 0;

    const join = async (): Promise<HistoryMember> => {
      const { broker, endClient } = store.open();
      onTestFinished(async () => {
        await broker.close();
        await endClient?.();
      });
      return await new HistoryMember(broker).connected();
    };

    beforeAll(async () => {
      store = await kind.createStore();
    });

    // Each test has a topic of its own.
    beforeEach(async () => {
      ada = await join();
      topic = `${HISTORY_PREFIX}topic ${++topicCount}`;
    });

    afterAll(() => store.dispose());

    test("keep messages in order, under offsets from 1 on", async () => {
      const first = await ada.append(topic, ["a"]);
      expect(first).toEqual({ epoch: expect.stringMatching(/^[\w-]{1,64}$/), offset: 1 });
      const { epoch } = first;
      expect(await ada.append(topic, ["b", "c"])).toEqual({ epoch, offset: 3 });
      expect(await ada.append(topic, ["d"])).toEqual({ epoch, offset: 4 });
      const { messages, ...state } = await ada.read(topic);
      expect(state).toEqual({ epoch, oldest: 1, newest: 4, isComplete: true });
      expect(textsOf(messages)).toEqual([[1, "a"], [2, "b"], [3, "c"], [4, "d"]]);
    });

    test("are the same for every process", async () => {
      const bob = await join();
      const { epoch } = await ada.append(topic, ["from Ada"]);
      expect(await bob.append(topic, ["from Bob"])).toEqual({ epoch, offset: 2 });
      const page = await ada.read(topic);
      expect(await bob.read(topic)).toEqual(page);
      expect(textsOf(page.messages)).toEqual([[1, "from Ada"], [2, "from Bob"]]);
    });

    test("give what lies behind a position", async () => {
      const { epoch } = await ada.append(topic, ["a", "b", "c"]);
      const behind = async (offset: number): Promise<unknown> => {
        const { messages, ...state } = await ada.read(topic, { after: { epoch, offset } });
        expect(state).toEqual({ epoch, oldest: 1, newest: 3, isComplete: true });
        return messages.map(({ offset }) => offset);
      };
      expect([await behind(0), await behind(1), await behind(2), await behind(3)]).toEqual([
        [1, 2, 3],
        [2, 3],
        [3],
        [],
      ]);
    });

    test.each(BYTES)("do not change a message: %s", async (_name, bytes) => {
      await ada.broker.subscribe(topic);
      // The messages are views of a larger buffer, whose other bytes must not be kept.
      const larger = Buffer.concat([Buffer.from("before"), bytes, Buffer.from("behind")]);
      const message = new Uint8Array(larger.buffer, larger.byteOffset + 6, bytes.length);
      const position = await ada.broker.append!(topic, [message, message], AMPLE);
      const { messages } = await ada.read(topic);
      expect(messages.map(({ bytes }) => Buffer.from(bytes).equals(message))).toEqual([true, true]);
      const live = await ada.received(2);
      expect(live.map((each) => [each.topic, each.bytes.equals(message), each.position])).toEqual([
        [topic, true, { ...position, offset: 1 }],
        [topic, true, { ...position, offset: 2 }],
      ]);
    });

    test("take a thousand messages at once", async () => {
      const texts = numbers(1, 1_000).map(String);
      expect(await ada.append(topic, texts)).toMatchObject({ offset: 1_000 });
      expect(textsOf((await ada.read(topic)).messages)).toEqual(texts.map((text) => [Number(text), text]));
    });

    test("bring each message with its position to subscribed processes only", async () => {
      const bob = await join();
      await bob.broker.subscribe(topic);
      const { epoch } = await ada.append(topic, ["a", "b"]);
      await ada.append(topic, ["c"]);
      await bob.received(3);
      expect(await bob.heard(topic)).toEqual(["a", "b", "c"]);
      const positions = bob.messages.filter((each) => each.topic === topic).map(({ position }) => position);
      expect(positions).toEqual([{ epoch, offset: 1 }, { epoch, offset: 2 }, { epoch, offset: 3 }]);
      expect(await ada.heard(topic)).toEqual([]);
      await bob.broker.unsubscribe(topic);
      await ada.append(topic, ["too late"]);
      expect(await bob.heard(topic)).toEqual(["a", "b", "c"]);
    });

    test("leave plain topics as they are", async () => {
      await ada.broker.subscribe("plain");
      await ada.publish("plain", "hello");
      const [message] = await ada.received(1);
      expect([message.bytes.toString(), message.position]).toEqual(["hello", undefined]);
    });

    test("keep any two topics apart", async () => {
      for (const [, odd] of TOPICS) await ada.broker.subscribe(HISTORY_PREFIX + odd);
      for (const [name, odd] of TOPICS) expect((await ada.append(HISTORY_PREFIX + odd, [name])).offset).toBe(1);
      for (const [name, odd] of TOPICS) {
        expect(textsOf((await ada.read(HISTORY_PREFIX + odd)).messages)).toEqual([[1, name]]);
      }
      const live = await ada.received(TOPICS.length);
      expect(live.map(({ topic, bytes }) => [bytes.toString(), topic.slice(HISTORY_PREFIX.length)])).toEqual(TOPICS);
    });

    test("are gapless when processes append at the same time, and every process hears their order", async () => {
      const members = [ada, await join(), await join()];
      for (const { broker } of members) await broker.subscribe(topic);
      const rounds = 200;
      await Promise.all(members.map(async (member, who) => {
        const appends = numbers(1, rounds).map((round) =>
          member.append(topic, [`${who}:${round}`, `${who}:${round}b`])
        );
        await Promise.all(appends);
      }));
      const count = members.length * rounds * 2;
      const { messages, ...state } = await ada.read(topic);
      expect(state).toMatchObject({ oldest: 1, newest: count, isComplete: true });
      expect(messages.map(({ offset }) => offset)).toEqual(numbers(1, count));
      for (const who of members.keys()) {
        const texts = textsOf(messages).map(([, text]) => text).filter((text) => text.startsWith(`${who}:`));
        expect(texts).toEqual(numbers(1, rounds).flatMap((round) => [`${who}:${round}`, `${who}:${round}b`]));
      }
      // The messages of one call are neighbours.
      for (const [offset, text] of textsOf(messages)) {
        if (text.endsWith("b")) expect(`${messages[offset - 2].bytes}b`).toBe(text);
      }
      for (const member of members) {
        const live = (await member.received(count)).map(({ position, bytes }) => [position!.offset, bytes.toString()]);
        expect(live).toEqual(textsOf(messages));
      }
    });

    test("have the position of an append when its promise resolves", async () => {
      const bob = await join();
      for (const round of numbers(1, 20)) {
        const { offset } = await ada.append(topic, [String(round)]);
        expect([offset, (await bob.read(topic)).newest]).toEqual([round, round]);
      }
    });

    describe("their size", () => {
      test("is kept exactly, and offsets go on", async () => {
        const limits = { ...AMPLE, size: 3 };
        for (const text of ["a", "b", "c", "d"]) await ada.append(topic, [text], limits);
        const { messages, ...state } = await ada.read(topic, {}, limits);
        expect(state).toMatchObject({ oldest: 2, newest: 4, isComplete: true });
        expect(textsOf(messages)).toEqual([[2, "b"], [3, "c"], [4, "d"]]);
      });

      test("may be less than one append has, whose messages are all sent", async () => {
        await ada.broker.subscribe(topic);
        const limits = { ...AMPLE, size: 2 };
        await ada.append(topic, ["a", "b", "c", "d", "e"], limits);
        expect(textsOf((await ada.read(topic, {}, limits)).messages)).toEqual([[4, "d"], [5, "e"]]);
        expect((await ada.received(5)).map(({ bytes }) => bytes.toString())).toEqual(["a", "b", "c", "d", "e"]);
      });

      test("decides which positions are complete", async () => {
        const limits = { ...AMPLE, size: 3 };
        const { epoch } = await ada.append(topic, ["a", "b", "c", "d", "e"], limits);
        const isComplete = async (offset: number): Promise<boolean> => {
          const page = await ada.read(topic, { after: { epoch, offset } }, limits);
          expect(page).toMatchObject({ epoch, oldest: 3, newest: 5 });
          expect(page.messages.map((each) => each.offset)).toEqual(page.isComplete ? numbers(offset + 1, 5) : []);
          return page.isComplete;
        };
        const results = await Promise.all(numbers(0, 6).map(isComplete));
        expect(results).toEqual([false, false, true, true, true, true, false]);
      });
    });

    describe("their age", () => {
      const brief: HistoryLimits = { ...AMPLE, maxAgeMs: 100 };

      /** Appends messages, and resolves when they are older than `brief` allows. */
      const appendExpired = async (texts: readonly string[]): Promise<HistoryPosition> => {
        const position = await ada.append(topic, texts);
        await expect.poll(async () => (await ada.read(topic, {}, brief)).messages, { timeout: 10_000 }).toEqual([]);
        return position;
      };

      test("decides what is given, and the newest offset stays", async () => {
        const { epoch } = await appendExpired(["a", "b"]);
        expect(await ada.read(topic, {}, brief)).toEqual({
          ...{ epoch, oldest: 3, newest: 2, isComplete: true, messages: [] },
        });
        const limits = { ...AMPLE, maxAgeMs: 3_600_000 };
        expect(textsOf((await ada.read(topic, {}, limits)).messages)).toEqual([[1, "a"], [2, "b"]]);
      });

      test("decides which positions are complete: behind the newest message, nothing is missed", async () => {
        const { epoch } = await appendExpired(["a", "b"]);
        const isComplete = async (offset: number): Promise<boolean> =>
          (await ada.read(topic, { after: { epoch, offset } }, brief)).isComplete;
        expect([await isComplete(0), await isComplete(1), await isComplete(2), await isComplete(3)])
          .toEqual([false, false, true, false]);
      });

      test("does not make a new epoch, although all messages have expired", async () => {
        const last = await appendExpired(["a", "b"]);
        expect(await ada.append(topic, ["c"], brief)).toEqual({ ...last, offset: 3 });
        const page = await ada.read(topic, { after: last }, AMPLE);
        expect([page.isComplete, textsOf(page.messages)]).toEqual([true, [[3, "c"]]]);
      });
    });

    describe("a part of them", () => {
      test("has at most as many messages as wanted", async () => {
        const { epoch } = await ada.append(topic, ["a", "b", "c", "d"]);
        const part = async (maxMessages: number, offset?: number): Promise<string> => {
          const after = offset === undefined ? undefined : { epoch, offset };
          const { messages, ...state } = await ada.read(topic, { after, maxMessages });
          expect(state).toEqual({ epoch, oldest: 1, newest: 4, isComplete: true });
          return textsOf(messages).map(([, text]) => text).join("");
        };
        expect([await part(0), await part(1), await part(2), await part(9)]).toEqual(["", "a", "ab", "abcd"]);
        expect([await part(0, 2), await part(1, 2), await part(2, 2), await part(9, 2)]).toEqual(["", "c", "cd", "cd"]);
      });

      test("tells whether a position is complete, although no message is wanted", async () => {
        const limits = { ...AMPLE, size: 2 };
        const { epoch } = await ada.append(topic, ["a", "b", "c"], limits);
        const state = async (offset: number): Promise<HistoryPage> =>
          await ada.read(topic, { after: { epoch, offset }, maxMessages: 0 }, limits);
        expect(await state(0)).toEqual({ epoch, oldest: 2, newest: 3, isComplete: false, messages: [] });
        expect(await state(1)).toEqual({ epoch, oldest: 2, newest: 3, isComplete: true, messages: [] });
      });

      test("has at most as many bytes as wanted, but one message in any case", async () => {
        const { epoch } = await ada.append(topic, ["0123456789", "01234", "56789", "0"]);
        const part = async (maxBytes: number, offset: number): Promise<number[]> => {
          const { messages } = await ada.read(topic, { after: { epoch, offset }, maxBytes });
          return messages.map(({ offset }) => offset);
        };
        expect([await part(1, 0), await part(10, 0), await part(14, 0)]).toEqual([[1], [1], [1]]);
        expect([await part(15, 0), await part(20, 0), await part(21, 0)]).toEqual([[1, 2], [1, 2, 3], [1, 2, 3, 4]]);
        expect([await part(1, 1), await part(10, 1), await part(11, 1)]).toEqual([[2], [2, 3], [2, 3, 4]]);
      });

      test("leads through the whole, part by part", async () => {
        const texts = numbers(1, 500).map((number) => String(number).padEnd(number % 7 * 10));
        let { epoch } = await ada.append(topic, texts);
        const collected: string[] = [];
        for (let offset = 0; offset < texts.length;) {
          const page = await ada.read(topic, { after: { epoch, offset }, maxMessages: 30, maxBytes: 900 });
          expect(page.messages.length).toBeGreaterThan(0);
          collected.push(...textsOf(page.messages).map(([, text]) => text));
          ({ epoch } = page);
          offset = page.messages.at(-1)!.offset;
        }
        expect(collected).toEqual(texts);
      });
    });

    describe("that have not begun", () => {
      test("have a state, which reading does not change", async () => {
        const state = await ada.read(topic);
        expect(state).toEqual({
          epoch: expect.stringMatching(/^[\w-]{1,64}$/),
          ...{ oldest: 1, newest: 0, isComplete: true, messages: [] },
        });
        const after = { epoch: state.epoch, offset: 0 };
        expect(await ada.read(topic, { after })).toMatchObject({ newest: 0, isComplete: true, messages: [] });
        // Nothing lies behind this place.
        expect(await ada.read(topic, { after: { ...after, offset: 1 } })).toMatchObject({ isComplete: false });
      });

      test("have a place in front of the first message", async () => {
        const bob = await join();
        const { epoch } = await ada.read(topic);
        await bob.append(topic, ["a", "b"]);
        const page = await ada.read(topic, { after: { epoch, offset: 0 } });
        expect([page.isComplete, textsOf(page.messages)]).toEqual([true, [[1, "a"], [2, "b"]]]);
        expect(page.epoch).not.toBe(epoch);
        expect(await bob.read(topic, { after: { epoch, offset: 1 } })).toMatchObject({ isComplete: false });
      });

      test("have a place that is not complete when the first message is not kept any more", async () => {
        const { epoch } = await ada.read(topic);
        const limits = { ...AMPLE, size: 2 };
        await ada.append(topic, ["a", "b"], limits);
        expect(await ada.read(topic, { after: { epoch, offset: 0 } }, limits)).toMatchObject({ isComplete: true });
        await ada.append(topic, ["c"], limits);
        expect(await ada.read(topic, { after: { epoch, offset: 0 } }, limits)).toMatchObject({
          ...{ isComplete: false, oldest: 2, newest: 3, messages: [] },
        });
      });
    });

    describe("and a position that is not theirs", () => {
      const incomplete = { oldest: 1, newest: 3, isComplete: false, messages: [] };

      test.each([...FOREIGN_EPOCHS.map(([name, epoch]) => [name, { epoch, offset: 2 }] as const), ...GARBAGE])(
        "is not complete: an epoch %s",
        async (_name, position) => {
          const { epoch } = await ada.append(topic, ["a", "b", "c"]);
          const after = position as HistoryPosition;
          expect(await ada.read(topic, { after })).toEqual({ epoch, ...incomplete });
          const other = `${topic} that has not begun`;
          expect(await ada.read(other, { after })).toMatchObject({ oldest: 1, newest: 0, isComplete: false });
        },
      );

      test.each(BAD_OFFSETS)("is not complete: the offset is %s", async (_name, offset) => {
        const { epoch } = await ada.append(topic, ["a", "b", "c"]);
        const after = { epoch, offset } as HistoryPosition;
        expect(await ada.read(topic, { after })).toEqual({ epoch, ...incomplete });
      });

      test("is not complete: another topic's", async () => {
        const position = await ada.append(`${topic} of others`, ["a", "b", "c"]);
        await ada.append(topic, ["a", "b", "c"]);
        expect(await ada.read(topic, { after: position })).toMatchObject(incomplete);
      });
    });
  });
}
