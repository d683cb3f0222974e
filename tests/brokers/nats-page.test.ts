/** Parts of histories are found and read, and positions are judged, with a real server. */
import { Buffer } from "node:buffer";
import type { JetStreamManager, MsgRequest } from "@nats-io/jetstream";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { HISTORY_PREFIX, type HistoryPosition } from "../../src/app/pubsub/broker.ts";
import { createServer } from "../support/broker-contract.ts";
import { AMPLE, type HistoryMember, textsOf } from "../support/history-contract.ts";
import { type NatsMember, natsServer, openMember, subjectOf } from "../support/nats-server.ts";
import { isInstalled, type ServerProgram } from "../support/server-program.ts";

const STREAM = "spacenode_history";
const TOPIC = `${HISTORY_PREFIX}news`;
const OTHER = `${HISTORY_PREFIX}other`;

describe.skipIf(!isInstalled(natsServer))("reading histories (nats-server)", () => {
  let server: ServerProgram;
  let member: HistoryMember;
  let connection: NatsMember["connection"];
  let manager: JetStreamManager;

  beforeEach(async () => {
    server = await (await createServer(natsServer)).start();
    ({ member, connection, manager } = await openMember(server.port));
  });

  const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

  /** Appends numbered messages one by one. Their lengths vary, and other topics lie between them. */
  const fill = async (count: number): Promise<HistoryPosition> => {
    let position!: HistoryPosition;
    for (const number of numbers(1, count)) {
      for (let i = 0; i < number % 4; i++) await member.append(`${OTHER} ${i}`, ["between"]);
      position = await member.append(TOPIC, [String(number)]);
    }
    return position;
  };

  test("finds any position among the messages of other topics", async () => {
    const { epoch } = await fill(120);
    await Promise.all(
      numbers(0, 120).map(async (offset) => {
        const { messages, ...state } = await member.read(TOPIC, { after: { epoch, offset }, maxMessages: 7 });
        expect(state).toEqual({ epoch, oldest: 1, newest: 120, isComplete: true });
        expect(textsOf(messages)).toEqual(numbers(offset + 1, Math.min(offset + 7, 120)).map((n) => [n, String(n)]));
      }),
    );
  });

  test("finds any position among messages that were joined", async () => {
    // Those that wait go together, so that records of one and of many messages come.
    const texts = numbers(1, 400).map(String);
    for (let i = 0; i < texts.length;) {
      const count = i % 37 + 1;
      await Promise.all(texts.slice(i, i += count).map((text) => member.append(TOPIC, [text])));
    }
    const { epoch } = await member.read(TOPIC);
    const limits = { ...AMPLE, size: 333 };
    await Promise.all(
      numbers(60, 400).map(async (offset) => {
        const { messages, ...state } = await member.read(TOPIC, { after: { epoch, offset }, maxMessages: 20 }, limits);
        const isComplete = offset >= 67;
        expect(state).toEqual({ epoch, oldest: 68, newest: 400, isComplete });
        expect(messages.map((each) => each.offset)).toEqual(
          isComplete ? numbers(offset + 1, Math.min(offset + 20, 400)) : [],
        );
      }),
    );
  });

  test("needs few round trips for what is new, and for what is old", async () => {
    const { epoch } = await fill(300);
    await member.read(TOPIC);
    const request = vi.spyOn(connection, "request");
    const costs = async (offset: number, maxMessages: number): Promise<number> => {
      request.mockClear();
      await member.read(TOPIC, { after: { epoch, offset }, maxMessages });
      return request.mock.calls.length;
    };
    // They are the state of the stream, and then the first message and the last one at once.
    expect([await costs(300, 0), await costs(300, 10), await costs(299, 10), await costs(0, 1)]).toEqual([3, 3, 3, 3]);
    // A search comes to that, and a consumer that is made and removed.
    expect(await costs(150, 100)).toBeLessThan(3 + 12 + 12 + 2);
    expect(await costs(0, 300)).toBeLessThan(3 + 12 + 3);
  });

  test("reads a thousand messages that were stored one by one in a moment, several times at once", async () => {
    for (const number of numbers(1, 1_000)) await member.append(TOPIC, [String(number)]);
    const { member: other } = await openMember(server.port);
    const start = performance.now();
    const { messages } = await other.read(TOPIC);
    const durationMs = performance.now() - start;
    expect(messages.map(({ offset }) => offset)).toEqual(numbers(1, 1_000));
    expect(durationMs).toBeLessThan(1_000);
    const pages = await Promise.all(numbers(1, 10).map(() => other.read(TOPIC)));
    for (const page of pages) expect(page.messages).toHaveLength(1_000);
    await vi.waitFor(async () => expect((await manager.streams.info(STREAM)).state.consumer_count).toBe(0));
  });

  test("reads while others append, without a gap", async () => {
    const { member: other } = await openMember(server.port);
    let isOver = false;
    const limits = { ...AMPLE, size: 50 };
    const appending = (async () => {
      for (let i = 0; !isOver; i++) await other.append(TOPIC, [String(i)], limits);
    })();
    await vi.waitFor(async () => expect((await member.read(TOPIC, {}, limits)).newest).toBeGreaterThan(100));
    try {
      for (let i = 0; i < 50; i++) {
        const { oldest, newest, messages } = await member.read(TOPIC, {}, limits);
        expect(newest - oldest).toBe(49);
        expect(messages.map(({ offset }) => offset)).toEqual(numbers(oldest, newest));
      }
    } finally {
      isOver = true;
      await appending;
    }
  });

  test("leaves out what is too old, and keeps what is not", async () => {
    await fill(20);
    const limits = { ...AMPLE, maxAgeMs: 150 };
    await expect.poll(async () => (await member.read(TOPIC, {}, limits)).messages, { timeout: 10_000 }).toEqual([]);
    for (const number of numbers(21, 25)) await member.append(TOPIC, [String(number)], limits);
    const { epoch, oldest, newest, messages } = await member.read(TOPIC, {}, limits);
    expect(newest).toBe(25);
    expect(oldest).toBeGreaterThanOrEqual(21);
    expect(messages.map(({ offset }) => offset)).toEqual(numbers(oldest, 25));
    expect(await member.read(TOPIC, { after: { epoch, offset: 19 } }, limits)).toMatchObject({ isComplete: false });
    expect((await member.read(TOPIC)).messages).toHaveLength(25);
  });

  test("reads up to a message that was deleted by hand, and says so of a position in front of it", async () => {
    const { epoch } = await fill(10);
    const seqs: number[] = [];
    const subject = await subjectOf(manager, TOPIC);
    for (let seq = 1; seqs.length < 10;) {
      const each = (await manager.streams.getMessage(STREAM, { seq, next_by_subj: subject } as MsgRequest))!;
      seqs.push(each.seq);
      seq = each.seq + 1;
    }
    await manager.streams.deleteMessage(STREAM, seqs[4]!);
    const state = { epoch, oldest: 1, newest: 10 };
    expect(await member.read(TOPIC, { after: { epoch, offset: 2 } })).toEqual({
      ...{ ...state, isComplete: false, messages: [] },
    });
    expect((await member.read(TOPIC, { after: { epoch, offset: 5 } })).messages).toHaveLength(5);
    expect((await member.read(TOPIC, { maxMessages: 4 })).messages).toHaveLength(4);
    await expect(member.read(TOPIC)).rejects.toThrow(
      "Messages of a history are missing, or go before they can be read",
    );
  });

  describe("the place of a topic that has no history yet", () => {
    const isComplete = async (after: HistoryPosition): Promise<boolean> =>
      (await member.read(TOPIC, { after })).isComplete;

    const emptyPlace = async (): Promise<HistoryPosition> => {
      const { epoch } = await member.read(TOPIC);
      return { epoch, offset: 0 };
    };

    test("stays complete while other topics are used", async () => {
      const place = await emptyPlace();
      await member.append(OTHER, ["a"], { ...AMPLE, size: 1 });
      await member.append(OTHER, ["b"], { ...AMPLE, size: 1 });
      expect(await member.read(TOPIC, { after: place })).toMatchObject({ epoch: place.epoch, isComplete: true });
      await member.append(TOPIC, ["a"]);
      expect(textsOf((await member.read(TOPIC, { after: place })).messages)).toEqual([[1, "a"]]);
    });

    test("is not complete when a history may have come and gone since", async () => {
      const place = await emptyPlace();
      await member.append(TOPIC, ["lost"]);
      await manager.streams.purge(STREAM);
      expect(await isComplete(place)).toBe(false);
      const later = await emptyPlace();
      expect(later.epoch).not.toBe(place.epoch);
      await member.append(TOPIC, ["a"]);
      expect([await isComplete(place), await isComplete(later)]).toEqual([false, true]);
    });

    test("is not complete when the server has lost its end", async () => {
      await member.append(OTHER, ["a"]);
      await member.append(OTHER, ["b"]);
      const { epoch } = await emptyPlace();
      const [, created, last] = epoch.split("-");
      const future = (Number.parseInt(last!, 36) + 1).toString(36);
      expect(await isComplete({ epoch: `0-${created}-${last}`, offset: 0 })).toBe(true);
      expect(await isComplete({ epoch: `0-${created}-${future}`, offset: 0 })).toBe(false);
      await member.append(TOPIC, ["a"]);
      // This place lies behind the first message.
      expect(await isComplete({ epoch: `0-${created}-${future}`, offset: 0 })).toBe(false);
    });

    test("is not complete when the stream was made anew", async () => {
      const place = await emptyPlace();
      await member.append(TOPIC, ["lost"]);
      await manager.streams.delete(STREAM);
      expect(await isComplete(place)).toBe(false);
      await member.append(TOPIC, ["a"]);
      expect(await isComplete(place)).toBe(false);
    });

    test("is not complete when another epoch lies in front of the present one", async () => {
      const place = await emptyPlace();
      await member.append(TOPIC, ["a"]);
      await member.append(TOPIC, ["b"]);
      const last = (await manager.streams.getMessage(STREAM, { last_by_subj: await subjectOf(manager, TOPIC) }))!;
      await manager.streams.deleteMessage(STREAM, last.seq);
      expect(await member.append(TOPIC, ["a new epoch"])).toMatchObject({ offset: 1 });
      expect(await isComplete(place)).toBe(false);
    });
  });

  test("takes the longest topic under the longest prefix", async () => {
    const prefix = `${"p".repeat(255)}é`;
    const { member: long } = await openMember(server.port, { prefix });
    const topic = HISTORY_PREFIX + "你".repeat(512);
    await long.broker.subscribe(topic);
    for (const number of numbers(1, 10)) await long.append(topic, [String(number)]);
    expect(await long.received(10)).toHaveLength(10);
    expect((await long.read(topic)).messages).toHaveLength(10);
    expect(Buffer.from(topic)).toHaveLength(1 + "history:".length + 1_536);
  });
});
