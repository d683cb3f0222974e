import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MessageLog } from "../../../../src/app/pubsub/history/message-log.ts";

const AMPLE = { size: 1_000, maxAgeMs: 1_000_000 };

function filled(count: number): { log: MessageLog; memory: { messages: number; bytes: number } } {
  const memory = { messages: 0, bytes: 0 };
  const log = new MessageLog(memory, "empty");
  log.begin("e");
  for (let i = 1; i <= count; i++) log.append(`message ${i}`, i);
  return { log, memory };
}

test("offsets begin at 1, and stay when messages go", () => {
  const { log } = filled(3);
  log.trim({ ...AMPLE, size: 2 }, 3);
  expect([log.oldest, log.newest, log.size]).toEqual([2, 3, 2]);
  expect([1, 2, 3, 4].map((offset) => log.at(offset)?.data)).toEqual([undefined, "message 2", "message 3", undefined]);
  log.clear();
  expect([log.oldest, log.end]).toEqual([4, { epoch: "e", offset: 3 }]);
  expect(log.append("next", 5).offset).toBe(4);
});

test("a message is kept until its age is maxAgeMs", () => {
  const { log } = filled(3);
  log.trim({ ...AMPLE, maxAgeMs: 10 }, 11);
  expect(log.oldest).toBe(2);
  log.trim({ ...AMPLE, maxAgeMs: 10 }, 12.9);
  expect(log.oldest).toBe(3);
});

describe("a reader goes on", () => {
  const { log } = filled(5);
  log.trim({ ...AMPLE, size: 3 }, 5);

  test.each([
    ["at the oldest message without a position", undefined, 2],
    ["right in front of the oldest message", { epoch: "e", offset: 2 }, 2],
    ["in the middle", { epoch: "e", offset: 4 }, 4],
    ["at the end", { epoch: "e", offset: 5 }, 5],
    ["not behind what was dropped", { epoch: "e", offset: 1 }, undefined],
    ["not ahead of the newest message", { epoch: "e", offset: 6 }, undefined],
    ["not in another epoch", { epoch: "f", offset: 4 }, undefined],
    ["not in the epoch before the first message, once that is dropped", { epoch: "empty", offset: 0 }, undefined],
  ])("%s", (_name, after, expected) => {
    expect(log.offsetOf(after)).toBe(expected);
  });

  test("in the epoch before the first message, while that is kept", () => {
    const { log } = filled(2);
    expect(log.offsetOf({ epoch: "empty", offset: 0 })).toBe(0);
    expect(log.offsetOf({ epoch: "empty", offset: 1 })).toBeUndefined();
    log.reset({ epoch: "f", offset: 0 });
    expect(log.offsetOf({ epoch: "empty", offset: 0 })).toBeUndefined();
    expect(log.offsetOf({ epoch: "e", offset: 0 })).toBeUndefined();
  });
});

test("the bytes of all logs are counted, texts as UTF-8", () => {
  const memory = { messages: 0, bytes: 0 };
  const [a, b] = [new MessageLog(memory, "a"), new MessageLog(memory, "b")];
  a.append("\u4f60", 0);
  b.append(Buffer.alloc(100), 0);
  expect([a.bytes, b.bytes, memory.bytes]).toEqual([67, 164, 231]);
  a.dropOldest();
  b.reset({ epoch: "c", offset: 9 });
  expect([a.bytes, b.bytes, memory.bytes]).toEqual([0, 0, 0]);
});

const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ what: fc.constant("append" as const), count: fc.integer({ min: 1, max: 50 }) }),
  },
  { weight: 5, arbitrary: fc.record({ what: fc.constant("trim" as const), size: fc.integer({ min: 1, max: 100 }) }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("drop" as const), count: fc.nat(40) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom("clear" as const, "reset" as const) }) },
);

test("it has what a simple list has, whatever is appended and dropped", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: "max" }), (steps) => {
      const { log, memory } = filled(0);
      let list: { offset: number; data: string }[] = [];
      let newest = 0;
      for (const each of steps) {
        if (each.what === "append") {
          for (let i = 0; i < each.count; i++) {
            list.push({ offset: ++newest, data: `message ${newest}` });
            log.append(`message ${newest}`, 0);
          }
        } else if (each.what === "trim") {
          list = list.slice(-each.size);
          log.trim({ ...AMPLE, size: each.size }, 0);
        } else if (each.what === "drop") {
          for (let left = Math.min(each.count, list.length); left > 0; left--) log.dropOldest();
          list = list.slice(each.count);
        } else if (each.what === "clear") {
          list = [];
          log.clear();
        } else {
          [list, newest] = [[], 7];
          log.reset({ epoch: "f", offset: 7 });
        }
        expect([log.size, log.newest, log.oldest]).toEqual([list.length, newest, list[0]?.offset ?? newest + 1]);
        expect(list.map(({ offset }) => log.at(offset)?.data)).toEqual(list.map(({ data }) => data));
        expect([log.at(log.oldest - 1), log.at(newest + 1)]).toEqual([undefined, undefined]);
        expect(log.bytes).toBe(list.reduce((sum, { data }) => sum + 64 + data.length, 0));
        expect(memory).toEqual({ messages: log.size, bytes: log.bytes });
      }
    }),
    { numRuns: 200 },
  );
});
