import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Deadlines } from "../../../src/transport/timers/deadlines.ts";
import { runScript } from "../../support/app.ts";

// What has come is read before an item falls due. Here nothing comes, so that everything is due at its moment.
vi.mock(
  import("../../../src/platform.ts"),
  async (original) => ({ ...await original(), afterReading: (task) => task() }),
);

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

interface Due {
  item: string;
  atMs: number;
}

/** Deadlines that record which items fall due, and when. */
function recorded(durationMs: number): { deadlines: Deadlines<string>; dues: Due[] } {
  const dues: Due[] = [];
  const deadlines = new Deadlines<string>(durationMs, (item) => dues.push({ item, atMs: performance.now() }));
  return { deadlines, dues };
}

function maxLateMs(durationMs: number): number {
  // The slack, and the error of a clock that is read in whole milliseconds.
  return Math.min(durationMs / 32, 1_000) + 2;
}

test("items fall due in the order in which they were added, each after its time", () => {
  const { deadlines, dues } = recorded(1_000);
  for (const item of ["a", "b", "c"]) {
    deadlines.add(item);
    vi.advanceTimersByTime(300);
  }
  expect(deadlines.size).toBe(3);
  vi.advanceTimersByTime(1_000);
  expect(dues).toEqual([{ item: "a", atMs: 1_000 }, { item: "b", atMs: 1_300 }, { item: "c", atMs: 1_600 }]);
  expect(deadlines.size).toBe(0);
});

test("items that fall due close to each other share a timer, and none is late by more than 1/32", () => {
  const { deadlines, dues } = recorded(3_200);
  const setTimer = vi.spyOn(globalThis, "setTimeout");
  for (let i = 0; i < 1_000; i++) {
    deadlines.add(`${i}`);
    vi.advanceTimersByTime(1);
  }
  vi.advanceTimersByTime(3_300);
  expect(dues.map(({ item }) => item)).toEqual(Array.from({ length: 1_000 }, (_, i) => `${i}`));
  const lateMs = dues.map(({ item, atMs }) => atMs - Number(item) - 3_200);
  expect(Math.min(...lateMs)).toBe(0);
  expect(Math.max(...lateMs)).toBeLessThanOrEqual(100);
  // The clock is looked at eight more times meanwhile.
  expect(setTimer.mock.calls.length).toBeLessThanOrEqual(1_000 / 100 + 2 + 8);
});

test("above half a minute the slack is one second", () => {
  const { deadlines, dues } = recorded(3_600_000);
  deadlines.add("a");
  vi.advanceTimersByTime(1);
  deadlines.add("b");
  vi.advanceTimersByTime(3_601_000);
  expect(dues).toEqual([{ item: "a", atMs: 3_600_000 }, { item: "b", atMs: 3_601_000 }]);
});

test("an item that is added again has its whole time again, and moves behind the others", () => {
  const { deadlines, dues } = recorded(1_000);
  deadlines.add("a");
  deadlines.add("b");
  vi.advanceTimersByTime(500);
  deadlines.add("a");
  expect(deadlines.size).toBe(2);
  vi.advanceTimersByTime(2_000);
  expect(dues).toEqual([{ item: "b", atMs: 1_000 }, { item: "a", atMs: 1_500 }]);
});

test("an item that is deleted never falls due", () => {
  const { deadlines, dues } = recorded(1_000);
  deadlines.add("a");
  deadlines.add("b");
  deadlines.delete("a");
  deadlines.delete("stranger");
  vi.advanceTimersByTime(5_000);
  expect(dues.map(({ item }) => item)).toEqual(["b"]);
});

test("clear forgets everything and stops the timer; items may be added again", () => {
  const { deadlines, dues } = recorded(1_000);
  deadlines.add("a");
  deadlines.clear();
  expect([deadlines.size, vi.getTimerCount()]).toEqual([0, 0]);
  vi.advanceTimersByTime(700);
  deadlines.add("b");
  vi.advanceTimersByTime(5_000);
  expect(dues).toEqual([{ item: "b", atMs: 1_700 }]);
});

