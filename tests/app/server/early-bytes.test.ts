import type { Socket } from "node:net";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { EarlyBytes } from "../../../src/app/server/early-bytes.ts";

const MAX_EARLY_BYTES = 1024 * 1024;
const CHECK_INTERVAL_MS = 20;

// As on Deno, which reads a TLS socket although it is paused. `platform.test.ts` tests which runtime does so.
vi.mock(
  import("../../../src/platform.ts"),
  async (original) => ({ ...await original(), readsWhilePaused: (raw) => "encrypted" in raw }),
);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
});

/** The members of a TLS socket that the count needs. */
function tlsSocket(bytesRead: number, writableEnded: boolean = false): { isCut: boolean; bytesRead: number } & Socket {
  const raw = { encrypted: true, isCut: false, bytesRead, writableEnded, destroy: () => raw.isCut = true };
  return raw as unknown as { isCut: boolean; bytesRead: number } & Socket;
}

test("a connection that sends more than 1 MiB too early is cut, and the others are left alone", () => {
  const loud = tlsSocket(500);
  const atLimit = tlsSocket(500);
  const refused = tlsSocket(500, true);
  const watched = new Set([loud, atLimit, refused]);
  const earlyBytes = new EarlyBytes(watched);
  for (const raw of watched) earlyBytes.watch(raw);
  loud.bytesRead += MAX_EARLY_BYTES + 1;
  atLimit.bytesRead += MAX_EARLY_BYTES;
  refused.bytesRead += MAX_EARLY_BYTES + 1;
  vi.advanceTimersByTime(CHECK_INTERVAL_MS);
  expect([loud.isCut, atLimit.isCut, refused.isCut]).toEqual([true, false, false]);
  earlyBytes.stop();
});

test("what was read before the wait began does not count, nor what a connection sends that is not awaited", () => {
  const early = tlsSocket(2 * MAX_EARLY_BYTES);
  const unknown = tlsSocket(2 * MAX_EARLY_BYTES);
  const earlyBytes = new EarlyBytes(new Set([early, unknown]));
  earlyBytes.watch(early);
  vi.advanceTimersByTime(CHECK_INTERVAL_MS);
  expect([early.isCut, unknown.isCut]).toEqual([false, false]);
  earlyBytes.stop();
});

test("the timer runs only while there are such connections", () => {
  const raw = tlsSocket(0);
  const watched = new Set([raw]);
  const earlyBytes = new EarlyBytes(watched);
  expect(vi.getTimerCount()).toBe(0);
  earlyBytes.watch(raw);
  vi.advanceTimersByTime(10 * CHECK_INTERVAL_MS);
  expect(vi.getTimerCount()).toBe(1);
  watched.delete(raw);
  vi.advanceTimersByTime(CHECK_INTERVAL_MS);
  expect(vi.getTimerCount()).toBe(0);
  earlyBytes.watch(raw);
  expect(vi.getTimerCount()).toBe(1);
  earlyBytes.stop();
  expect(vi.getTimerCount()).toBe(0);
});

test("a connection that the runtime does not read while it is paused needs no timer", () => {
  const raw = { bytesRead: 0 } as Socket;
  new EarlyBytes(new Set([raw])).watch(raw);
  expect(vi.getTimerCount()).toBe(0);
});
