import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RateLimiter } from "../../../src/transport/timers/rate-limiter.ts";

// What has come is read before an item falls due. Here nothing comes, so that everything is due at its moment.
vi.mock(
  import("../../../src/platform.ts"),
  async (original) => ({ ...await original(), afterReading: (task) => task() }),
);

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

test.each([
  ["the time for one message", { messages: 3, perMs: 1_000 }, 1_000 / 3, 334],
  ["20 ms where that is more", { messages: 1_000, perMs: 1_000 }, 1, 20],
  ["no longer than it takes to fill half of the room", { messages: 10, perMs: 20 }, 2, 10],
  ["the whole time where there is room for one message only", { messages: 1, perMs: 8 }, 8, 8],
])("a connection without room waits %s", (_name, limit, intervalMs, waitMs) => {
  const limiter = new RateLimiter(limit);
  expect([limiter.messages, limiter.intervalMs]).toEqual([limit.messages, intervalMs]);
  const onRoom = vi.fn();
  limiter.wait({ onRoom });
  vi.advanceTimersByTime(waitMs - 1);
  expect([onRoom.mock.calls.length, limiter.size]).toEqual([0, 1]);
  vi.advanceTimersByTime(1 + Math.ceil(waitMs / 32));
  expect([onRoom.mock.calls.length, limiter.size]).toEqual([1, 0]);
});

test("a connection that has gone is forgotten, and clear forgets all", () => {
  const limiter = new RateLimiter({ messages: 1, perMs: 100 });
  const connections = [1, 2, 3].map(() => ({ onRoom: vi.fn() }));
  for (const each of connections) limiter.wait(each);
  limiter.delete(connections[0]!);
  expect(limiter.size).toBe(2);
  limiter.clear();
  expect([limiter.size, vi.getTimerCount()]).toEqual([0, 0]);
  vi.advanceTimersByTime(1_000);
  for (const { onRoom } of connections) expect(onRoom).not.toHaveBeenCalled();
});
