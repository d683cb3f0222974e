import { afterEach, describe, expect, test, vi } from "vitest";
import { BLOCK_BYTES, loadSimd } from "../../src/protocol/mask-simd.ts";
import { isSlow, pageShifts } from "../support/copies.ts";
import { hex } from "../support/hex.ts";

const unmaskBlocks = loadSimd()!;
const keys = ["00000000", "ffffffff", "9b24e750", "00000080"].map((digits) => hex(digits));

/** Octets whose pattern does not repeat after a power of two. */
function payload(size: number): Buffer {
  return Buffer.from(Array.from({ length: size }, (_, i) => i * 167 + (i >> 3)));
}

test("the module loads on every runtime", () => {
  expect(unmaskBlocks).toBeTypeOf("function");
});

describe("whole blocks are copied and unmasked", () => {
  // On both sides of 32 KiB, which is how many bytes the module's memory takes at once.
  const sizes = [0, 32, 64, 96, 1024, 32_736, 32_768, 32_800, 65_536, 65_568];

  test.each(sizes)("%i bytes, wherever in a cache line the target lies", (size) => {
    const masked = payload(size);
    for (const key of keys) {
      const octets = Buffer.from(masked.map((octet, i) => octet ^ key[i % 4]));
      let words = 0;
      for (let at = 0; at < size; at += 4) words |= octets.readInt32LE(at);
      for (const at of [0, 1, 31, 63, 64, 100]) {
        const target = Buffer.alloc(at + size + 40, 0xa5);
        const expected = Buffer.from(target);
        expected.set(octets, at);
        expect(unmaskBlocks(target, at, masked, size, key.readInt32LE())).toBe(words);
        expect(target.equals(expected)).toBe(true);
      }
    }
    expect(masked.equals(payload(size))).toBe(true);
  });

  test("by copies that are fast, behind each header and wherever the target lies", () => {
    const [source, target] = [Buffer.allocUnsafeSlow(70_000), Buffer.allocUnsafeSlow(70_000)];
    for (const header of [0, 4, 8, 14]) {
      for (const at of [0, 8, 16]) {
        const frame = source.subarray(header);
        const shifts = pageShifts(() => void unmaskBlocks(target, at, frame, 65_536, 0));
        expect(shifts.length).toBe(4);
        expect(shifts.filter(isSlow)).toEqual([]);
      }
    }
  });

  test("and the result has the bits of every octet, wherever the octet stands in a block", () => {
    const results = Array.from({ length: 2 * BLOCK_BYTES }, (_, at) => {
      const source = Buffer.alloc(2 * BLOCK_BYTES);
      source[at] = 0x81;
      return unmaskBlocks(Buffer.alloc(source.length), 0, source, source.length, 0);
    });
    expect(results).toEqual(results.map((_, at) => 0x81 << 8 * (at % 4)));
  });

  test("only as many bytes as are asked for, of a longer source", () => {
    const target = Buffer.alloc(3 * BLOCK_BYTES, 0xa5);
    const source = Buffer.alloc(2 * BLOCK_BYTES, 0xff);
    expect(unmaskBlocks(target, 0, source, BLOCK_BYTES, 0x0f0f0f0f)).toBe(0xf0f0f0f0 | 0);
    expect(target.subarray(0, BLOCK_BYTES).equals(Buffer.alloc(BLOCK_BYTES, 0xf0))).toBe(true);
    expect(target.subarray(BLOCK_BYTES).equals(Buffer.alloc(2 * BLOCK_BYTES, 0xa5))).toBe(true);
  });

  test("in place", () => {
    const bytes = payload(40_032);
    const expected = bytes.map((octet) => octet ^ 0x5a);
    unmaskBlocks(bytes, 0, bytes, bytes.length, 0x5a5a5a5a);
    expect(bytes.equals(expected)).toBe(true);
  });
});

test("two loaded modules have memory of their own", () => {
  const target = Buffer.alloc(BLOCK_BYTES);
  expect(loadSimd()!(target, 0, Buffer.alloc(BLOCK_BYTES, 0xff), BLOCK_BYTES, 0)).toBe(-1);
  expect(unmaskBlocks(target, 0, Buffer.alloc(BLOCK_BYTES), BLOCK_BYTES, 0)).toBe(0);
});

describe("loadSimd gives undefined", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  class RefusedInstance {
    constructor() {
      throw new RangeError("WebAssembly.Instance(): Out of memory");
    }
  }

  test.each([
    ["when the runtime has no WebAssembly", undefined],
    ["when there is no address space for the module's memory", {
      Module: WebAssembly.Module,
      Instance: RefusedInstance,
    }],
  ])("%s", (_name, stub) => {
    vi.stubGlobal("WebAssembly", stub);
    expect(loadSimd()).toBeUndefined();
  });
});
