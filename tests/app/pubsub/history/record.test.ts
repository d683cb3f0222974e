import { expect, test } from "vitest";
import { decodeRecord, encodeRecord } from "../../../../src/app/pubsub/history/record.ts";

test.each<[string, string | Buffer]>([
  ["a text", "hello"],
  ["an empty text", ""],
  ["a text of all planes", "a\u00e9\u4f60\u{1f680}\0"],
  ["bytes", Buffer.from([0, 1, 2, 255])],
  ["no bytes", Buffer.alloc(0)],
  ["bytes that look like a record of a text", encodeRecord("hello")],
])("%s comes out as it went in", (_name, data) => {
  expect(decodeRecord(encodeRecord(data))).toEqual(data);
});

test("bytes are copied, because the application may change its own", () => {
  const bytes = Buffer.from([1, 2, 3]);
  const record = encodeRecord(bytes);
  bytes.fill(0);
  expect(decodeRecord(record)).toEqual(Buffer.from([1, 2, 3]));
});

test("a record may be a part of other bytes", () => {
  const around = Buffer.concat([Buffer.from("before"), encodeRecord("hello"), Buffer.from("behind")]);
  expect(decodeRecord(new Uint8Array(around.buffer, around.byteOffset + 6, 6))).toBe("hello");
});

test.each([["nothing", ""], ["another first byte", "7b7d"]])("%s, from another program, is bytes", (_name, hex) => {
  expect(decodeRecord(Buffer.from(hex, "hex"))).toEqual(Buffer.from(hex, "hex"));
});
