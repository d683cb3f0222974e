import { deflateRawSync, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { clearFinalBit } from "../../../src/transport/deflate/clear-bfinal.ts";
import { deflated, inflated } from "../../support/deflate.ts";
import { Random } from "../../support/random.ts";

/** The end of a flush, which a message leaves out and its reader appends (RFC 7692 §7.2.2). */
const TAIL = Buffer.of(0x00, 0x00, 0xff, 0xff);

const letters = (count: number, alphabet: number): Buffer =>
  Buffer.from(Array.from({ length: count }, (_, i) => 97 + (i * i * 7 + (i >> 3)) % alphabet));

const isFinal = (block: Uint8Array): boolean => (block[0] & 1) === 1;

describe("a stream of one final block", () => {
  test("has a final block before the call, and none after it", () => {
    const stream = deflateRawSync(letters(500, 20));
    expect(isFinal(stream)).toBe(true);
    const payload = clearFinalBit(stream)!;
    expect(isFinal(payload)).toBe(false);
    expect(inflated(payload)).toEqual(letters(500, 20));
  });

  test("is one byte longer where the last byte has no room for another header, and otherwise as long as before", () => {
    const grown = new Set(Array.from({ length: 200 }, (_, i) => {
      const stream = deflateRawSync(letters(200 + i, 20));
      const byteLength = stream.length;
      return clearFinalBit(stream)!.length - byteLength;
    }));
    expect([...grown].sort()).toEqual([0, 1]);
  });

  test("may be continued: the bytes behind it are read", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 60 }),
        fc.array(fc.nat(), { minLength: 100, maxLength: 2000 }),
        fc.integer({ min: 1, max: 9 }),
        (alphabet, choices, level) => {
          const data = Buffer.from(choices.map((choice) => alphabet[choice % alphabet.length]));
          const payload = clearFinalBit(deflateRawSync(data, { level }));
          if (payload === undefined) return;
          expect(inflated(payload)).toEqual(data);
          const both = Buffer.concat([payload, TAIL, deflateRawSync("and this")]);
          expect(inflateRawSync(both)).toEqual(Buffer.concat([data, Buffer.from("and this")]));
        },
      ),
      { numRuns: 500 },
    );
  });

  test("may have any number of literals, lengths of codes and repetitions", () => {
    const unchanged: string[] = [];
    for (let alphabet = 2; alphabet <= 256; alphabet++) {
      for (const count of [150, 3000]) {
        const data = Buffer.from(Array.from({ length: count }, (_, i) => (i * i * 31 + (i >> 2)) % alphabet));
        const payload = clearFinalBit(deflateRawSync(data));
        if (payload === undefined) unchanged.push(`${count} of ${alphabet}`);
        else expect(inflated(payload), `${count} of ${alphabet}`).toEqual(data);
      }
    }
    // Most blocks have codes of their own. The others are stored, or have the fixed codes of RFC 1951 §3.2.6.
    expect(unchanged.length).toBeLessThan(200);
  });
});

describe("a stream that is not one final block with codes of its own", () => {
  test.each([
    ["stored", deflateRawSync(letters(500, 20), { level: 0 })],
    ["with the fixed codes of §3.2.6", deflateRawSync("abc")],
    ["of no bytes at all", deflateRawSync("")],
    [
      "of several blocks",
      deflateRawSync(Buffer.concat([letters(200_000, 20), new Random(1).bytes(200_000).map((byte) => byte & 63)])),
    ],
    ["that is not final", deflated(letters(500, 20))],
  ])("is left as it is: one %s", (_, stream) => {
    const before = Buffer.from(stream);
    expect(clearFinalBit(stream)).toBeUndefined();
    expect(stream).toEqual(before);
  });
});
