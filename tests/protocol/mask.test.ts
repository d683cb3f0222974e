import { afterEach, describe, expect, test, vi } from "vitest";
import { loadSimd } from "../../src/protocol/mask-simd.ts";
import { rotateKey, unmask, unmaskInto, unmaskShort, unmaskSmall } from "../../src/protocol/mask.ts";
import { hex } from "../support/hex.ts";

const keys = ["00000000", "ffffffff", "9b24e750", "00000080", "80000000", "37fa213d"].map((digits) => hex(digits));
const keyOffsets = [0, 1, 2, 3];
const alignments = [0, 1, 2, 3, 4, 5, 6, 7];

/** The algorithm of §5.3 as the RFC describes it, octet by octet. */
function slowTwin(masked: Uint8Array, key: Uint8Array, keyOffset: number): { octets: Buffer; or: number } {
  const octets = Buffer.alloc(masked.length);
  let or = 0;
  for (let i = 0; i < masked.length; i++) {
    octets[i] = masked[i] ^ key[(i + keyOffset) % 4];
    or |= octets[i];
  }
  return { octets, or };
}

/** Octets whose pattern does not repeat after a power of two. */
function payload(size: number): Buffer {
  return Buffer.from(Array.from({ length: size }, (_, i) => i * 167 + (i >> 3)));
}

class RefusedInstance {
  constructor() {
    throw new RangeError("WebAssembly.Instance(): Out of memory");
  }
}

/** Describes each alignment and key for which the function and its slow twin differ. */
function differences(size: number, unmaskOf: typeof unmask = unmask): string[] {
  const found: string[] = [];
  const masked = payload(size);
  const memory = Buffer.alloc(size + 24);
  const border = Buffer.alloc(24, 0xa5);
  for (const key of keys) {
    for (const keyOffset of keyOffsets) {
      const expected = slowTwin(masked, key, keyOffset);
      for (const alignment of alignments) {
        for (const start of [4, 7]) {
          const end = start + size;
          const bytes = memory.fill(0xa5).subarray(alignment);
          masked.copy(bytes, start);
          const allBits = unmaskOf(bytes, start, end, rotateKey(key.readInt32LE(), keyOffset));
          const isRight = bytes.subarray(start, end).equals(expected.octets) && (allBits & 0xff) === expected.or &&
            border.equals(Buffer.concat([memory.subarray(0, alignment + start), bytes.subarray(end)]));
          const shown = key.toString("hex");
          if (!isRight) found.push(`${size} bytes at ${alignment} + ${start}, key ${shown} from ${keyOffset}`);
        }
      }
    }
  }
  return found;
}

describe("unmask agrees with its slow twin over every alignment, key and key offset", () => {
  test("for 0 to 200 bytes", () => {
    expect(Array.from({ length: 201 }, (_, size) => differences(size)).flat()).toEqual([]);
  });

  test.each([1020, 1021, 1022, 1023, 1024, 1025, 1026, 1027, 1028, 1055, 1056, 1057])("for %i bytes", (size) => {
    expect(differences(size)).toEqual([]);
  });

  test.each([2046, 2047, 2048, 2049, 2079, 2080, 2111])("for %i bytes", (size) => {
    expect(differences(size)).toEqual([]);
  });

  test.each([32_767, 32_768, 32_769, 65_533, 65_535, 65_536, 65_537])("for %i bytes", { tags: "heavy" }, (size) => {
    expect(differences(size)).toEqual([]);
    expect(differences(size, unmaskSmall)).toEqual([]);
  });
});

