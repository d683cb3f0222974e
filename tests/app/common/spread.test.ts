import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { spread } from "../../../src/app/common/spread.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

test("runs the first task at once, and the others evenly over the time", async () => {
  const done: string[] = [];
  const spreading = spread(["a", "b", "c", "d"], 1_000, (item) => done.push(item));
  const seen: string[] = [];
  for (let i = 0; i < 4; i++) {
    seen.push(done.join(""));
    vi.advanceTimersByTime(249);
    seen.push(done.join(""));
    vi.advanceTimersByTime(1);
  }
  expect(seen).toEqual(["a", "a", "ab", "ab", "abc", "abc", "abcd", "abcd"]);
  await spreading.done;
  expect(vi.getTimerCount()).toBe(0);
});

test("runs all tasks inside of the call when the time is 0, and none when there is no item", async () => {
  const done: number[] = [];
  await spread([1, 2, 3], 0, (item) => done.push(item)).done;
  await spread([], 1_000, (item) => done.push(item)).done;
  expect(done).toEqual([1, 2, 3]);
  const sync: number[] = [];
  spread([1, 2, 3], 0, (item) => sync.push(item));
  expect(sync).toEqual([1, 2, 3]);
});

test("keeps the pace with many more items than milliseconds", async () => {
  let count = 0;
  const spreading = spread(Array.from({ length: 10_000 }), 100, () => count++);
  expect(count).toBe(1);
  vi.advanceTimersByTime(50);
  expect(Math.abs(count - 5_000)).toBeLessThan(200);
  vi.advanceTimersByTime(50);
  await spreading.done;
  expect(count).toBe(10_000);
});

test("leaves out what has not run yet after stop", () => {
  const done: number[] = [];
  const spreading = spread([1, 2, 3], 300, (item) => done.push(item));
  vi.advanceTimersByTime(100);
  spreading.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(1_000);
  expect(done).toEqual([1, 2]);
});
