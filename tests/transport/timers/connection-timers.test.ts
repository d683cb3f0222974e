import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ConnectionTimers, type TimedConnection } from "../../../src/transport/timers/connection-timers.ts";

// What has come is read before an item falls due. Here nothing comes, so that everything is due at its moment.
vi.mock(
  import("../../../src/platform.ts"),
  async (original) => ({ ...await original(), afterReading: (task) => task() }),
);

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

const OPTIONS = { heartbeat: { intervalMs: 1_000, timeoutMs: 2_000 }, messageTimeoutMs: 700, closeTimeoutMs: 300 };

class Connection implements TimedConnection {
  terminations = 0;
  looks = 0;

  terminate(): void {
    this.terminations++;
  }

  checkPause(): void {
    this.looks++;
  }
}

test("a pause is looked at every 100 ms, as long as its connection asks for that", () => {
  const timers = new ConnectionTimers(OPTIONS);
  const paused = new Connection();
  timers.pauses.add(paused);
  vi.advanceTimersByTime(99);
  expect(paused.looks).toBe(0);
  vi.advanceTimersByTime(5);
  expect([paused.looks, timers.pauses.size]).toEqual([1, 0]);
});

test("a connection whose closing handshake is not complete in time is cut", () => {
  const timers = new ConnectionTimers(OPTIONS);
  const silent = new Connection();
  timers.closings.add(silent);
  vi.advanceTimersByTime(299);
  expect(silent.terminations).toBe(0);
  vi.advanceTimersByTime(1);
  expect(silent.terminations).toBe(1);
});

test("there is a heartbeat, unless it is turned off", () => {
  const ping = vi.fn();
  new ConnectionTimers(OPTIONS).heartbeat!.add({ unansweredPings: 0, sendPing: ping, onHeartbeatTimeout: () => false });
  vi.advanceTimersByTime(1_000);
  expect(ping).toHaveBeenCalledOnce();
  expect(new ConnectionTimers({ ...OPTIONS, heartbeat: false }).heartbeat).toBeUndefined();
});

test("stop stops all timers", () => {
  const timers = new ConnectionTimers(OPTIONS);
  const each = new Connection();
  const fail = vi.fn();
  timers.messages.add({ isBusy: false, fail });
  timers.closings.add(each);
  timers.pauses.add(each);
  timers.heartbeat!.add({ unansweredPings: 0, sendPing() {}, onHeartbeatTimeout: () => false });
  for (let route = 0; route < 2; route++) {
    timers.addRateLimiter({ messages: 1, perMs: 1_000 }).wait({ onRoom: () => void each.looks++ });
  }
  expect(vi.getTimerCount()).toBe(6);
  timers.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(10_000);
  expect([fail.mock.calls.length, each.terminations, each.looks]).toEqual([0, 0, 0]);
});
