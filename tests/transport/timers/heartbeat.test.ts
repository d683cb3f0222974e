import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Heartbeat, type HeartbeatTarget } from "../../../src/transport/timers/heartbeat.ts";

// What has come is read before an item falls due. Here nothing comes, so that everything is due at its moment.
vi.mock(
  import("../../../src/platform.ts"),
  async (original) => ({ ...await original(), afterReading: (task) => task() }),
);

beforeEach(() =>
  void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] })
);
afterEach(() => void vi.useRealTimers());

/** A peer that answers each Ping after a time, up to the moment when it falls silent. */
class Peer implements HeartbeatTarget {
  isAlive = false;
  readonly pingsMs: number[] = [];
  timedOutMs: number | undefined;
  readonly #answersAfterMs: number;
  readonly #silentFromMs: number;

  constructor(answersAfterMs: number, silentFromMs: number = Infinity) {
    this.#answersAfterMs = answersAfterMs;
    this.#silentFromMs = silentFromMs;
  }

  sendPing(): void {
    this.pingsMs.push(performance.now());
    if (performance.now() + this.#answersAfterMs >= this.#silentFromMs) return;
    setTimeout(() => this.isAlive = true, this.#answersAfterMs);
  }

  onHeartbeatTimeout(): void {
    this.timedOutMs = performance.now();
  }
}

const HOUR_MS = 3_600_000;
const DEFAULTS = { intervalMs: 30_000, timeoutMs: 60_000 };

describe("every 30 s with a time-out of 60 s", () => {
  test("a peer that answers gets a Ping every 30 s and is never timed out", () => {
    const heartbeat = new Heartbeat(DEFAULTS);
    const peer = new Peer(100);
    heartbeat.add(peer);
    vi.advanceTimersByTime(HOUR_MS);
    expect(peer.timedOutMs).toBeUndefined();
    expect(peer.pingsMs).toEqual(Array.from({ length: 120 }, (_, i) => (i + 1) * 30_000));
  });

  test("a peer that takes 59 s for each answer is never timed out", () => {
    const heartbeat = new Heartbeat(DEFAULTS);
    const peer = new Peer(59_000);
    heartbeat.add(peer);
    vi.advanceTimersByTime(HOUR_MS);
    expect(peer.timedOutMs).toBeUndefined();
    expect(peer.pingsMs.length).toBeGreaterThan(30);
  });

  test("a silent peer is timed out 60 s after its first unanswered Ping, once", () => {
    const heartbeat = new Heartbeat(DEFAULTS);
    const peer = new Peer(Infinity);
    const onHeartbeatTimeout = vi.spyOn(peer, "onHeartbeatTimeout");
    heartbeat.add(peer);
    vi.advanceTimersByTime(HOUR_MS);
    expect(peer.pingsMs[0]).toBe(30_000);
    expect(peer.timedOutMs).toBe(90_000);
    expect(onHeartbeatTimeout).toHaveBeenCalledOnce();
    expect(heartbeat.size).toBe(0);
  });

  test("a peer that falls silent later is timed out 60 s after the first Ping without an answer", () => {
    const heartbeat = new Heartbeat(DEFAULTS);
    const peer = new Peer(10, 15 * 60_000);
    heartbeat.add(peer);
    vi.advanceTimersByTime(HOUR_MS);
    expect(peer.timedOutMs).toBe(15 * 60_000 + 60_000);
  });

  test("each of many peers keeps its own rhythm", () => {
    const heartbeat = new Heartbeat(DEFAULTS);
    const peers = Array.from({ length: 6 }, () => new Peer(100));
    for (const peer of peers) {
      heartbeat.add(peer);
      vi.advanceTimersByTime(5_000);
    }
    vi.advanceTimersByTime(HOUR_MS);
    for (const [index, peer] of peers.entries()) {
      const gapsMs = peer.pingsMs.slice(1).map((atMs, i) => atMs - peer.pingsMs[i]);
      expect(peer.pingsMs[0] - index * 5_000, `the first Ping of peer ${index}`).toBeLessThan(31_000);
      expect(Math.max(...gapsMs), `the longest gap of peer ${index}`).toBeLessThan(31_000);
    }
  });
});

describe.each([
  ["a time-out shorter than the interval", { intervalMs: 30_000, timeoutMs: 5_000 }],
  ["a time-out just below the interval", { intervalMs: 30_000, timeoutMs: 29_000 }],
  ["a time-out like the interval", { intervalMs: 30_000, timeoutMs: 30_000 }],
  ["a time-out just above the interval", { intervalMs: 30_000, timeoutMs: 31_000 }],
  ["a time-out of many intervals", { intervalMs: 1_000, timeoutMs: 30_000 }],
])("with %s", (_name, options) => {
  const { intervalMs, timeoutMs } = options;
  const slackMs = intervalMs / 32 + timeoutMs / 32 + 2;

  test("a peer that answers at once gets a Ping every interval and is never timed out", () => {
    const heartbeat = new Heartbeat(options);
    const peer = new Peer(1);
    heartbeat.add(peer);
    vi.advanceTimersByTime(100 * intervalMs);
    expect(peer.timedOutMs).toBeUndefined();
    expect(peer.pingsMs).toEqual(Array.from({ length: 100 }, (_, i) => (i + 1) * intervalMs));
  });

  test("a silent peer is timed out when the time-out is over", () => {
    const heartbeat = new Heartbeat(options);
    const peer = new Peer(Infinity);
    heartbeat.add(peer);
    vi.advanceTimersByTime(HOUR_MS);
    expect(peer.pingsMs[0]).toBe(intervalMs);
    expect(peer.timedOutMs).toBeGreaterThanOrEqual(intervalMs + timeoutMs);
    expect(peer.timedOutMs).toBeLessThanOrEqual(intervalMs + timeoutMs + slackMs);
  });
});

test("anything that comes from a peer is an answer, not only after a Ping", () => {
  const heartbeat = new Heartbeat({ intervalMs: 1_000, timeoutMs: 500 });
  const peer = new Peer(Infinity);
  heartbeat.add(peer);
  setInterval(() => peer.isAlive = true, 300);
  vi.advanceTimersByTime(60_000);
  expect(peer.timedOutMs).toBeUndefined();
});

test("a peer that is deleted gets no Ping and is not timed out", () => {
  for (const deletedAtMs of [500, 1_500, 2_500]) {
    const heartbeat = new Heartbeat({ intervalMs: 1_000, timeoutMs: 2_000 });
    const peer = new Peer(Infinity);
    heartbeat.add(peer);
    vi.advanceTimersByTime(deletedAtMs);
    expect(heartbeat.size).toBe(1);
    const pings = peer.pingsMs.length;
    heartbeat.delete(peer);
    expect(heartbeat.size).toBe(0);
    vi.advanceTimersByTime(60_000);
    expect([peer.pingsMs.length, peer.timedOutMs]).toEqual([pings, undefined]);
  }
});

test("clear forgets all peers and stops the timers", () => {
  const heartbeat = new Heartbeat({ intervalMs: 1_000, timeoutMs: 2_000 });
  const peers = [new Peer(Infinity), new Peer(10)];
  for (const peer of peers) {
    heartbeat.add(peer);
    vi.advanceTimersByTime(1_200);
  }
  heartbeat.clear();
  expect([heartbeat.size, vi.getTimerCount()]).toEqual([0, 0]);
});

test("there are two timers at most, however many peers there are", () => {
  const heartbeat = new Heartbeat(DEFAULTS);
  for (let i = 0; i < 500; i++) {
    heartbeat.add(new Peer(Infinity));
    vi.advanceTimersByTime(100);
  }
  expect(heartbeat.size).toBe(500);
  expect(vi.getTimerCount()).toBeLessThanOrEqual(2);
});

test("whatever the times: a peer that answers stays, and a peer that falls silent is timed out, in time", () => {
  const times = fc.record({
    intervalMs: fc.integer({ min: 100, max: 2_000 }),
    timeoutMs: fc.integer({ min: 100, max: 2_000 }),
    peers: fc.array(
      fc.record({
        joinsAfterMs: fc.integer({ min: 0, max: 1_500 }),
        answersAfter: fc.double({ min: 0, max: 0.9, noNaN: true }),
        silentFromMs: fc.option(fc.integer({ min: 0, max: 20_000 }), { nil: Infinity }),
      }),
      { minLength: 1, maxLength: 5 },
    ),
  });
  fc.assert(
    fc.property(times, ({ intervalMs, timeoutMs, peers }) => {
      const heartbeat = new Heartbeat({ intervalMs, timeoutMs });
      const slackMs = (intervalMs + timeoutMs) / 32 + 4;
      const joined = peers.map(({ joinsAfterMs, answersAfter, silentFromMs }) => {
        const now = performance.now();
        const peer = new Peer(answersAfter * timeoutMs, now + silentFromMs);
        heartbeat.add(peer);
        vi.advanceTimersByTime(joinsAfterMs);
        return { peer, silentFromMs: now + silentFromMs };
      });
      vi.advanceTimersByTime(40_000);
      for (const { peer, silentFromMs } of joined) {
        if (silentFromMs === Infinity) expect(peer.timedOutMs).toBeUndefined();
        else {
          const unansweredMs = peer.pingsMs.at(-1)!;
          expect(peer.timedOutMs! - unansweredMs).toBeGreaterThan(timeoutMs - 1);
          expect(peer.timedOutMs! - unansweredMs).toBeLessThan(timeoutMs + slackMs);
        }
      }
    }).afterEach(() => vi.clearAllTimers()),
    { numRuns: 60 },
  );
});
