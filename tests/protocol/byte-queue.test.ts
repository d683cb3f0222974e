import { expect, test } from "vitest";
import { ByteQueue } from "../../src/protocol/byte-queue.ts";
import { hex } from "../support/hex.ts";

function queueOf(...chunks: string[]): ByteQueue {
  const queue = new ByteQueue();
  for (const chunk of chunks) queue.push(hex(chunk));
  return queue;
}

function drain(queue: ByteQueue): string[] {
  const chunks: string[] = [];
  for (let chunk = queue.shift(); chunk !== undefined; chunk = queue.shift()) {
    chunks.push(Buffer.from(chunk).toString("hex"));
  }
  return chunks;
}

test("gives chunks in the order in which they came", () => {
  expect(drain(queueOf("01", "0203", "04"))).toEqual(["01", "0203", "04"]);
});

test("gives nothing when nothing is there", () => {
  const queue = new ByteQueue();
  expect(queue.shift()).toBeUndefined();
  expect(queue.isEmpty).toBe(true);
});

test("is empty once everything has been taken", () => {
  const queue = queueOf("01");
  expect(queue.isEmpty).toBe(false);
  queue.shift();
  expect(queue.isEmpty).toBe(true);
});

test("puts the rest of a chunk back in front of all others", () => {
  const queue = queueOf("0102", "03");
  queue.unshift(queue.shift()!.subarray(1));
  expect(drain(queue)).toEqual(["02", "03"]);
});

test("joins the start of a header with the chunk behind it, and with that one only", () => {
  const queue = queueOf("0203", "04");
  expect(queue.unshiftJoined(hex("01"), Buffer.alloc)).toBe(true);
  expect(drain(queue)).toEqual(["010203", "04"]);
});

test("keeps the start of a header while nothing is behind it", () => {
  const queue = new ByteQueue();
  expect(queue.unshiftJoined(hex("0102"), Buffer.alloc)).toBe(false);
  expect(drain(queue)).toEqual(["0102"]);
});

test("joins with an empty chunk", () => {
  const queue = queueOf("");
  expect(queue.unshiftJoined(hex("01"), Buffer.alloc)).toBe(true);
  expect(drain(queue)).toEqual(["01"]);
});

test("lets go of the chunk that the start of a header came in", () => {
  const chunk = hex("ffffff01");
  const queue = new ByteQueue();
  const asked: number[] = [];
  queue.unshiftJoined(chunk.subarray(3), (byteLength) => {
    asked.push(byteLength);
    return Buffer.alloc(byteLength);
  });
  chunk.fill(0);
  expect(asked).toEqual([1]);
  expect(drain(queue)).toEqual(["01"]);
});
