import { isUtf8 } from "node:buffer";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Utf8Validator } from "../../src/protocol/utf8.ts";
import { hex } from "../support/hex.ts";
import { cutAt } from "../support/protocol.ts";

const valid: [name: string, text: string][] = [
  ["nothing", ""],
  ["ASCII from end to end", "00 20 61 7f"],
  ["U+0080, the first of two bytes", "c280"],
  ["U+07FF, the last of two bytes", "dfbf"],
  ["U+0800, the first of three bytes", "e0a080"],
  ["U+0FFF", "e0bfbf"],
  ["U+1000", "e18080"],
  ["U+D7FF, the last before the surrogates", "ed9fbf"],
  ["U+E000, the first after the surrogates", "ee8080"],
  ["U+FEFF, a byte order mark", "efbbbf"],
  ["U+FFFF, the last of three bytes", "efbfbf"],
  ["U+10000, the first of four bytes", "f0908080"],
  ["U+3FFFF", "f0bfbfbf"],
  ["U+40000", "f1808080"],
  ["U+FFFFF", "f3bfbfbf"],
  ["U+10FFFF, the last of all", "f48fbfbf"],
  ["characters of one to four bytes", "61 c3a9 e282ac f09f8c8d e282ac c3a9 61"],
];

/** Bytes that a valid text can begin with, then the first byte that cannot follow them, then more bytes. */
const invalid: [name: string, good: string, bad: string, rest: string][] = [
  ["a lone continuation byte, 80", "", "80", "61"],
  ["a lone continuation byte, bf", "61", "bf", ""],
  ["a continuation byte too many", "e282ac", "ac", "61"],
  ["a character cut short by ASCII, after one of two", "c3", "61", "61"],
  ["a character cut short by ASCII, after two of three", "e282", "61", "61"],
  ["a character cut short by ASCII, after three of four", "f09f8c", "61", "61"],
  ["a character cut short by another", "e282", "e2", "82ac"],
  ["an overlong NUL of two bytes", "", "c0", "80"],
  ["the highest overlong form of two bytes", "61", "c1", "bf"],
  ["the lowest overlong form of three bytes", "e0", "80", "80"],
  ["the highest overlong form of three bytes", "e0", "9f", "bf"],
  ["the lowest overlong form of four bytes", "f0", "80", "8080"],
  ["the highest overlong form of four bytes", "f0", "8f", "bfbf"],
  ["the first surrogate", "ed", "a0", "80"],
  ["the last surrogate", "61 ed", "bf", "bf"],
  ["a pair of surrogates", "ed", "a0", "80 edb080"],
  ["U+110000", "f4", "90", "8080"],
  ["U+13FFFF", "f4", "bf", "bfbf"],
  ["U+140000", "", "f5", "808080"],
  ["a character of five bytes", "", "f8", "88808080"],
  ["a character of six bytes", "", "fc", "8480808080"],
  ["fe", "c3a9", "fe", ""],
  ["ff", "f09f8c8d", "ff", "61"],
];

const truncated = [
  "c2",
  "df",
  "e0",
  "e0a0",
  "e1",
  "e282",
  "ed",
  "ed9f",
  "ef",
  "f0",
  "f090",
  "f09080",
  "f3",
  "f48f",
  "f48fbf",
];

/** Bytes before and after a text: none, or enough for the native check, of ASCII or of other characters. */
const paddings: [name: string, before: Uint8Array, after: Uint8Array][] = [
  ["alone", hex(""), hex("")],
  ["after 64 bytes", Buffer.alloc(64, "a"), hex("")],
  ["before 64 bytes", hex(""), Buffer.alloc(64, "a")],
  ["between 65 bytes", Buffer.alloc(65, "a"), Buffer.alloc(65, "a")],
  ["between characters of two bytes", Buffer.from("é".repeat(40)), Buffer.from("é".repeat(40))],
  ["between characters of four bytes", Buffer.from("🌍".repeat(20)), Buffer.from("🌍".repeat(20))],
];

