// A process stands still, or a clock jumps: what was added keeps the rest of its time, and nothing happens all at once.

import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Deadlines } from "../../../src/transport/timers/deadlines.ts";
import { Heartbeat, type HeartbeatTarget } from "../../../src/transport/timers/heartbeat.ts";

const MINUTE_MS = 60_000;
const LONGEST_MS = 2 ** 31 - 1;

let jumpedMs = 0;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] });
  jumpedMs = 0;
  const now = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => now() + jumpedMs);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Lets the clock go on while no timer and no socket gets its turn. */
function standStill(durationMs: number): void {
  jumpedMs += durationMs;
}

/** Lets time pass, with a look at the sockets at each of 100 moments. */
async function pass(durationMs: number): Promise<void> {
  for (let i = 0; i < 100; i++) {
    vi.advanceTimersByTime(durationMs / 100);
    await turns();
  }
}

/** Lets the event loop turn often enough for all that waits for its turn. */
async function turns(count: number = 20): Promise<void> {
  for (let i = 0; i < count; i++) await nextTurn();
}

describe("after a standstill", () => {
  test("an item has the rest of its time, up to an eighth of the whole", async () => {
    const dues: string[] = [];
    const deadlines = new Deadlines<string>(MINUTE_MS, (item) => dues.push(item));
    deadlines.add("a");
    await pass(30_000);
    standStill(8 * 3_600_000);
    await pass(20_000);
    expect(dues).toEqual([]);
    await pass(12_000);
    expect(dues).toEqual(["a"]);
  });

  test("an item that is added before the timer has run is late by a quarter at most, and so are those behind it", async () => {
    const dues: string[] = [];
    const deadlines = new Deadlines<string>(MINUTE_MS, (item) => dues.push(item));
    deadlines.add("before");
    standStill(8 * 3_600_000);
    deadlines.add("first");
    await pass(1_000);
    deadlines.add("second");
    await pass(MINUTE_MS + MINUTE_MS / 4);
    expect(dues).toEqual(["before", "first", "second"]);
  });

  test("items fall due one after the other, as they would have without it", async () => {
    const dueAtMs: number[] = [];
    const deadlines = new Deadlines<number>(MINUTE_MS, () => dueAtMs.push(performance.now()));
    for (let i = 0; i < 30; i++) {
      deadlines.add(i);
      vi.advanceTimersByTime(1_000);
    }
    standStill(10 * MINUTE_MS);
    for (let i = 0; i < 70; i++) await pass(1_000);
    expect(dueAtMs).toHaveLength(30);
    expect(dueAtMs[29] - dueAtMs[0]).toBeGreaterThan(25_000);
  });

  test("an item whose time is over is looked at only when the sockets have been read", async () => {
    const dues: string[] = [];
    const deadlines = new Deadlines<string>(MINUTE_MS, (item) => dues.push(item));
    deadlines.add("has answered");
    deadlines.add("is silent");
    vi.advanceTimersByTime(MINUTE_MS + 10);
    // The answer is read in the first turn behind the timer.
    setImmediate(() => deadlines.delete("has answered"));
    await turns();
    await pass(1_000);
    expect(dues).toEqual(["is silent"]);
  });
});

test("a clock of the wall that is set back or forth changes nothing", async () => {
  const dues: number[] = [];
  const startMs = performance.now();
  const deadlines = new Deadlines<string>(MINUTE_MS, () => dues.push(performance.now() - startMs));
  for (const jumpMs of [-3_600_000, 3_600_000]) {
    deadlines.add("a");
    await pass(30_000);
    vi.setSystemTime(Date.now() + jumpMs);
    await pass(29_000);
    expect(dues).toEqual([]);
    await pass(3_000);
    expect(dues.splice(0)).toHaveLength(1);
  }
});

test("the longest time is one that every delay of it fits into", async () => {
  // The clock is not at a whole millisecond.
  jumpedMs = 0.5;
  const delays = vi.spyOn(globalThis, "setTimeout");
  let count = 0;
  const deadlines: Deadlines<string> = new Deadlines(LONGEST_MS, (item) => {
    count++;
    deadlines.add(item);
  });
  deadlines.add("a");
  for (let i = 0; i < 40; i++) {
    vi.advanceTimersByTime(LONGEST_MS / 16);
    await turns();
  }
  expect(count).toBe(2);
  // A delay that is too long would be taken for a millisecond: the timer would run all the time.
  expect(delays.mock.calls.length).toBeLessThan(60);
  for (const [, delayMs] of delays.mock.calls) expect(delayMs).toBeLessThanOrEqual(LONGEST_MS);
  deadlines.clear();
});

describe("10,000 sockets", () => {
  const COUNT = 10_000;
  const DEFAULTS = { intervalMs: 30_000, timeoutMs: 60_000 };
  let pings = 0;
  let cut = 0;

  class Peer implements HeartbeatTarget {
    unansweredPings = 0;

    sendPing(): void {
      pings++;
      setTimeout(() => this.unansweredPings = 0, 100);
    }

    onHeartbeatTimeout(): boolean {
      cut++;
      return false;
    }
  }

  beforeEach(() => void (pings = cut = 0));

  /** The most Pings that went out in one turn of the event loop, until as many have gone out. */
  async function mostPerTurn(count: number): Promise<number> {
    let most = 0;
    while (pings < count) {
      const before = pings;
      await nextTurn();
      if (pings === before) vi.advanceTimersByTime(1);
      most = Math.max(most, pings - before);
    }
    return most;
  }

  test("that have connected at the same moment get their Pings over many turns", async () => {
    const heartbeat = new Heartbeat(DEFAULTS);
    for (let i = 0; i < COUNT; i++) heartbeat.add(new Peer());
    vi.advanceTimersByTime(DEFAULTS.intervalMs - 1);
    expect(pings).toBe(0);
    expect(await mostPerTurn(COUNT)).toBeLessThanOrEqual(100);
    expect(pings).toBe(COUNT);
    heartbeat.clear();
  });

  test("that a standstill has made late get their Pings over as much time as before", async () => {
    const heartbeat = new Heartbeat(DEFAULTS);
    for (let i = 0; i < COUNT; i++) {
      heartbeat.add(new Peer());
      if (i % 1_000 === 0) vi.advanceTimersByTime(2_000);
    }
    vi.advanceTimersByTime(5_000);
    standStill(10 * MINUTE_MS);
    vi.advanceTimersByTime(4_000);
    await turns(COUNT / 10);
    expect(pings).toBeLessThanOrEqual(COUNT / 5);
    expect(await mostPerTurn(COUNT)).toBeLessThanOrEqual(100);
    expect(cut).toBe(0);
    heartbeat.clear();
  });
});
