import { isUtf8 } from "node:buffer";
import { describe, expect, test } from "vitest";
import { unmask } from "../../src/protocol/mask.ts";
import { checkMessageBytes, type MessageLimits, PartialMessage } from "../../src/protocol/message.ts";
import { hex } from "../support/hex.ts";
import { defaultLimits, faultOf } from "../support/protocol.ts";

const boundless: MessageLimits = { maxMessageBytes: Number.MAX_SAFE_INTEGER, maxFragments: Number.MAX_SAFE_INTEGER };

interface Spied {
  message: PartialMessage;
  /** The sizes of all memory that was allocated. */
  allocated: number[];
  /** The sizes of all memory that was freed. */
  freed: number[];
}

function begin(isText: boolean, limits: Partial<MessageLimits> = {}): Spied {
  const allocated: number[] = [];
  const allocate = (byteLength: number): Uint8Array => {
    allocated.push(byteLength);
    return Buffer.alloc(byteLength, 0xee);
  };
  const freed: number[] = [];
  const free = (bytes: Uint8Array): void => {
    freed.push(bytes.length);
    bytes.fill(0xdd);
  };
  const memory = { allocate, allocateForText: allocate, free };
  return {
    message: new PartialMessage(isText, false, { ...defaultLimits, ...limits }, memory, isUtf8),
    allocated,
    freed,
  };
}

/** A message whose fragments are not masked, each in one piece. */
function messageOf(isText: boolean, ...fragments: Uint8Array[]): PartialMessage {
  const { message } = begin(isText);
  fragments.forEach((fragment, i) => {
    message.addFragment(fragment.length, i === fragments.length - 1);
    message.append(fragment, 0, 0);
  });
  return message;
}

