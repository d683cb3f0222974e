import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { CloseCode } from "../../../src/protocol/close.ts";
import type { ProtocolError } from "../../../src/protocol/errors.ts";
import { MessageDeadlines, type MessageReader } from "../../../src/transport/timers/message-deadlines.ts";

// What has come is read before an item falls due. Here nothing comes, so that everything is due at its moment.
vi.mock(
  import("../../../src/platform.ts"),
  async (original) => ({ ...await original(), afterReading: (task) => task() }),
);

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

class Reader implements MessageReader {
  readonly faults: ProtocolError[] = [];
  isBusy: boolean;

  constructor(isBusy = false) {
    this.isBusy = isBusy;
  }

  fail(error: ProtocolError): void {
    this.faults.push(error);
  }
}

test("a message that is not complete in time fails its connection with 1008 and says why", () => {
  const deadlines = new MessageDeadlines(700);
  const [slow, quick] = [new Reader(), new Reader()];
  deadlines.add(slow);
  deadlines.add(quick);
  expect(deadlines.size).toBe(2);
  vi.advanceTimersByTime(699);
  deadlines.delete(quick);
  expect(slow.faults).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(slow.faults.map(({ closeCode, message }) => [closeCode, message])).toEqual([
    [CloseCode.POLICY_VIOLATION, expect.stringContaining("700 ms")],
  ]);
  expect([quick.faults.length, deadlines.size]).toEqual([0, 0]);
});

test("a message whose connection is busy gets its time once more, because its rest may have come", () => {
  const deadlines = new MessageDeadlines(700);
  const [idleLater, doneLater] = [new Reader(true), new Reader(true)];
  deadlines.add(idleLater);
  deadlines.add(doneLater);
  vi.advanceTimersByTime(700);
  expect([idleLater.faults.length, deadlines.size]).toEqual([0, 2]);
  idleLater.isBusy = false;
  deadlines.delete(doneLater);
  vi.advanceTimersByTime(699);
  expect(idleLater.faults).toEqual([]);
  vi.advanceTimersByTime(1);
  expect([idleLater.faults.length, doneLater.faults.length, deadlines.size]).toEqual([1, 0, 0]);
});

test("a message of a connection that is always busy gets its time no third time", () => {
  const deadlines = new MessageDeadlines(700);
  const flood = new Reader(true);
  deadlines.add(flood);
  vi.advanceTimersByTime(1_399);
  expect(flood.faults).toEqual([]);
  vi.advanceTimersByTime(1);
  expect([flood.faults.length, deadlines.size]).toEqual([1, 0]);
});

test("the next message has its whole time, and once more, whatever the one before has used", () => {
  const deadlines = new MessageDeadlines(700);
  const flood = new Reader(true);
  deadlines.add(flood);
  vi.advanceTimersByTime(1_000);
  deadlines.add(flood);
  expect(deadlines.size).toBe(1);
  vi.advanceTimersByTime(1_399);
  expect(flood.faults).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(flood.faults.length).toBe(1);
});

test("clear forgets the messages whose time has begun, and those that have got it once more", () => {
  const deadlines = new MessageDeadlines(700);
  const readers = [new Reader(true), new Reader(true)];
  deadlines.add(readers[0]!);
  vi.advanceTimersByTime(1_000);
  deadlines.add(readers[1]!);
  expect(vi.getTimerCount()).toBe(2);
  deadlines.clear();
  expect([deadlines.size, vi.getTimerCount()]).toEqual([0, 0]);
  vi.advanceTimersByTime(10_000);
  expect(readers.map(({ faults }) => faults)).toEqual([[], []]);
});