/** The number of pieces that are taken before one is refused, and whether the text may end there. */
function push(pieces: readonly Uint8Array[]): { taken: number; isComplete: boolean } {
  const validator = new Utf8Validator(isUtf8);
  const refusedAt = pieces.findIndex((piece) => !validator.push(piece));
  return { taken: refusedAt === -1 ? pieces.length : refusedAt, isComplete: validator.isComplete };
}

/** True when the pieces together are a valid text. */
function accepts(pieces: readonly Uint8Array[]): boolean {
  const { taken, isComplete } = push(pieces);
  return taken === pieces.length && isComplete;
}

function octets(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (octet) => Uint8Array.of(octet));
}

describe.each(paddings)("a text %s", (_name, before, after) => {
  test.each(valid)("is taken cut at any byte: %s", (_name, text) => {
    const bytes = Buffer.concat([before, hex(text), after]);
    expect(accepts([bytes])).toBe(true);
    expect(accepts(octets(bytes))).toBe(true);
    for (let at = 0; at <= bytes.length; at++) expect(accepts(cutAt(bytes, [at])), `cut at ${at}`).toBe(true);
  });

  test.each(invalid)("is refused at exactly its first bad byte: %s", (_name, good, bad, rest) => {
    const bytes = Buffer.concat([before, hex(good + bad + rest), after]);
    const badAt = before.length + hex(good).length;
    expect(push([bytes]).taken).toBe(0);
    expect(push(octets(bytes)).taken).toBe(badAt);
    expect(push([bytes.subarray(0, badAt), bytes.subarray(badAt, badAt + 1)]).taken).toBe(1);
    for (let at = 0; at <= bytes.length; at++) {
      expect(push(cutAt(bytes, [at])).taken, `cut at ${at}`).toBe(at > badAt ? 0 : 1);
    }
  });

  test.each(truncated)("is taken but not complete when its last character is not: %s", (character) => {
    const bytes = Buffer.concat([before, hex(character)]);
    for (let at = 0; at <= bytes.length; at++) {
      expect(push(cutAt(bytes, [at])), `cut at ${at}`).toEqual({ taken: 2, isComplete: false });
    }
  });
});

describe("the validator agrees with the native check", { tags: "heavy" }, () => {
  const options = { numRuns: 500 };
  const cuts = fc.array(fc.nat(400), { maxLength: 8 });
  const longText = fc.string({ unit: "binary", minLength: 30, maxLength: 150 });

  function cut(bytes: Uint8Array, positions: readonly number[]): Uint8Array[] {
    return cutAt(bytes, positions.map((position) => position % (bytes.length + 1)));
  }

  test("about any bytes, in any pieces", () => {
    const anyBytes = fc.oneof(fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ maxLength: 200 }));
    fc.assert(
      fc.property(anyBytes, cuts, (bytes, positions) => {
        expect(accepts(cut(bytes, positions))).toBe(isUtf8(bytes));
      }),
      options,
    );
  });

  test("about texts, in any pieces", () => {
    fc.assert(
      fc.property(longText, cuts, (text, positions) => {
        expect(accepts(cut(Buffer.from(text), positions))).toBe(true);
      }),
      options,
    );
  });

  test("about texts with some bytes changed, in any pieces", () => {
    const telling = [0x61, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xe0, 0xed, 0xf0, 0xf4, 0xff];
    const changes = fc.array(fc.tuple(fc.nat(), fc.constantFrom(...telling)), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(longText, changes, cuts, (text, changes, positions) => {
        const bytes = Buffer.from(text);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        expect(accepts(cut(bytes, positions))).toBe(isUtf8(bytes));
      }),
      options,
    );
  });

  test("about every pair of bytes after ASCII", () => {
    const wrong: string[] = [];
    for (let pair = 0; pair < 0x10000; pair++) {
      const bytes = Uint8Array.of(0x61, pair >> 8, pair & 0xff);
      if (accepts([bytes]) !== isUtf8(bytes)) wrong.push(pair.toString(16));
    }
    expect(wrong).toEqual([]);
  });
});
