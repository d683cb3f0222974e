/** The scripts that keep histories in Redis, beside histories in memory: any order of appends and reads. */

import fc from "fast-check";
import { createClient, type RedisClientType } from "redis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HISTORY_PREFIX, type HistoryPage, type HistoryPosition } from "../../src/app/pubsub/broker.ts";
import type { OpenBroker } from "../support/broker-contract.ts";
import { ALL, AMPLE, HistoryMember } from "../support/history-contract.ts";
import { MemoryHistories } from "../support/memory-histories.ts";
import { openNodeRedis } from "../support/redis-clients.ts";
import { redisServer } from "../support/redis-server.ts";
import { isInstalled, ServerProgram } from "../support/server-program.ts";

const HOUR_MS = 3_600_000;

const append = fc.record({
  does: fc.constant("append" as const),
  messages: fc.array(fc.uint8Array({ maxLength: 20 }), { minLength: 1, maxLength: 40 }),
  size: fc.integer({ min: 1, max: 60 }),
});

const read = fc.record({
  does: fc.constant("read" as const),
  /** The place in the list of the epochs that are known, and the offset. */
  after: fc.option(fc.record({ epoch: fc.nat(9), offset: fc.integer({ min: -1, max: 150 }) }), { nil: undefined }),
  maxMessages: fc.nat(50),
  maxBytes: fc.integer({ min: 0, max: 400 }),
  size: fc.integer({ min: 1, max: 60 }),
  // At an age of 0, all messages have expired.
  maxAgeMs: fc.constantFrom(AMPLE.maxAgeMs, AMPLE.maxAgeMs, 0),
});

const lose = fc.record({ does: fc.constant("lose" as const) });

const steps = fc.array(
  fc.oneof({ weight: 4, arbitrary: append }, { weight: 8, arbitrary: read }, { weight: 1, arbitrary: lose }),
  { maxLength: 40, size: "max" },
);

describe.skipIf(!isInstalled(redisServer))("histories in Redis (redis-server)", () => {
  let server: ServerProgram;
  let opened: OpenBroker;
  let ada: HistoryMember;
  let admin: RedisClientType;
  let topic: string;
  let topicCount = 0;

  beforeAll(async () => {
    server = await (await ServerProgram.create(redisServer)).start();
    opened = openNodeRedis(server.port, 3);
    ada = await new HistoryMember(opened.broker).connected();
    admin = createClient({ socket: { port: server.port, host: "127.0.0.1" } });
    await admin.connect();
  });

  afterAll(async () => {
    admin.destroy();
    await opened.broker.close();
    await opened.endClient();
    await server.dispose();
  });

  const keyOf = (topic: string): string => `spacenode:history:${topic.slice(HISTORY_PREFIX.length)}`;

  const nextTopic = (): string => topic = `${HISTORY_PREFIX}${++topicCount}`;

  test("give what histories in memory give", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (steps) => {
        nextTopic();
        const memory = new MemoryHistories();
        /** The epochs that belong together: those in Redis, and those in memory. */
        const known = new Map<string, string>([["unknown", "unknown"]]);
        const note = (redis: HistoryPosition, inMemory: HistoryPosition): void => {
          expect(redis.offset).toBe(inMemory.offset);
          if (known.has(redis.epoch)) expect(inMemory.epoch).toBe(known.get(redis.epoch));
          else known.set(redis.epoch, inMemory.epoch);
        };
        for (const step of steps) {
          if (step.does === "lose") {
            await admin.del(keyOf(topic));
            memory.lose(topic);
            // Redis does not know that somebody has deleted a key since a place where there was no history.
            for (const epoch of known.keys()) if (epoch.startsWith("none-")) known.delete(epoch);
            continue;
          }
          if (step.does === "append") {
            const limits = { ...AMPLE, size: step.size };
            const position = await ada.broker.append!(topic, step.messages, limits);
            note(position, memory.append(topic, step.messages, limits));
            continue;
          }
          const { after, maxMessages, maxBytes, size, maxAgeMs } = step;
          const [epoch, epochInMemory] = [...known].at((after?.epoch ?? 0) % known.size)!;
          const range = { after: after && { ...after, epoch }, maxMessages, maxBytes };
          const rangeInMemory = { ...range, after: after && { ...after, epoch: epochInMemory } };
          const page = await ada.broker.read!(topic, range, { size, maxAgeMs });
          const expected = memory.read(topic, rangeInMemory, { size, maxAgeMs });
          note({ ...page, offset: page.newest }, { ...expected, offset: expected.newest });
          expect({ ...page, epoch: "" }).toEqual({ ...expected, epoch: "" });
        }
      }),
      { numRuns: 200 },
    );
  }, 120_000);

  /** Makes a history whose messages have these ages in hours, and reads it with a limit of `maxAge` hours. */
  async function readAged(ages: readonly number[], maxAge: number): Promise<HistoryPage> {
    const { epoch } = await ada.append(nextTopic(), ["to be deleted"]);
    const now = Date.now();
    const transaction = admin.multi().del(keyOf(topic));
    for (const [i, age] of ages.entries()) {
      transaction.xAdd(keyOf(topic), `${i + 1}-${now - age * HOUR_MS}`, { [epoch]: String(i + 1) });
    }
    await transaction.exec();
    // Half an hour is more than the test can take.
    return await ada.broker.read!(topic, ALL, { ...AMPLE, maxAgeMs: (maxAge + 0.5) * HOUR_MS });
  }

  test("give every message that has not expired, and no other", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(20), { minLength: 1, maxLength: 70 }), fc.nat(20), async (ages, maxAge) => {
        const sorted = ages.toSorted((a, b) => b - a);
        const { oldest, newest, messages } = await readAged(sorted, maxAge);
        const expected = sorted.flatMap((age, i) => age > maxAge ? [] : [i + 1]);
        expect(messages.map(({ offset }) => offset)).toEqual(expected);
        expect([oldest, newest]).toEqual([expected[0] ?? ages.length + 1, ages.length]);
      }),
      { numRuns: 200 },
    );
  }, 120_000);

  test("leave no gap, whatever the clock of the server has done", async () => {
    const age = fc.integer({ min: -20, max: 20 });
    await fc.assert(
      fc.asyncProperty(fc.array(age, { minLength: 1, maxLength: 70 }), fc.nat(20), async (ages, maxAge) => {
        const { oldest, newest, messages } = await readAged(ages, maxAge);
        const offsets = Array.from({ length: newest - oldest + 1 }, (_, i) => oldest + i);
        expect(messages.map(({ offset }) => offset)).toEqual(offsets);
        expect(messages.map(({ bytes }) => Number(Buffer.from(bytes)))).toEqual(offsets);
        const isExpired = (offset: number): boolean => Math.abs(ages[offset - 1]) > maxAge;
        expect(newest).toBe(ages.length);
        if (oldest <= newest) expect(isExpired(oldest)).toBe(false);
        if (oldest > 1) expect(isExpired(oldest - 1)).toBe(true);
        const position = await ada.append(topic, ["next"]);
        expect(position.offset).toBe(ages.length + 1);
      }),
      { numRuns: 200 },
    );
  }, 120_000);
});
