import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { CloseCode } from "../../../src/protocol/close.ts";
import type { ProtocolError } from "../../../src/protocol/errors.ts";
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
  readonly faults: ProtocolError[] = [];
  isBusy = false;
  terminations = 0;
  looks = 0;

  fail(error: ProtocolError): void {
    this.faults.push(error);
  }

  terminate(): void {
    this.terminations++;
  }

  checkPause(): void {
    this.looks++;
  }
}

test("a message that is not complete in time fails its connection with 1008 and says why", () => {
  const timers = new ConnectionTimers(OPTIONS);
  const slow = new Connection();
  const quick = new Connection();
  timers.messages.add(slow);
  timers.messages.add(quick);
  vi.advanceTimersByTime(699);
  timers.messages.delete(quick);
  expect(slow.faults).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(slow.faults.map(({ closeCode, message }) => [closeCode, message])).toEqual([
    [CloseCode.POLICY_VIOLATION, expect.stringContaining("700 ms")],
  ]);
  expect([slow.terminations, quick.faults.length]).toEqual([0, 0]);
});

test("a message whose connection is busy gets its whole time again, because its rest may have come", () => {
  const timers = new ConnectionTimers(OPTIONS);
  const busy = new Connection();
  busy.isBusy = true;
  timers.messages.add(busy);
  vi.advanceTimersByTime(700);
  expect([busy.faults.length, timers.messages.size]).toEqual([0, 1]);
  busy.isBusy = false;
  vi.advanceTimersByTime(699);
  expect(busy.faults).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(busy.faults.length).toBe(1);
});

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
  expect([silent.terminations, silent.faults.length]).toEqual([1, 0]);
});

test("there is a heartbeat, unless it is turned off", () => {
  const ping = vi.fn();
  new ConnectionTimers(OPTIONS).heartbeat!.add({ isAlive: true, sendPing: ping, onHeartbeatTimeout() {} });
  vi.advanceTimersByTime(1_000);
  expect(ping).toHaveBeenCalledOnce();
  expect(new ConnectionTimers({ ...OPTIONS, heartbeat: false }).heartbeat).toBeUndefined();
});

test("stop stops all timers", () => {
  const timers = new ConnectionTimers(OPTIONS);
  const each = new Connection();
  timers.messages.add(each);
  timers.closings.add(each);
  timers.pauses.add(each);
  timers.heartbeat!.add({ isAlive: true, sendPing() {}, onHeartbeatTimeout() {} });
  expect(vi.getTimerCount()).toBe(4);
  timers.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(10_000);
  expect([each.faults.length, each.terminations, each.looks]).toEqual([0, 0, 0]);
});
