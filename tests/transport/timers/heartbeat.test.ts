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
  unansweredPings = 0;
  readonly pingsMs: number[] = [];
  /** When the first of the Pings was sent that are not answered. */
  unansweredSinceMs = NaN;
  timedOutMs: number | undefined;
  /** True while the answers of this peer are not read. */
  isUnseen = false;
  readonly #answersAfterMs: number;
  readonly #silentFromMs: number;

  constructor(answersAfterMs: number, silentFromMs: number = Infinity) {
    this.#answersAfterMs = answersAfterMs;
    this.#silentFromMs = silentFromMs;
  }

  /** The times from each Ping to the next one. */
  get gapsMs(): number[] {
    return this.pingsMs.slice(1).map((atMs, i) => atMs - this.pingsMs[i]!);
  }

  sendPing(): void {
    this.pingsMs.push(performance.now());
    if (this.unansweredPings === 1) this.unansweredSinceMs = performance.now();
    if (performance.now() + this.#answersAfterMs >= this.#silentFromMs) return;
    setTimeout(() => this.unansweredPings = 0, this.#answersAfterMs);
  }

  onHeartbeatTimeout(): boolean {
    this.timedOutMs = performance.now();
    return this.isUnseen;
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

  test("a peer that takes 59 s for each answer is never timed out, and gets a Ping every 30 s too", () => {
    const heartbeat = new Heartbeat(DEFAULTS);
    const peer = new Peer(59_000);
    heartbeat.add(peer);
    vi.advanceTimersByTime(HOUR_MS);
    expect(peer.timedOutMs).toBeUndefined();
    expect(peer.pingsMs).toEqual(Array.from({ length: 120 }, (_, i) => (i + 1) * 30_000));
  });

  test("a silent peer is timed out 60 s after its first unanswered Ping, once", () => {
    const heartbeat = new Heartbeat(DEFAULTS);
    const peer = new Peer(Infinity);
    const onHeartbeatTimeout = vi.spyOn(peer, "onHeartbeatTimeout");
    heartbeat.add(peer);
    vi.advanceTimersByTime(HOUR_MS);
    expect(peer.pingsMs).toEqual([30_000, 60_000]);
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
      expect(peer.pingsMs[0] - index * 5_000, `the first Ping of peer ${index}`).toBeLessThan(31_000);
      expect(Math.max(...peer.gapsMs), `the longest gap of peer ${index}`).toBeLessThan(31_000);
    }
  });
});

describe.each([
  ["a time-out shorter than the interval", { intervalMs: 30_000, timeoutMs: 5_000 }],
  ["a time-out just below the interval", { intervalMs: 30_000, timeoutMs: 29_000 }],
  ["a time-out like the interval", { intervalMs: 30_000, timeoutMs: 30_000 }],
  ["a time-out just above the interval", { intervalMs: 30_000, timeoutMs: 31_000 }],
  ["a time-out of many intervals", { intervalMs: 1_000, timeoutMs: 30_000 }],
  ["a time-out of some intervals and a part", { intervalMs: 8_000, timeoutMs: 30_000 }],
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

  // Each share of the time-out is another moment between two Pings.
  test.each([0.05, 0.3, 0.55, 0.8, 0.99])("a peer that takes %d of it for each answer is pinged as often", (share) => {
    const heartbeat = new Heartbeat(options);
    const peer = new Peer(share * timeoutMs);
    heartbeat.add(peer);
    vi.advanceTimersByTime(100 * intervalMs);
    expect(peer.timedOutMs).toBeUndefined();
    expect(peer.gapsMs.length).toBeGreaterThan(90);
    expect(Math.min(...peer.gapsMs)).toBeGreaterThanOrEqual(intervalMs);
    expect(Math.max(...peer.gapsMs)).toBeLessThanOrEqual(intervalMs + slackMs);
  });

  test("a peer whose answers are not read gets its Pings at the interval, and has the whole time-out behind that", () => {
    const heartbeat = new Heartbeat(options);
    const peer = new Peer(Infinity);
    peer.isUnseen = true;
    heartbeat.add(peer);
    vi.advanceTimersByTime(100 * intervalMs);
    expect(peer.pingsMs.length).toBeGreaterThan(90);
    expect(Math.max(...peer.gapsMs)).toBeLessThanOrEqual(intervalMs + slackMs);
    peer.isUnseen = false;
    peer.unansweredPings = 0;
    const nowMs = performance.now();
    vi.advanceTimersByTime(HOUR_MS);
    expect(peer.timedOutMs).toBeGreaterThanOrEqual(nowMs + timeoutMs);
    expect(peer.timedOutMs).toBeLessThanOrEqual(nowMs + intervalMs + timeoutMs + slackMs);
    expect(heartbeat.size).toBe(0);
  });

  test("a silent peer gets a Ping every interval, and is timed out when the time-out is over", () => {
    const heartbeat = new Heartbeat(options);
    const peer = new Peer(Infinity);
    heartbeat.add(peer);
    vi.advanceTimersByTime(HOUR_MS);
    const pings = Math.ceil(timeoutMs / intervalMs);
    expect(peer.pingsMs).toEqual(Array.from({ length: pings }, (_, i) => (i + 1) * intervalMs));
    expect(peer.timedOutMs).toBeGreaterThanOrEqual(intervalMs + timeoutMs);
    expect(peer.timedOutMs).toBeLessThanOrEqual(intervalMs + timeoutMs + slackMs);
  });
});

test("anything that comes from a peer is an answer, not only after a Ping", () => {
  const heartbeat = new Heartbeat({ intervalMs: 1_000, timeoutMs: 500 });
  const peer = new Peer(Infinity);
  heartbeat.add(peer);
  setInterval(() => peer.unansweredPings = 0, 300);
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

test.each([
  [1, DEFAULTS],
  [3, { intervalMs: 30_000, timeoutMs: 75_000 }],
])("there is at most this number of timers, however many peers there are: %i", (timers, options) => {
  const heartbeat = new Heartbeat(options);
  // A peer that answers at once takes no timer of the test.
  class QuickPeer extends Peer {
    override sendPing(): void {
      this.unansweredPings = 0;
    }
  }
  for (let i = 0; i < 500; i++) {
    heartbeat.add(i % 2 === 0 ? new Peer(Infinity) : new QuickPeer(0));
    vi.advanceTimersByTime(100);
  }
  expect(heartbeat.size).toBe(500);
  expect(vi.getTimerCount()).toBeLessThanOrEqual(timers);
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
          expect(peer.timedOutMs! - peer.unansweredSinceMs).toBeGreaterThan(timeoutMs - 1);
          expect(peer.timedOutMs! - peer.unansweredSinceMs).toBeLessThan(timeoutMs + slackMs);
        }
        expect(Math.max(...peer.gapsMs)).toBeLessThan(intervalMs + slackMs);
      }
    }).afterEach(() => vi.clearAllTimers()),
    { numRuns: 60 },
  );
});