describe("a message joins the bytes", () => {
  test("of one frame in pieces, each unmasked at its place in the payload", () => {
    const { message } = begin(false);
    const key = hex("9b24e750");
    const masked = Uint8Array.from({ length: 100 }, (_, i) => i ^ key[i % 4]);
    message.addFragment(100, true);
    for (const [start, end] of [[0, 1], [1, 7], [7, 90], [90, 100]]) {
      message.append(masked.subarray(start, end), start, key.readInt32LE());
    }
    expect([...message.finish()]).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test("of several frames, each with a key of its own", () => {
    const { message } = begin(false);
    for (const [payload, key] of [["0102", "ff00ff00"], ["030405", "01020304"]]) {
      const masked = hex(payload).map((octet, i) => octet ^ hex(key)[i]);
      message.addFragment(masked.length, false);
      message.append(masked, 0, hex(key).readInt32LE());
    }
    expect(message.finish()).toEqual(hex("0102030405"));
  });

  test("of empty frames, to an empty message", () => {
    const { message, allocated } = begin(true);
    message.addFragment(0, false);
    message.addFragment(0, true);
    expect(message.finish()).toEqual(hex(""));
    expect(allocated).toEqual([0]);
  });

  test("without changing the chunk in which they came, and without keeping it", () => {
    const chunk = hex("616263");
    const { message } = begin(false);
    message.addFragment(3, true);
    message.append(chunk, 0, 0x01010101);
    expect(chunk).toEqual(hex("616263"));
    chunk.fill(0);
    expect(message.finish()).toEqual(hex("606362"));
  });
});

describe("large pieces that are all of their memory", () => {
  const KiB = 1024;
  const key = hex("9b24e750").readInt32LE();
  /** Pieces of a masked payload whose byte i is i mod 251, each in memory of its own. */
  const piecesOf = (...sizes: number[]): Uint8Array[] => {
    const payload = Uint8Array.from({ length: sizes.reduce((sum, size) => sum + size) }, (_, i) => i % 251);
    unmask(payload, 0, payload.length, key);
    let at = 0;
    return sizes.map((size) => payload.slice(at, at += size));
  };
  /** Appends the pieces of a frame, and returns which of them the message has kept. */
  const appendAll = (message: PartialMessage, pieces: readonly Uint8Array[]): boolean[] => {
    let offset = 0;
    return pieces.map((piece) => {
      const isKept = message.append(piece, offset, key);
      offset += piece.length;
      return isKept;
    });
  };
  const isWhole = (bytes: Uint8Array, length: number): boolean =>
    bytes.length === length && bytes.every((byte, i) => byte === i % 251);

  test("wait until the buffer may be as long as the payload, and are freed then", () => {
    const { message, allocated, freed } = begin(false);
    message.addFragment(512 * KiB, true);
    const pieces = piecesOf(...Array<number>(8).fill(64 * KiB));
    expect(appendAll(message, pieces)).toEqual([true, false, false, false, false, false, false, false]);
    expect([allocated, freed]).toEqual([[512 * KiB], [64 * KiB]]);
    expect(isWhole(message.finish(), 512 * KiB)).toBe(true);
  });

  test("wait behind a short piece, and in front of one", () => {
    const { message, allocated, freed } = begin(false);
    message.addFragment(1000 * KiB, true);
    const pieces = piecesOf(100, 64 * KiB, 64 * KiB, 100, 64 * KiB, 64 * KiB, 744 * KiB - 200);
    expect(appendAll(message, pieces)).toEqual([false, true, true, false, false, false, false]);
    expect([allocated, freed]).toEqual([[400, 4 * (128 * KiB + 200), 1000 * KiB], [
      400,
      64 * KiB,
      64 * KiB,
      4 * (128 * KiB + 200),
    ]]);
    expect(isWhole(message.finish(), 1000 * KiB)).toBe(true);
  });

  test("wait for the last frame, also when that frame is empty", () => {
    const { message, allocated, freed } = begin(false, { maxMessageBytes: 1024 * KiB });
    message.addFragment(128 * KiB, false);
    expect(appendAll(message, piecesOf(64 * KiB, 64 * KiB))).toEqual([true, true]);
    message.addFragment(0, true);
    expect(isWhole(message.finish(), 128 * KiB)).toBe(true);
    expect([allocated, freed]).toEqual([[128 * KiB], [64 * KiB, 64 * KiB]]);
  });

  test.each([
    ["a text", true, new Uint8Array(64 * KiB)],
    ["a part of other memory", false, new Uint8Array(64 * KiB + 1).subarray(1)],
    ["short", false, new Uint8Array(16 * KiB - 1)],
  ])("are copied at once when they are %s", (_name, isText, piece) => {
    const { message, allocated, freed } = begin(isText);
    message.addFragment(1024 * KiB, true);
    expect(message.append(piece, 0, 0)).toBe(false);
    expect([allocated, freed]).toEqual([[4 * piece.length], []]);
  });
});

describe("memory is allocated for received bytes and not for announced ones", () => {
  test.each([
    ["a frame of 1 GiB", 2 ** 30, [1, 1, 1]],
    ["a frame of 2^53 - 1 bytes", 2 ** 53 - 1, [1, 255, 1, 1023, 3000]],
    ["a frame of 1 MiB in large pieces", 2 ** 20, [65_536, 65_536, 131_072, 786_432]],
    ["a frame of 100 KB in small pieces", 100_000, Array<number>(1000).fill(100)],
  ])("for %s, the last frame or not", (_name, announced, pieces) => {
    for (const isLast of [true, false]) {
      const { message, allocated } = begin(false, boundless);
      message.addFragment(announced, isLast);
      expect(allocated).toEqual([]);
      let received = 0;
      for (const size of pieces) {
        message.append(new Uint8Array(size), received, 0);
        received += size;
        expect(allocated.at(-1) ?? 0).toBeLessThanOrEqual(4 * received + 256);
      }
    }
  });

  test("for a large frame behind many small ones", () => {
    const { message, allocated } = begin(false, boundless);
    for (let received = 1; received <= 1000; received++) {
      message.addFragment(1, false);
      message.append(new Uint8Array(1), 0, 0);
      expect(allocated.at(-1)).toBeLessThanOrEqual(4 * received + 256);
    }
    message.addFragment(2 ** 30, true);
    message.append(new Uint8Array(100), 0, 0);
    expect(allocated.at(-1)).toBeLessThanOrEqual(4 * 1100 + 256);
  });

  test("for a message of one frame in its own size", () => {
    const { message, allocated } = begin(false);
    message.addFragment(1000, true);
    message.append(new Uint8Array(400), 0, 0);
    message.append(new Uint8Array(600), 400, 0);
    expect(message.finish()).toHaveLength(1000);
    expect(allocated).toEqual([1000]);
  });

  test("for a message never beyond maxMessageBytes", () => {
    const { message, allocated } = begin(false, { maxMessageBytes: 1000 });
    message.addFragment(400, false);
    message.append(new Uint8Array(400), 0, 0);
    message.addFragment(600, true);
    message.append(new Uint8Array(600), 0, 0);
    expect(Math.max(...allocated)).toBeLessThanOrEqual(1000);
    expect(message.finish()).toHaveLength(1000);
  });

  // With memory that grows by each fragment, 1 MiB in 16,384 fragments would copy 8 GiB.
  test.each([
    ["1,000 fragments of 1 byte", 1000, 1],
    ["16,384 fragments of 1 byte", 16_384, 1],
    ["4,000 fragments of 25 bytes", 4000, 25],
    ["1,000 fragments of 1,000 bytes", 1000, 1000],
  ])("for %s in an amount that grows with the bytes and not with their square", (_name, count, size) => {
    const { message, allocated } = begin(false);
    const fragment = new Uint8Array(size);
    for (let i = 0; i < count; i++) {
      message.addFragment(size, i === count - 1);
      message.append(fragment, 0, 0);
    }
    const total = allocated.reduce((sum, byteLength) => sum + byteLength, 0);
    expect(total).toBeLessThanOrEqual(8 * count * size + 1024);
    expect(message.finish()).toHaveLength(count * size);
  });

  test("for a frame in many small pieces only a few times", () => {
    const { message, allocated } = begin(false);
    message.addFragment(100_000, true);
    for (let received = 0; received < 100_000; received += 10) message.append(new Uint8Array(10), received, 0);
    expect(allocated.length).toBeLessThanOrEqual(8);
  });
});

describe("a message frees", () => {
  test("each buffer that it has outgrown, and the last one when free is called", () => {
    const { message, allocated, freed } = begin(false);
    const fragment = Buffer.alloc(1000, "x");
    for (let i = 0; i < 20; i++) {
      message.addFragment(1000, i === 19);
      message.append(fragment, 0, 0);
    }
    expect(Buffer.from(message.finish()).equals(Buffer.alloc(20_000, "x"))).toBe(true);
    expect(allocated.length).toBeGreaterThan(1);
    expect(freed).toEqual(allocated.slice(0, -1));
    message.free();
    expect(freed).toEqual(allocated);
    message.free();
    expect(freed).toEqual(allocated);
  });

  test("memory that was allocated for fragments that never came", () => {
    const { message, allocated, freed } = begin(false);
    message.addFragment(1000, false);
    message.append(Buffer.alloc(1000, "x"), 0, 0);
    message.addFragment(0, true);
    expect(Buffer.from(message.finish()).equals(Buffer.alloc(1000, "x"))).toBe(true);
    expect(allocated).toHaveLength(2);
    expect(freed).toEqual(allocated.slice(0, 1));
  });
});

describe("memory that was allocated and never written, which may have bytes of the process,", () => {
  /** A message of `byteLength` bytes. Its first byte comes alone, for which 256 bytes are allocated. */
  function ended(
    isText: boolean,
    isCompressed: boolean,
    byteLength: number,
  ): { bytes: Uint8Array; allocated: string[] } {
    const allocated: string[] = [];
    const allocateBy = (name: string) => (size: number): Uint8Array => {
      allocated.push(`${name} ${size}`);
      return Buffer.alloc(size, 0xee);
    };
    const memory = { allocate: allocateBy("any"), allocateForText: allocateBy("text"), free() {} };
    const message = new PartialMessage(isText, isCompressed, defaultLimits, memory, isUtf8);
    for (const size of [1, byteLength - 1, 0]) {
      message.addFragment(size, size === 0);
      message.append(Buffer.alloc(size, "x"), 0, 0);
    }
    const bytes = message.finish();
    expect(Buffer.from(bytes).equals(Buffer.alloc(byteLength, "x"))).toBe(true);
    return { bytes, allocated };
  }

  test.each([2, 128, 200, 255])("is not handed out behind a binary message of %i bytes", (byteLength) => {
    const { bytes, allocated } = ended(false, false, byteLength);
    expect(bytes.buffer.byteLength).toBe(byteLength);
    expect(allocated.at(-1)).toBe(`any ${byteLength}`);
  });

  test.each([["a text", true, false, "text"], ["a compressed text", true, true, "any"], [
    "a compressed binary message",
    false,
    true,
    "any",
  ]])(
    "stays behind %s, which is decoded at once, if half of the memory is used",
    (_name, isText, isCompressed, kind) => {
      expect(ended(isText, isCompressed, 128).allocated).toEqual([`${kind} 256`]);
      expect(ended(isText, isCompressed, 255).allocated).toEqual([`${kind} 256`]);
      expect(ended(isText, isCompressed, 127).allocated).toEqual([`${kind} 256`, `${kind} 127`]);
      expect(ended(isText, isCompressed, 256).allocated).toEqual([`${kind} 256`]);
    },
  );
});

describe("a message keeps to its limits before it allocates memory", () => {
  test.each<[name: string, limits: Partial<MessageLimits>, fragments: number[], fault: number | undefined]>([
    ["a frame of the largest size", { maxMessageBytes: 100 }, [100], undefined],
    ["a frame one byte above", { maxMessageBytes: 100 }, [101], 1009],
    ["a frame far above", { maxMessageBytes: 100 }, [2 ** 53 - 1], 1009],
    ["frames of the largest size together", { maxMessageBytes: 100 }, [60, 40, 0], undefined],
    ["frames one byte above together", { maxMessageBytes: 100 }, [60, 40, 1], 1009],
    ["frames whose lengths together are no exact number any more", {}, [1, 2 ** 53 - 1], 1009],
    ["the largest number of frames", { maxFragments: 3 }, [1, 0, 1], undefined],
    ["one frame too many", { maxFragments: 3 }, [1, 0, 1, 1], 1008],
    ["an empty frame too many", { maxFragments: 3 }, [0, 0, 0, 0], 1008],
  ])("%s", (_name, limits, fragments, fault) => {
    const { message, allocated } = begin(false, limits);
    for (const payloadLength of fragments.slice(0, -1)) message.addFragment(payloadLength, false);
    expect(faultOf(() => message.addFragment(fragments.at(-1)!, true))).toBe(fault);
    expect(allocated).toEqual([]);
  });

  test("checkMessageBytes allows the limit itself and nothing more", () => {
    expect(faultOf(() => checkMessageBytes(defaultLimits.maxMessageBytes, defaultLimits, false))).toBeUndefined();
    expect(faultOf(() => checkMessageBytes(defaultLimits.maxMessageBytes + 1, defaultLimits, false))).toBe(1009);
  });

  test("checkMessageBytes allows a compressed payload a 32nd part and 64 bytes more, and nothing beyond", () => {
    const limits = { ...defaultLimits, maxMessageBytes: 64 * 1024 };
    expect(faultOf(() => checkMessageBytes(66 * 1024 + 64, limits, true))).toBeUndefined();
    expect(faultOf(() => checkMessageBytes(66 * 1024 + 65, limits, true))).toBe(1009);
  });
});

describe("a text is checked piece by piece: it", () => {
  test.each<[name: string, fragments: string[], isAscii: boolean]>([
    ["ASCII", ["6162", "63"], true],
    ["nothing", [""], true],
    ["a character in one fragment", ["61 c3a9"], false],
    ["a character over four fragments", ["f0", "9f", "8c", "8d"], false],
    ["a character over an empty fragment", ["e2", "", "82ac"], false],
    ["ASCII after another character", ["c3a9", "61"], false],
  ])("takes %s", (_name, fragments, isAscii) => {
    const message = messageOf(true, ...fragments.map(hex));
    expect(message.finish()).toEqual(hex(fragments.join("")));
    expect(message.isAscii).toBe(isAscii);
  });

  test.each<[name: string, good: string[], bad: string]>([
    ["a lone continuation byte", ["61"], "80"],
    ["an overlong form over two fragments", ["e0"], "80"],
    ["ASCII inside a character", ["61", "e282"], "61"],
  ])("refuses %s at once", (_name, good, bad) => {
    const message = messageOf(true, ...good.map(hex));
    message.addFragment(100, true);
    expect(faultOf(() => message.append(hex(bad), 0, 0))).toBe(1007);
  });

  test("refuses an end inside a character", () => {
    const message = messageOf(true, hex("61e2"), hex("82"));
    expect(faultOf(() => message.finish())).toBe(1007);
  });

  test("lets binary data be no UTF-8", () => {
    expect(messageOf(false, hex("c0"), hex("eda0")).finish()).toEqual(hex("c0eda0"));
  });
});