test("there is one timer at most, and none when nothing is left", () => {
  const { deadlines } = recorded(1_000);
  expect(vi.getTimerCount()).toBe(0);
  for (let i = 0; i < 50; i++) {
    deadlines.add(`${i}`);
    vi.advanceTimersByTime(97);
    expect(vi.getTimerCount()).toBe(1);
  }
  vi.advanceTimersByTime(2_000);
  expect(vi.getTimerCount()).toBe(0);
});

describe("while an item falls due", () => {
  test("it may be added again, and makes no other item late", () => {
    const dues: Due[] = [];
    const deadlines: Deadlines<string> = new Deadlines(1_000, (item) => {
      dues.push({ item, atMs: performance.now() });
      if (dues.length <= 4) deadlines.add(item);
    });
    deadlines.add("a");
    vi.advanceTimersByTime(500);
    deadlines.add("b");
    vi.advanceTimersByTime(5_000);
    expect(dues).toEqual([
      { item: "a", atMs: 1_000 },
      { item: "b", atMs: 1_500 },
      { item: "a", atMs: 2_000 },
      { item: "b", atMs: 2_500 },
      { item: "a", atMs: 3_000 },
      { item: "b", atMs: 3_500 },
    ]);
  });

  test("others may be deleted", () => {
    const dues: string[] = [];
    const deadlines: Deadlines<string> = new Deadlines(1_000, (item) => {
      dues.push(item);
      deadlines.delete("b");
    });
    for (const item of ["a", "b", "c"]) deadlines.add(item);
    vi.advanceTimersByTime(5_000);
    expect(dues).toEqual(["a", "c"]);
  });

  test("everything may be cleared", () => {
    const dues: string[] = [];
    const deadlines: Deadlines<string> = new Deadlines(1_000, (item) => {
      dues.push(item);
      deadlines.clear();
    });
    for (const item of ["a", "b", "c"]) deadlines.add(item);
    vi.advanceTimersByTime(5_000);
    expect(dues).toEqual(["a"]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

test("any sequence of additions and deletions: in order, never early, never late by more than the slack", () => {
  type Change = { do: "add" | "delete"; item: number; thenMs: number };
  const steps = fc.array(
    fc.record<Change>({
      do: fc.constantFrom("add", "add", "add", "delete"),
      item: fc.integer({ min: 0, max: 6 }),
      thenMs: fc.integer({ min: 0, max: 400 }).map((quarters) => quarters / 4),
    }),
    { maxLength: 60 },
  );
  fc.assert(fc.property(fc.integer({ min: 1, max: 500 }), steps, (durationMs, steps) => {
    const expected = new Map<string, number>();
    const order: string[] = [];
    const deadlines = new Deadlines<string>(durationMs, (item) => {
      const lateMs = performance.now() - expected.get(item)!;
      expect(lateMs).toBeGreaterThanOrEqual(0);
      expect(lateMs).toBeLessThanOrEqual(maxLateMs(durationMs));
      expect(item).toBe(order.shift());
      expected.delete(item);
    });
    const forget = (item: string): void => {
      if (expected.delete(item)) order.splice(order.indexOf(item), 1);
    };
    for (const step of steps) {
      const item = `${step.item}`;
      forget(item);
      if (step.do === "add") {
        order.push(item);
        expected.set(item, performance.now() + durationMs);
        deadlines.add(item);
      } else deadlines.delete(item);
      vi.advanceTimersByTime(step.thenMs);
    }
    vi.advanceTimersByTime(durationMs + maxLateMs(durationMs));
    expect(order).toEqual([]);
    expect(deadlines.size).toBe(0);
  }));
});

test("a deadline keeps no process alive", async () => {
  vi.useRealTimers();
  const { exitCode, output } = await runScript(`
    import { Deadlines } from "{src}/transport/timers/deadlines.ts";
    new Deadlines(3_600_000, () => {}).add("a");
    console.log("added");
  `);
  expect({ exitCode, output }).toEqual({ exitCode: 0, output: "added" });
});