describe.each([["in its own place", true], ["into other memory", false]])(
  "unmaskShort agrees with its slow twin, %s",
  (_name, isInPlace) => {
    test.each(keys.map((key) => [key.toString("hex"), key] as const))(
      "for 0 to 125 bytes and the key %s",
      (_hex, key) => {
        for (let size = 0; size <= 125; size++) {
          for (const at of [4, 5, 6, 7]) {
            const masked = payload(size);
            const expected = slowTwin(masked, key, 0);
            const source = Buffer.alloc(size + 12, 0xa5);
            key.copy(source, at - 4);
            masked.copy(source, at);
            const before = Buffer.from(source);
            const target = isInPlace ? source : Buffer.alloc(size + 12, 0x5a);
            const to = isInPlace ? at : 2;
            const around = Buffer.from(target);
            const allBits = unmaskShort(target, to, source, at, size);
            expected.octets.copy(around, to);
            expect([target.equals(around), isInPlace || source.equals(before), allBits & 0xff]).toEqual([
              true,
              true,
              expected.or,
            ]);
          }
        }
      },
    );
  },
);

describe("unmaskInto changes neither the source nor the target's other bytes", () => {
  const key = hex("9b24e750");

  test.each([0, 1, 31, 200, 2047, 2048, 2081, 32_800, 65_537])("for %i bytes", (size) => {
    const masked = payload(size);
    const { octets, or } = slowTwin(masked, key, 0);
    for (const alignment of [0, 1, 14, 63, 64]) {
      const target = Buffer.alloc(alignment + size + 40, 0xa5);
      const expected = Buffer.from(target);
      octets.copy(expected, alignment);
      expect(unmaskInto(target, alignment, masked, key.readInt32LE()) & 0xff).toBe(or);
      expect(target.equals(expected)).toBe(true);
    }
    expect(masked.equals(payload(size))).toBe(true);
  });
});

describe("without WebAssembly", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });

  test.each([
    ["which a flag has turned off", undefined],
    ["whose memory cannot be allocated", { ...WebAssembly, Module: WebAssembly.Module, Instance: RefusedInstance }],
  ])("%s, large payloads are unmasked in JavaScript", async (_reason, stub) => {
    vi.stubGlobal("WebAssembly", stub);
    expect(loadSimd()).toBeUndefined();
    vi.resetModules();
    const fresh = await import("../../src/protocol/mask.ts");
    expect(differences(4097, fresh.unmask)).toEqual([]);
  });
});

describe("unmask tells a payload that is not ASCII from one that is", () => {
  const key = hex("9b24e750");
  const maskingKey = key.readInt32LE();

  test.each([1, 3, 63, 64, 65, 100, 131, 1000, 2051, 2080])(
    "wherever among %i bytes the other octet stands",
    (size) => {
      const ascii = Buffer.alloc(size, 0x7f);
      const highBitOf = (octets: Uint8Array): number =>
        unmask(slowTwin(octets, key, 0).octets, 0, size, maskingKey) & 0x80;
      expect(highBitOf(ascii)).toBe(0);
      const missed = Array.from(ascii.keys()).filter((at) => {
        const octets = Buffer.from(ascii);
        octets[at] = 0x80;
        return highBitOf(octets) === 0;
      });
      expect(missed).toEqual([]);
    },
  );
});

describe("rotateKey", () => {
  test("moves the key on by the octets that were unmasked before", () => {
    const key = hex("01020384").readInt32LE();
    const first = Array.from({ length: 9 }, (_, offset) => rotateKey(key, offset) & 0xff);
    expect(first).toEqual([0x01, 0x02, 0x03, 0x84, 0x01, 0x02, 0x03, 0x84, 0x01]);
  });

  test("uses the last two bits of an offset beyond 32 bits", () => {
    const key = hex("9b24e750").readInt32LE();
    expect(rotateKey(key, 2 ** 40 + 3) | 0).toBe(rotateKey(key, 3) | 0);
  });

  test.each([[1, 2, 3], [5, 64, 200], [70, 1, 129]])(
    "makes the key right for pieces of %i, %i and %i bytes",
    (...sizes) => {
      const key = hex("9b24e750");
      const masked = payload(sizes[0] + sizes[1] + sizes[2]);
      const { octets } = slowTwin(masked, key, 0);
      let at = 0;
      for (const size of sizes) {
        unmask(masked, at, at + size, rotateKey(key.readInt32LE(), at));
        at += size;
      }
      expect(masked).toEqual(octets);
    },
  );
});
