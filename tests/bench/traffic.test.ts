/** The messages that the bench sends: who caches the last one must gain nothing, and large ones must not take much. */
import { expect, test } from "vitest";
import { readMessages } from "../../bench/load/frames.ts";
import { payloadsOf } from "../../bench/load/payloads.ts";
import { plainTraffic, plainTraffics, type Traffic } from "../../bench/load/traffic.ts";
import type { Workload } from "../../bench/load/workload.ts";

const workload: Workload = {
  id: "traffic",
  work: "echo",
  path: "/echo",
  payload: "text",
  payloadBytes: 32,
  connections: 3,
  inFlight: 16,
  deflate: "off",
};

/** The texts of each batch, read from the masked frames of the client. */
function textsOf({ batches }: Traffic): string[][] {
  return batches.map((batch) => {
    const texts: string[] = [];
    for (let at = 0; at < batch.length; at += 6 + 32) {
      const key = batch.subarray(at + 2, at + 6);
      texts.push(String.fromCharCode(...batch.subarray(at + 6, at + 38).map((byte, index) => byte ^ key[index & 3])));
    }
    return texts;
  });
}

test("every message of a burst and of the bursts after it is another one", () => {
  const texts = textsOf(plainTraffic(workload, false));
  expect(texts.length).toBeGreaterThan(50);
  expect(new Set(texts.flat()).size).toBe(16 * texts.length);
});

test("each connection sends the batches in an order of its own", () => {
  const [first, second, third] = plainTraffics(workload, false, 3).map((traffic) => textsOf(traffic).flat());
  expect(second).not.toEqual(first);
  expect(third).not.toEqual(first);
  expect([...second].sort()).toEqual([...first].sort());
});

test("a workload of the same messages has one text", () => {
  const traffics = plainTraffics({ ...workload, id: "same", same: true }, false, 3);
  expect(new Set(traffics.flatMap((traffic) => textsOf(traffic).flat())).size).toBe(1);
});

test("in a mixture, one message in twenty is a large one, and the replies to each are counted by its own length", () => {
  const mixture = { largeEvery: 20, largeBytes: 4096, slowEvery: 10, slowMs: 50 };
  const traffic = plainTraffic({ ...workload, payload: "json", payloadBytes: 200, inFlight: 1, mixture }, false);
  const large = traffic.batches.map(({ length }) => length > 4096);
  expect(large.indexOf(true)).toBe(19);
  expect(large.filter(Boolean)).toHaveLength(3);
  const expectation = traffic.expect();
  expectation.begin(19);
  expect(expectation.take(Buffer.alloc(4 + 200))).toBe(false);
  expect(expectation.take(Buffer.alloc(4096 - 200))).toBe(true);
  expectation.begin(20);
  expect(expectation.take(Buffer.alloc(4 + 200))).toBe(true);
});

test("a text without ASCII has the wanted length, is valid UTF-8, and is another one each time", () => {
  const payloads = [31, 32, 33, 1024].flatMap((payloadBytes) => {
    const some = payloadsOf({ payload: "non-ascii", payloadBytes }, 5);
    expect(some.map(({ length }) => length)).toEqual(Array(5).fill(payloadBytes));
    return some;
  });
  const texts = payloads.map((payload) => new TextDecoder("utf-8", { fatal: true }).decode(payload));
  expect(new Set(texts).size).toBe(20);
  expect(texts.every((text) => text.replace(/[ -~]/g, "").length > text.length / 2)).toBe(true);
});

test("large messages are few: all batches together take 8 MiB, and two differ at least", () => {
  const sizeOf = ({ batches }: Traffic): number => batches.reduce((sum, { length }) => sum + length, 0);
  const large = plainTraffic({ ...workload, payload: "binary", payloadBytes: 1024 * 1024, inFlight: 2 }, false);
  expect(large.batches).toHaveLength(4);
  expect(sizeOf(large)).toBeLessThan(9 * 1024 * 1024);
  const largest = plainTraffic({ ...workload, payload: "binary", payloadBytes: 4 * 1024 * 1024, inFlight: 2 }, false);
  expect(largest.batches).toHaveLength(2);
});

test("an idle connection has one batch, which is not that of its neighbour", () => {
  const [first, second] = plainTraffics({ ...workload, id: "idle", work: "idle" }, false, 2);
  expect(first.batches).toHaveLength(1);
  expect(textsOf(first)).not.toEqual(textsOf(second));
});

test("the replies are counted batch by batch, and checked against what was sent", () => {
  const traffic = plainTraffic({ ...workload, inFlight: 1 }, false);
  const replies = textsOf(traffic).map(([text]) => Buffer.from(`\x81\x20${text}`, "latin1"));
  expect(readMessages(replies[1])).toHaveLength(1);
  const expectation = traffic.expect();
  for (const [turn, reply] of replies.entries()) {
    expectation.begin(turn);
    expect(expectation.take(reply.subarray(0, 5))).toBe(false);
    expect(expectation.take(reply.subarray(5))).toBe(true);
  }
  expect(() => expectation.take(replies[0])).toThrow("the server sent more than the replies");
  traffic.verify(Buffer.concat(replies));
  expect(() => traffic.verify(Buffer.concat(replies.toReversed()))).toThrow("differs from what was sent at byte");
});
