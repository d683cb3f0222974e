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

test("a queue gives chunks in the order in which they came", () => {
  expect(drain(queueOf("01", "0203", "04"))).toEqual(["01", "0203", "04"]);
});

test("an empty queue gives undefined", () => {
  const queue = new ByteQueue();
  expect(queue.shift()).toBeUndefined();
  expect(queue.isEmpty).toBe(true);
});

test("a queue is empty once every chunk has been taken", () => {
  const queue = queueOf("01");
  expect(queue.isEmpty).toBe(false);
  queue.shift();
  expect(queue.isEmpty).toBe(true);
});

test("unshift puts the rest of a chunk in front of all others", () => {
  const queue = queueOf("0102", "03");
  queue.unshift(queue.shift()!.subarray(1));
  expect(drain(queue)).toEqual(["02", "03"]);
});

test("unshiftJoined joins the start of a header with the next chunk and with no other", () => {
  const queue = queueOf("0203", "04");
  expect(queue.unshiftJoined(hex("01"), Buffer.alloc)).toBe(true);
  expect(drain(queue)).toEqual(["010203", "04"]);
});

test("unshiftJoined keeps the start of a header when no chunk follows", () => {
  const queue = new ByteQueue();
  expect(queue.unshiftJoined(hex("0102"), Buffer.alloc)).toBe(false);
  expect(drain(queue)).toEqual(["0102"]);
});

test("unshiftJoined joins the start of a header with an empty chunk", () => {
  const queue = queueOf("");
  expect(queue.unshiftJoined(hex("01"), Buffer.alloc)).toBe(true);
  expect(drain(queue)).toEqual(["01"]);
});

test("unshiftJoined copies the start of a header and does not keep its chunk", () => {
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
