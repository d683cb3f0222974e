import type { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { acceptKey, codec, free, readsWhilePaused, runtime } from "../src/platform.ts";
import { hex } from "./support/hex.ts";
import { actualRuntime } from "./support/runtime.ts";

test("runtime names the runtime of the tests", () => {
  expect(runtime).toBe(actualRuntime().split("@")[0]);
});

test("Deno alone reads on while a socket is paused, and only under TLS", () => {
  const [plain, secure] = [{} as Socket, { encrypted: true } as unknown as Socket];
  expect([readsWhilePaused(plain), readsWhilePaused(secure)]).toEqual([false, runtime === "deno"]);
});

test("the accept value is that of RFC 6455 §1.3", () => {
  expect(acceptKey("dGhlIHNhbXBsZSBub25jZQ==")).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
});

test("allocated memory is a Buffer of exactly the requested length", () => {
  for (const byteLength of [0, 1, 125, 4_096, 70_000]) {
    const bytes = codec.allocate(byteLength);
    expect(Buffer.isBuffer(bytes)).toBe(true);
    expect(bytes.length).toBe(byteLength);
  }
});

test("allocated memory is shared with nothing else", () => {
  for (const byteLength of [0, 1, 125, 4_096, 70_000]) {
    expect(codec.allocate(byteLength).buffer.byteLength).toBe(byteLength);
  }
});

describe("isolate gives a payload memory in which nothing else lies", () => {
  test.each([1, 40, 64, 65, 125, 2_000, 100_000])("%i bytes", (byteLength) => {
    for (const headerBytes of [0, 6, 8, 14]) {
      const frame = Buffer.concat([Buffer.alloc(headerBytes, "h"), Buffer.alloc(byteLength, "p")]);
      const end = frame.length;
      const whole = Buffer.from(Uint8Array.from(frame).buffer);
      const inPool = Buffer.from(Uint8Array.from([...frame, 1]).buffer, 0, end);
      const behind = Buffer.concat([Buffer.alloc(8), frame]);
      const results = [
        codec.isolate(whole, 0, headerBytes, end),
        codec.isolate(inPool, 0, headerBytes, end),
        codec.isolate(behind, 8, 8 + headerBytes, 8 + end),
        codec.isolate(Buffer.concat([frame, Buffer.alloc(8)]), 0, headerBytes, end),
      ];
      for (const bytes of results) {
        expect(Buffer.compare(bytes, Buffer.alloc(byteLength, "p"))).toBe(0);
        expect(bytes.byteOffset % 8).toBe(0);
      }
      expect(results[0].buffer.byteLength).toBeLessThanOrEqual(end);
      for (const { buffer } of results.slice(1)) expect(buffer.byteLength).toBe(byteLength);
    }
  });
});

test.each([
  ["nothing", "", ""],
  ["one character", "41", "A"],
  ["all of ASCII", Buffer.from(Array.from({ length: 128 }, (_, i) => i)).toString("hex"), undefined],
])("ASCII is decoded: %s", (_name, digits, expected) => {
  const bytes = hex(digits);
  const text = codec.decodeAscii(bytes, 0, bytes.length);
  expect(text).toBe(expected ?? String.fromCharCode(...bytes));
});

test.each([
  ["two bytes a character", "grüße"],
  ["three bytes a character", "世界 €"],
  ["four bytes a character", "🌍🏳️‍🌈"],
  ["a byte order mark, which is part of the text", "\ufeffmark"],
  ["NUL", "a\0b"],
  ["a replacement character that the peer has sent", "ünread\ufffdable"],
  ["more than a few bytes", "ünïcödé ".repeat(10_000)],
])("UTF-8 is decoded: %s", (_name, text) => {
  const bytes = Buffer.from(text);
  expect(codec.decodeUtf8(bytes, 0, bytes.length)).toBe(text);
  expect(codec.decodeValidUtf8(bytes, 0, bytes.length)).toBe(text);
});

test("only the given range is decoded", () => {
  const bytes = Buffer.from("<grüße>");
  expect(codec.decodeUtf8(bytes, 1, bytes.length - 1)).toBe("grüße");
  expect(codec.decodeAscii(bytes, 0, 3)).toBe("<gr");
  expect(codec.decodeUtf8(bytes.subarray(1), 0, 4)).toBe("grü");
  expect(codec.decodeUtf8(bytes, 3, 3)).toBe("");
  expect(codec.decodeValidUtf8(bytes, 1, bytes.length - 1)).toBe("grüße");
  // The range ends inside a character, and the bytes behind it would complete the character.
  expect(codec.decodeUtf8(bytes, 1, 4)).toBeUndefined();
});

test.each([
  ["nothing", "", true],
  ["a text in many scripts", Buffer.from("aé世🌍").toString("hex"), true],
  ["a lone continuation byte", "80", false],
  ["an overlong slash", "c0af", false],
  ["a surrogate", "eda080", false],
  ["a character above U+10FFFF", "f4908080", false],
  ["a character cut short", "e282", false],
  ["a replacement character before a lone continuation byte", "efbfbd80", false],
])("UTF-8 is checked: %s", (_name, digits, expected) => {
  const bytes = hex(digits);
  expect(codec.isUtf8(bytes)).toBe(expected);
  expect(codec.decodeUtf8(bytes, 0, bytes.length) !== undefined).toBe(expected);
});

test.each([4_096, 20_000, 300_000])("allocated memory is freed: %i bytes", (byteLength) => {
  const bytes = codec.allocate(byteLength);
  codec.free(bytes);
  expect(bytes.length).toBe(runtime === "deno" ? byteLength : 0);
});

test.each<[string, Buffer]>([
  ["the beginning of a larger buffer", Buffer.alloc(32_768, "x").subarray(0, 16_384)],
  ["the end of a larger buffer", Buffer.alloc(32_768, "x").subarray(16_384)],
  ["a few bytes", Buffer.from(new Uint8Array(100).fill(120).buffer)],
  ["memory that threads share", Buffer.from(new SharedArrayBuffer(16_384)).fill("x")],
])("memory is not freed when it is shared or short: %s", (_name, chunk) => {
  const { length } = chunk;
  free(chunk);
  expect(chunk.length).toBe(length);
  expect(chunk.equals(Buffer.alloc(length, "x"))).toBe(true);
});
