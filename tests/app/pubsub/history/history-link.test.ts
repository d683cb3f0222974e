import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { HistoryPage, HistoryPosition } from "../../../../mod.ts";
import { HISTORY_PREFIX } from "../../../../src/app/pubsub/broker.ts";
import { HistoryLink } from "../../../../src/app/pubsub/history/history-link.ts";
import { decodeRecord } from "../../../../src/app/pubsub/history/record.ts";
import { fakeClocks } from "../../../support/followers.ts";

beforeEach(fakeClocks);
afterEach(() => void vi.useRealTimers());

const LIMITS = { size: 10, maxAgeMs: 1_000 };
const RANGE = { maxMessages: 0, maxBytes: 0 };
const PAGE: HistoryPage = { epoch: "e", oldest: 1, newest: 0, isComplete: true, messages: [] };
const KIB = 1024;

/** A link to a broker that answers when the test says so. */
function linked(maxReads: number = 2) {
  const appends: { topic: string; texts: string[]; answer: PromiseWithResolvers<HistoryPosition> }[] = [];
  const reads: PromiseWithResolvers<HistoryPage>[] = [];
  const failures: string[] = [];
  const link = new HistoryLink(
    {
      append(topic, records, limits) {
        expect(limits).toBe(LIMITS);
        const answer = Promise.withResolvers<HistoryPosition>();
        appends.push({ topic, texts: records.map((record) => String(decodeRecord(record))), answer });
        return answer.promise;
      },
      read(topic) {
        expect(topic).toBe(`${HISTORY_PREFIX}news`);
        const answer = Promise.withResolvers<HistoryPage>();
        reads.push(answer);
        return answer.promise;
      },
    },
    maxReads,
    (method, error) => void failures.push(`${method}: ${(error as Error).message}`),
  );
  return { link, appends, reads, failures };
}

