import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { HistoryPage, HistoryRange } from "../../../../mod.ts";
import { resolveTopic } from "../../../../src/app/pubsub/history/history-options.ts";
import { MessageLog } from "../../../../src/app/pubsub/history/message-log.ts";
import { encodeRecord } from "../../../../src/app/pubsub/history/record.ts";
import { TopicHistory } from "../../../../src/app/pubsub/history/topic-history.ts";
import { TopicSync } from "../../../../src/app/pubsub/history/topic-sync.ts";
import { fakeClocks, FakeSocket, topicsOf } from "../../../support/followers.ts";

beforeEach(fakeClocks);
afterEach(() => void vi.useRealTimers());

/** A history that the test answers reads of, and a plain subscriber of its topic. */
function synced() {
  const memory = { messages: 0, bytes: 0 };
  const got: string[] = [];
  const subscriber = new FakeSocket(topicsOf(undefined), false, (data) => void got.push(String(data)));
  subscriber.subscriptions = new Set(["news"]);
  const history = new TopicHistory<FakeSocket>("news", {
    options: resolveTopic({ history: true })!,
    log: new MessageLog(memory, "0"),
    members: () => [subscriber],
    store: { find: () => Promise.resolve(undefined), read: () => Promise.resolve(undefined) },
  });
  const reads: { range: HistoryRange; answer: (page: HistoryPage | undefined) => Promise<void> }[] = [];
  const read = (range: HistoryRange): Promise<HistoryPage | undefined> => {
    const { promise, resolve } = Promise.withResolvers<HistoryPage | undefined>();
    reads.push({
      range,
      async answer(page) {
        resolve(page);
        await nextTurn();
      },
    });
    return promise;
  };
  const onAppended = vi.fn();
  const sync = new TopicSync(history, read, onAppended);
  const live = (epoch: string, ...offsets: number[]): void => {
    for (const offset of offsets) sync.onMessage({ epoch, offset }, encodeRecord(`${epoch}.${offset}`));
  };
  return { history, log: history.log, memory, sync, got, reads, live, onAppended };
}

/** What a broker gives of an epoch with messages up to `newest`, of which those from `oldest` on are kept. */
function page(epoch: string, oldest: number, newest: number, after: number | undefined): HistoryPage {
  const isComplete = after !== undefined && after >= oldest - 1;
  const messages = [];
  for (let offset = after! + 1; isComplete && offset <= newest; offset++) {
    messages.push({ offset, bytes: encodeRecord(`${epoch}.${offset}`) });
  }
  return { epoch, oldest, newest, isComplete, messages };
}

async function ready(newest: number) {
  const all = synced();
  void all.sync.sync();
  expect(all.reads[0].range).toEqual({ maxMessages: 0, maxBytes: 0 });
  await all.reads[0].answer(page("e", newest + 1, newest, undefined));
  all.reads.length = 0;
  return all;
}

const ids = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, i) => `e.${from + i}`);

test("begins at the end of the history, and goes on with what comes live", async () => {
  const { log, live, got, reads } = await ready(5);
  expect(log.end).toEqual({ epoch: "e", offset: 5 });
  live("e", 6, 7);
  expect([got, reads]).toEqual([ids(6, 7), []]);
});

test("gives its subscribers what has come before the end of the history was known", async () => {
  const { log, sync, live, got, reads } = synced();
  void sync.sync();
  live("e", 3, 4);
  await reads[0].answer(page("e", 1, 4, undefined));
  live("e", 5);
  expect([got, log.end]).toEqual([ids(3, 5), { epoch: "e", offset: 5 }]);
});

test("reads what was lost behind the first message that has come", async () => {
  const { sync, live, got, reads } = synced();
  void sync.sync();
  live("e", 3);
  await reads[0].answer(page("e", 1, 5, undefined));
  await vi.advanceTimersByTimeAsync(1_000);
  await reads[1].answer(page("e", 1, 5, 3));
  expect(got).toEqual(ids(3, 5));
});

