/** The bytes of one message of the stream. */
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeRecord, encodeRecord, lastOffset, maxRecordBytes } from "../../src/brokers/nats-record.ts";

const epochs = fc.stringMatching(/^[\w-]{1,64}$/);
const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 8 });

test("a record is read as it was written", () => {
  fc.assert(fc.property(epochs, fc.integer({ min: 1, max: 2 ** 53 - 100 }), messages, (epoch, first, written) => {
    const bytes = encodeRecord(epoch, first, written);
    expect(bytes.length).toBeLessThanOrEqual(maxRecordBytes(written));
    // The record is a view of a larger buffer.
    const larger = Buffer.concat([Buffer.from("before"), bytes, Buffer.from("behind")]);
    const record = decodeRecord(new Uint8Array(larger.buffer, larger.byteOffset + 6, bytes.length))!;
    expect(record.epoch).toBe(epoch);
    expect(record.messages.map(({ bytes }) => new Uint8Array(bytes))).toEqual(written);
    expect(record.messages.map(({ offset }) => offset)).toEqual(written.map((_, i) => first + i));
    expect(lastOffset(record)).toBe(first + written.length - 1);
  }));
});

test("the most bytes of a record are those with the longest epoch", () => {
  const written = [Buffer.from("hello"), Buffer.from("")];
  expect(encodeRecord("e".repeat(64), 1, written)).toHaveLength(maxRecordBytes(written));
});

test("a record that was cut is not one, unless messages at its end are missing as a whole", () => {
  const bytes = encodeRecord("epoch", 7, [Buffer.from("hello"), Buffer.from("you")]);
  const counts = Array.from(bytes, (_, length) => decodeRecord(bytes.subarray(0, length))?.messages.length ?? 0);
  const whole = bytes.length - 4 - "you".length;
  expect(counts).toEqual(counts.map((_, length) => length === whole ? 1 : 0));
});

test.each([
  ["no bytes", ""],
  ["a text", Buffer.from("hello, I am not a record at all").toString("hex")],
  ["another version", "02 01 65 0000000000000001 00000000"],
  ["no epoch", "01 00 0000000000000001 00000000"],
  ["an epoch with a space", "01 01 20 0000000000000001 00000000"],
  ["an epoch of 65 characters", `01 41 ${"65".repeat(65)} 0000000000000001 00000000`],
  ["the offset 0", "01 01 65 0000000000000000 00000000"],
  ["an offset that is not safe", "01 01 65 0020000000000000 00000000"],
  ["no message", "01 01 65 0000000000000001"],
  ["a message that is longer than the record", "01 01 65 0000000000000001 ffffffff 00"],
])("%s: this is no record", (_name, hex) => {
  expect(decodeRecord(Buffer.from(hex.replaceAll(" ", ""), "hex"))).toBeUndefined();
});

test("any bytes are a record or not, and never an error", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
    const record = decodeRecord(bytes);
    expect(record === undefined || record.messages.length > 0).toBe(true);
  }));
});