describe("append", () => {
  test("sends the messages of a turn to each topic as one, and gives each its position", async () => {
    const { link, appends } = linked();
    const positions = [["a", "1"], ["b", "2"], ["a", "3"]].map(([topic, text]) => link.append(topic, text, LIMITS));
    await nextTurn();
    expect(appends.map(({ topic, texts }) => [topic.slice(HISTORY_PREFIX.length), texts])).toEqual([
      ["a", ["1", "3"]],
      ["b", ["2"]],
    ]);
    appends[0].answer.resolve({ epoch: "e", offset: 8 });
    appends[1].answer.resolve({ epoch: "f", offset: 1 });
    expect((await Promise.all(positions)).map(({ offset }) => offset)).toEqual([7, 1, 8]);
  });

  test("rejects for all messages that were sent as one, and tells of the failure once", async () => {
    const { link, appends, failures } = linked();
    const all = Promise.allSettled(["1", "2"].map((text) => link.append("a", text, LIMITS)));
    await nextTurn();
    appends[0].answer.reject(new Error("disk full"));
    expect((await all).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(failures).toEqual(["append to a history: disk full"]);
  });

  test("limits the bytes of what is sent as one, and keeps the order", async () => {
    const { link, appends } = linked();
    const texts = Array.from({ length: 10 }, (_, i) => `${i}`.repeat(20 * KIB));
    for (const text of texts) void link.append("a", text, LIMITS);
    await nextTurn();
    expect(appends.flatMap(({ texts }) => texts)).toEqual(texts);
    expect(Math.max(...appends.map(({ texts }) => texts.join("").length))).toBeLessThanOrEqual(64 * KIB);
    expect(appends.length).toBeLessThan(10);
  });

  test("rejects while 16 MiB are on their way, and takes more when the broker has answered", async () => {
    const { link, appends } = linked();
    const block = "x".repeat(KIB * KIB);
    for (let i = 0; i < 15; i++) void link.append("a", block, LIMITS);
    const last = link.append("a", "x".repeat(KIB * KIB - 16), LIMITS);
    await expect(link.append("a", "more", LIMITS)).rejects.toThrow(/too slow.*\d{8} bytes/);
    await nextTurn();
    for (const { answer } of appends) answer.resolve({ epoch: "e", offset: 1 });
    await last;
    const next = link.append("a", "more", LIMITS);
    await nextTurn();
    appends.at(-1)!.answer.resolve({ epoch: "e", offset: 2 });
    expect(await next).toEqual({ epoch: "e", offset: 2 });
  });

  test("is sent by close, and refused after it", async () => {
    const { link, appends } = linked();
    const last = link.append("a", "last", LIMITS);
    link.close();
    expect(appends).toHaveLength(1);
    appends[0].answer.resolve({ epoch: "e", offset: 1 });
    expect(await last).toEqual({ epoch: "e", offset: 1 });
    await expect(link.append("a", "late", LIMITS)).rejects.toThrow(/closed/);
  });
});

describe("read", () => {
  const always = (): boolean => true;

  test("tries again until the broker is there", async () => {
    const { link, reads, failures } = linked();
    const page = link.read("news", RANGE, LIMITS, always);
    for (let i = 0; i < 3; i++) {
      reads[i].reject(new Error("away"));
      await vi.advanceTimersByTimeAsync(1_000);
    }
    reads[3].resolve(PAGE);
    expect(await page).toBe(PAGE);
    expect(failures).toHaveLength(3);
  });

  test("ends when nobody waits any more, and when the link is closed", async () => {
    const { link, reads } = linked();
    let isWanted = true;
    const pages = [link.read("news", RANGE, LIMITS, () => isWanted), link.read("news", RANGE, LIMITS, always)];
    reads.forEach(({ reject }) => reject(new Error("away")));
    isWanted = false;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await pages[0]).toBeUndefined();
    expect(reads).toHaveLength(3);
    link.close();
    reads[2].reject(new Error("closed"));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await pages[1]).toBeUndefined();
    expect(reads).toHaveLength(3);
  });

  test("has at most maxReads under way, in the order in which they came", async () => {
    const { link, reads } = linked(2);
    const done: number[] = [];
    const pages = [0, 1, 2, 3, 4].map((i) => link.readOnce("news", RANGE, LIMITS).then(() => done.push(i)));
    expect(reads).toHaveLength(2);
    for (let i = 0; i < 5; i++) {
      reads[i].resolve(PAGE);
      await nextTurn();
      expect(reads).toHaveLength(Math.min(5, i + 3));
    }
    await Promise.all(pages);
    expect(done).toEqual([0, 1, 2, 3, 4]);
    void link.readOnce("news", RANGE, LIMITS);
    void link.readOnce("news", RANGE, LIMITS);
    expect(reads).toHaveLength(7);
  });

  test("asks the broker nothing for who has gone while others were read", async () => {
    const { link, reads } = linked(1);
    let isWanted = true;
    const first = link.readOnce("news", RANGE, LIMITS);
    const gone = Array.from({ length: 500 }, () => link.read("news", RANGE, LIMITS, () => isWanted));
    isWanted = false;
    const last = link.read("news", RANGE, LIMITS, always);
    reads[0].resolve(PAGE);
    await first;
    await vi.advanceTimersByTimeAsync(1_000);
    reads[1].resolve(PAGE);
    expect(await last).toBe(PAGE);
    expect(new Set(await Promise.all(gone))).toEqual(new Set([undefined]));
    expect(reads).toHaveLength(2);
  });

  test("that fails once rejects, and leaves room for the next", async () => {
    const { link, reads } = linked(1);
    const first = expect(link.readOnce("news", RANGE, LIMITS)).rejects.toThrow("away");
    const second = link.readOnce("news", RANGE, LIMITS);
    reads[0].reject(new Error("away"));
    await first;
    await nextTurn();
    reads[1].resolve(PAGE);
    expect(await second).toBe(PAGE);
  });
});