test("takes each message once", async () => {
  const { live, got, reads } = await ready(5);
  live("e", 6, 6, 5, 7, 1, 7);
  expect([got, reads]).toEqual([ids(6, 7), []]);
});

test("reads what is missing in front of a message, and keeps the order of what comes meanwhile", async () => {
  const { live, got, reads, log } = await ready(5);
  live("e", 8, 9);
  expect(reads.map(({ range }) => range.after)).toEqual([{ epoch: "e", offset: 5 }]);
  live("e", 10);
  await reads[0].answer(page("e", 1, 9, 5));
  expect([got, log.newest]).toEqual([ids(6, 10), 10]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(reads).toHaveLength(1);
});

test("reads page by page", async () => {
  const { live, got, reads } = await ready(0);
  live("e", 9);
  await reads[0].answer({ ...page("e", 1, 4, 0), newest: 9 });
  expect(reads[1].range.after).toEqual({ epoch: "e", offset: 4 });
  await reads[1].answer(page("e", 1, 9, 4));
  expect([got, reads]).toEqual([ids(1, 9), expect.objectContaining({ length: 2 })]);
});

test("says that there may be too many messages, whichever way they came", async () => {
  const { live, reads, onAppended } = await ready(0);
  live("e", 1);
  expect(onAppended).toHaveBeenCalledTimes(1);
  live("e", 4);
  await reads[0].answer(page("e", 1, 4, 1));
  expect(onAppended).toHaveBeenCalledTimes(4);
});

test("reads again when the broker does not have yet what has come already", async () => {
  const { live, got, reads } = await ready(5);
  live("e", 8);
  await reads[0].answer(page("e", 1, 5, 5));
  await vi.advanceTimersByTimeAsync(1_000);
  await reads[1].answer(page("e", 1, 8, 5));
  expect(got).toEqual(ids(6, 8));
});

test("goes on behind what is lost", async () => {
  const { live, got, reads, log } = await ready(5);
  live("e", 9);
  await reads[0].answer(page("e", 8, 9, 5));
  live("e", 10);
  expect([got, log.end]).toEqual([["e.10"], { epoch: "e", offset: 10 }]);
});

describe("another epoch", () => {
  test("is read, because messages of the epoch before may have been missed", async () => {
    const { live, got, reads, log } = await ready(5);
    live("f", 1);
    expect(got).toEqual([]);
    await reads[0].answer(page("f", 1, 1, undefined));
    live("f", 2);
    expect([got, log.end]).toEqual([["f.2"], { epoch: "f", offset: 2 }]);
  });

  test("is read also in front of its first message", async () => {
    const { live, got, reads } = await ready(0);
    live("f", 1);
    expect([got, reads[0].range.after]).toEqual([[], { epoch: "e", offset: 0 }]);
    await reads[0].answer(page("f", 1, 1, 0));
    expect(got).toEqual(["f.1"]);
  });
});

test("reads once more for all that comes after 1,024 messages wait", async () => {
  const { live, got, reads, sync } = await ready(0);
  void sync.sync();
  live("e", ...Array.from({ length: 1_500 }, (_, i) => i + 1));
  await reads[0].answer(page("e", 1, 0, 0));
  expect(got).toHaveLength(1_024);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(reads[1].range.after).toEqual({ epoch: "e", offset: 1_024 });
  await reads[1].answer(page("e", 1, 1_500, 1_024));
  expect(got).toEqual(ids(1, 1_500));
});

test("does nothing with what waits once it is closed", async () => {
  const { live, got, reads, sync, history, log, memory } = await ready(5);
  void sync.sync();
  live("e", 6);
  sync.close();
  history.log.clear();
  await reads[0].answer(page("e", 1, 6, 5));
  expect([got, log.size, memory.bytes]).toEqual([[], 0, 0]);
});
