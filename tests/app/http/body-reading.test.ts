/** Reading the body of a message: what comes of each of its ends, and what stays on the message. */

import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { bodyOf } from "../../../src/app/http/body.ts";

const LIMITS = { maxBodyBytes: 10, messageTimeoutMs: 1_000 };

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

function messageWith(headers: Record<string, string> = {}): Readable & IncomingMessage {
  return Object.assign(new Readable({ read() {} }), { headers }) as Readable & IncomingMessage;
}

function listenersOf(message: Readable): Record<string, number> {
  const names = ["data", "end", "close", "error"];
  return Object.fromEntries(names.map((name) => [name, message.listenerCount(name)]));
}

/** The body, or the status of its refusal, or the error's message. */
async function outcome(reading: Promise<Buffer>): Promise<string | number> {
  try {
    return (await reading).toString();
  } catch (error) {
    return (error as { status?: number }).status ?? (error as Error).message;
  }
}

/** Lets the event loop turn often enough for everything that has been read before a time-out is judged. */
async function turns(): Promise<void> {
  for (let i = 0; i < 50; i++) await nextTurn();
}

const ends: [name: string, result: string | number, end: (message: Readable) => void][] = [
  ["its end", "ab", (message) => {
    message.push("ab");
    message.push(null);
  }],
  ["a byte too many", 413, (message) => void message.push("12345678901")],
  ["an error", 400, (message) => void message.destroy(new Error("reset"))],
  ["a close before its end", 400, (message) => void message.destroy()],
  ["the time-out", 408, () => void vi.advanceTimersByTime(LIMITS.messageTimeoutMs)],
];

test.each(ends)("after %s, nothing of the reader stays on the message, and no timer", async (_name, result, end) => {
  const message = messageWith();
  const before = listenersOf(message);
  const reading = bodyOf(message, LIMITS).bytes();
  expect(vi.getTimerCount()).toBe(1);
  end(message);
  expect(await outcome(reading)).toBe(result);
  // The rest of a refused body is thrown away. A connection that breaks meanwhile must not end the process.
  const rest = typeof result === "number" ? 1 : 0;
  expect(listenersOf(message)).toEqual({ ...before, error: before.error + rest });
  expect(vi.getTimerCount()).toBe(0);
  if (rest === 1) message.destroy(new Error("reset"));
  await turns();
});

test("a body whose end has come when its time is over was complete in time", async () => {
  const message = messageWith();
  const before = listenersOf(message);
  const reading = bodyOf(message, LIMITS).bytes();
  vi.advanceTimersByTime(LIMITS.messageTimeoutMs);
  ends[0][2](message);
  expect(await outcome(reading)).toBe("ab");
  await turns();
  expect(listenersOf(message)).toEqual(before);
});

test("a body that is over before it is read is refused at once", async () => {
  const gone = messageWith();
  gone.destroy();
  expect(await outcome(bodyOf(gone, LIMITS).bytes())).toBe(400);

  const long = messageWith({ "content-length": "11" });
  expect(await outcome(bodyOf(long, LIMITS).bytes())).toBe(413);

  const read = messageWith();
  ends[0][2](read);
  for await (const _chunk of read) { /* Somebody else reads it. */ }
  expect(await outcome(bodyOf(read, LIMITS).bytes())).toMatch(/was read already/);
  expect(vi.getTimerCount()).toBe(0);
});

test("a body that nobody waits for does not end the process when it is refused", async () => {
  const message = messageWith();
  const { json } = bodyOf(message, LIMITS);
  void json();
  message.push("12345678901");
  // A rejection that nobody handles would fail this test.
  await turns();
  expect(vi.getTimerCount()).toBe(0);
});
