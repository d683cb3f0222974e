import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { BrokerStatus } from "../../src/app/pubsub/broker.ts";
import { lastTaken, LinkStatus } from "../../src/brokers/link-status.ts";

describe("LinkStatus", () => {
  function listen(): { status: LinkStatus; reported: BrokerStatus[] } {
    const status = new LinkStatus();
    const reported: BrokerStatus[] = [];
    status.listen((report) => reported.push(report));
    return { status, reported };
  }

  test("is not connected at first, and reports that at once", () => {
    const { status, reported } = listen();
    expect(status.isConnected).toBe(false);
    expect(reported).toEqual([{ isConnected: false }]);
  });

  test("reports each change once", () => {
    const { status, reported } = listen();
    for (const isConnected of [true, true, false, false, true]) status.set(isConnected);
    expect(reported.map(({ isConnected }) => isConnected)).toEqual([false, true, false, true]);
  });

  test("reports the first error while the link is down, and no later ones", () => {
    const { status, reported } = listen();
    const [cut, retry] = [new Error("cut"), new Error("retry")];
    status.set(true);
    status.set(false);
    status.set(false, cut);
    status.set(false, retry);
    expect(reported.slice(2)).toEqual([{ isConnected: false }, { isConnected: false, error: cut }]);
  });

  test("forgets the error when the link is up, and reports the next one", () => {
    const { status, reported } = listen();
    status.set(false, new Error("first"));
    status.set(true, new Error("ignored"));
    status.set(false, "second");
    expect(reported.slice(2)).toEqual([{ isConnected: true }, { isConnected: false, error: "second" }]);
  });

  test("has one listener: a new one takes the place of the old, and gets the present state", () => {
    const { status, reported } = listen();
    status.set(true);
    const later: BrokerStatus[] = [];
    status.listen((report) => later.push(report));
    status.set(false);
    expect(reported).toHaveLength(2);
    expect(later).toEqual([{ isConnected: true }, { isConnected: false }]);
  });
});

describe("lastTaken", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());

  test.each<[name: string, taking: () => Promise<unknown>]>([
    ["is fulfilled", () => Promise.resolve()],
    ["is rejected", () => Promise.reject(new Error("too late"))],
  ])("resolves when the promise %s, and leaves no timer", async (_name, taking) => {
    await expect(lastTaken(taking())).resolves.toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("resolves after a second when the promise does not settle", async () => {
    let isOver = false;
    const waiting = lastTaken(new Promise(() => {})).then(() => isOver = true);
    await vi.advanceTimersByTimeAsync(999);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await waiting;
    expect(vi.getTimerCount()).toBe(0);
  });
});
