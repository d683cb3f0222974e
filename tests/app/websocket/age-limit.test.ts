import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AgeLimit, type AgingSocket } from "../../../src/app/websocket/age-limit.ts";
import { connectPair, connectTo, listeningApp } from "../../support/app.ts";
import { close } from "../../support/frames.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const HOUR_MS = 3_600_000;

/** A socket that remembers when it was closed. */
class Aging implements AgingSocket {
  readonly fromMs = performance.now();
  ageMs: number | undefined;
  args: unknown[] = [];

  close(...args: unknown[]): void {
    this.args = args;
    this.ageMs = performance.now() - this.fromMs;
  }
}

function added(limit: AgeLimit, count: number): Aging[] {
  const sockets = Array.from({ length: count }, () => new Aging());
  for (const each of sockets) limit.add(each);
  return sockets;
}

test.each([100, 10_000, HOUR_MS, 24 * HOUR_MS])(
  "sockets that came together leave spread over the last fifth of %i ms, and none is older",
  (maxAgeMs) => {
    const sockets = added(new AgeLimit(maxAgeMs), 1_000);
    vi.advanceTimersByTime(maxAgeMs);
    const ages = sockets.map(({ ageMs }) => ageMs ?? Infinity);
    expect(Math.min(...ages)).toBeGreaterThanOrEqual(0.8 * maxAgeMs);
    expect(Math.max(...ages)).toBeLessThanOrEqual(maxAgeMs);
    // In each quarter of that fifth some 250 of them leave.
    for (let quarter = 0; quarter < 4; quarter++) {
      const fromMs = (0.8 + quarter * 0.05) * maxAgeMs;
      const count = ages.filter((ageMs) => ageMs > fromMs && ageMs <= fromMs + 0.05 * maxAgeMs).length;
      expect(Math.abs(count - 250)).toBeLessThan(150);
    }
    expect(sockets[0]!.args).toEqual([1001, "The connection has reached its maximum age"]);
    expect(vi.getTimerCount()).toBe(0);
  },
);

test.each([[0, 0.8, 0.805], [0.5, 0.895, 0.905], [0.999_999, 0.99, 1]])(
  "chance of %d gives an age of %d to %d of the maximum",
  (chance, least, most) => {
    vi.spyOn(Math, "random").mockReturnValue(chance);
    const [socket] = added(new AgeLimit(HOUR_MS), 1);
    vi.advanceTimersByTime(2 * HOUR_MS);
    expect(socket!.ageMs).toBeGreaterThanOrEqual(least * HOUR_MS);
    expect(socket!.ageMs).toBeLessThanOrEqual(most * HOUR_MS);
  },
);

test("sockets that come one after the other each have their whole time, with one timer for all of them", () => {
  const limit = new AgeLimit(10_000);
  const sockets: Aging[] = [];
  for (let i = 0; i < 500; i++) {
    sockets.push(...added(limit, 1));
    vi.advanceTimersByTime(50);
    expect(vi.getTimerCount()).toBe(1);
  }
  vi.advanceTimersByTime(10_000);
  for (const { ageMs } of sockets) {
    expect(ageMs).toBeGreaterThanOrEqual(8_000);
    expect(ageMs).toBeLessThanOrEqual(10_000);
  }
  expect([limit.size, vi.getTimerCount()]).toEqual([0, 0]);
});

test("the timer does not fire before a socket can be due", () => {
  added(new AgeLimit(HOUR_MS), 100);
  const setTimeoutSpy = vi.spyOn(globalThis, "setTimeout");
  vi.advanceTimersByTime(0.8 * HOUR_MS - 1);
  expect(setTimeoutSpy).not.toHaveBeenCalled();
});

test("a socket that has gone is forgotten, and clear forgets all", () => {
  const limit = new AgeLimit(1_000);
  const sockets = added(limit, 3);
  limit.delete(sockets[0]!);
  expect(limit.size).toBe(2);
  limit.clear();
  expect([limit.size, vi.getTimerCount()]).toEqual([0, 0]);
  vi.advanceTimersByTime(5_000);
  expect(sockets.map(({ ageMs }) => ageMs)).toEqual([undefined, undefined, undefined]);
  const [later] = added(limit, 1);
  vi.advanceTimersByTime(1_000);
  expect(later!.ageMs).toBeGreaterThanOrEqual(800);
});

describe("maxAgeMs", () => {
  test("closes a socket with 1001 behind all that was sent, also during a pause", async () => {
    const { client, socket, seen } = await connectPair({
      maxAgeMs: HOUR_MS,
      closeTimeoutMs: HOUR_MS,
      heartbeat: false,
    });
    vi.advanceTimersByTime(0.79 * HOUR_MS);
    socket.pause();
    socket.send("the last word");
    expect(socket.readyState).toBe(socket.OPEN);
    vi.advanceTimersByTime(0.21 * HOUR_MS);
    expect(await client.nextMessage()).toBe("the last word");
    expect((await client.nextFrame()).payload.readUInt16BE()).toBe(1001);
    client.send(close(1001));
    expect(await client.closed()).toEqual({
      code: 1001,
      reason: "The connection has reached its maximum age",
      ended: "fin",
    });
    expect(await seen.closed).toEqual([1001, "", true]);
  });

  test("cuts a client that does not answer after closeTimeoutMs", async () => {
    const { seen } = await connectPair({ maxAgeMs: 10_000, closeTimeoutMs: 1_000, heartbeat: false });
    vi.advanceTimersByTime(10_000);
    vi.advanceTimersByTime(1_100);
    expect(await seen.closed).toEqual([1006, "", false]);
  });

  test("of a route stands in place of that of the app, and false turns it off", async () => {
    const app = await listeningApp({ maxAgeMs: 1_000, heartbeat: false }, (app) => {
      app.ws("/app", () => {}).ws("/own", { maxAgeMs: 5_000 }, () => {}).ws("/off", { maxAgeMs: false }, () => {});
    });
    const clients = [await connectTo(app, "/app"), await connectTo(app, "/own"), await connectTo(app, "/off")];
    const open = (): boolean[] => [...app.sockets].map(({ readyState }) => readyState === 1);
    vi.advanceTimersByTime(1_000);
    expect(open()).toEqual([false, true, true]);
    vi.advanceTimersByTime(4_000);
    expect(open().at(-1)).toBe(true);
    expect(open().filter((isOpen) => isOpen).length).toBe(1);
    expect((await clients[0]!.nextFrame()).payload.readUInt16BE()).toBe(1001);
  });

  test("forgets a socket that has closed before", async () => {
    const add = vi.spyOn(AgeLimit.prototype, "add");
    const { client, seen } = await connectPair({ maxAgeMs: HOUR_MS });
    const limit = add.mock.contexts[0] as AgeLimit;
    expect(limit.size).toBe(1);
    client.send(close(1000));
    await seen.closed;
    expect(limit.size).toBe(0);
  });

  test("leaves no timer behind when the app has closed", async () => {
    const { app, client } = await connectPair({ maxAgeMs: HOUR_MS });
    const closing = app.close();
    await client.nextFrame();
    client.send(close(1001));
    await closing;
    expect(vi.getTimerCount()).toBe(0);
  });
});
