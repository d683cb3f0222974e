import { describe, expect, test } from "vitest";
import {
  decodeHeader,
  decodeServerHeader,
  encodeHeader,
  type FrameHeader,
  headerBytes,
  MAX_SERVER_HEADER_BYTES,
  RSV1,
  type ServerFrameHeader,
} from "../../src/protocol/frame-header.ts";
import { Opcode } from "../../src/protocol/opcode.ts";
import { hex } from "../support/hex.ts";
import { faultOf } from "../support/protocol.ts";

const key = "01020304";
const plain = { fin: true, rsv1: false, opcode: Opcode.BINARY, maskingKey: 0x04030201 };

const readable: [name: string, header: string, Partial<FrameHeader>][] = [
  ["a text", `8180 ${key}`, { opcode: Opcode.TEXT, payloadLength: 0 }],
  ["the first fragment of a text", `0181 ${key}`, { fin: false, opcode: Opcode.TEXT, payloadLength: 1 }],
  ["a fragment in the middle", `0085 ${key}`, { fin: false, opcode: Opcode.CONTINUATION, payloadLength: 5 }],
  ["the last fragment", `8085 ${key}`, { opcode: Opcode.CONTINUATION, payloadLength: 5 }],
  ["an empty Close", `8880 ${key}`, { opcode: Opcode.CLOSE, payloadLength: 0 }],
  ["a Ping", `8984 ${key}`, { opcode: Opcode.PING, payloadLength: 4 }],
  ["the longest Pong", `8afd ${key}`, { opcode: Opcode.PONG, payloadLength: 125 }],
  ["a frame with RSV1, which only an extension can allow", `c181 ${key}`, {
    rsv1: true,
    opcode: Opcode.TEXT,
    payloadLength: 1,
  }],
  ["the lowest key", "8280 00000000", { payloadLength: 0, maskingKey: 0 }],
  ["the highest key", "8280 ffffffff", { payloadLength: 0, maskingKey: -1 }],
  ["a key with its last octet first in a 32-bit number", "8280 000000ff", {
    payloadLength: 0,
    maskingKey: -0x1000000,
  }],
  ["0 bytes", `8280 ${key}`, { payloadLength: 0 }],
  ["125 bytes, the most of the 7-bit length", `82fd ${key}`, { payloadLength: 125 }],
  ["126 bytes, the least of the 16-bit length", `82fe 007e ${key}`, { payloadLength: 126 }],
  ["127 bytes", `82fe 007f ${key}`, { payloadLength: 127 }],
  ["256 bytes", `82fe 0100 ${key}`, { payloadLength: 256 }],
  ["65,535 bytes, the most of the 16-bit length", `82fe ffff ${key}`, { payloadLength: 65_535 }],
  ["65,536 bytes, the least of the 64-bit length", `82ff 0000000000010000 ${key}`, { payloadLength: 65_536 }],
  ["2^31 bytes", `82ff 0000000080000000 ${key}`, { payloadLength: 2 ** 31 }],
  ["2^32 - 1 bytes", `82ff 00000000ffffffff ${key}`, { payloadLength: 2 ** 32 - 1 }],
  ["2^32 bytes", `82ff 0000000100000000 ${key}`, { payloadLength: 2 ** 32 }],
  ["2^53 - 1 bytes, the last exact number", `82ff 001fffffffffffff ${key}`, { payloadLength: 2 ** 53 - 1 }],
];

describe("decodeHeader reads the header of", () => {
  test.each(readable)("%s", (_name, header, fields) => {
    const bytes = hex(header);
    expect(decodeHeader(bytes)).toEqual({ ...plain, byteLength: bytes.length, ...fields });
  });

  test.each(readable)("%s, and gives undefined for each shorter prefix", (_name, header) => {
    const bytes = hex(header);
    const prefixes = Array.from(bytes, (_, length) => decodeHeader(bytes.subarray(0, length)));
    expect(prefixes).toEqual(Array(bytes.length).fill(undefined));
  });

  test.each(readable)("%s, inside a larger chunk and no further than its end", (_name, header, fields) => {
    const bytes = hex(header);
    const chunk = Buffer.concat([hex("ffffff"), bytes, hex("00000000 ffffffff")]);
    const end = 3 + bytes.length;
    expect(decodeHeader(chunk, 3, end)).toEqual({ ...plain, byteLength: bytes.length, ...fields });
    expect(decodeHeader(chunk, 3, end - 1)).toBeUndefined();
    expect(decodeHeader(chunk, 3)).toMatchObject({ byteLength: bytes.length });
  });
});

/** Each header with the number of its bytes that prove the fault. */
const refused: [name: string, header: string, provenBytes: number, fault: number][] = [
  ["RSV2", `a180 ${key}`, 2, 1002],
  ["RSV3", `9180 ${key}`, 2, 1002],
  ["RSV1 and RSV2", `e180 ${key}`, 2, 1002],
  ["RSV2 and RSV3 on a continuation", `b080 ${key}`, 2, 1002],
  ["RSV3 on a Ping", `9980 ${key}`, 2, 1002],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, string, number, number] => {
    const digit = opcode.toString(16);
    return [`the reserved opcode 0x${digit}`, `8${digit}80 ${key}`, 2, 1002];
  }),
  ["a reserved opcode without FIN", `0380 ${key}`, 2, 1002],
  ["a text that is not masked", `8105 ${key}`, 2, 1002],
  ["an empty frame that is not masked", "8200", 2, 1002],
  ["a Ping that is not masked", "8900", 2, 1002],
  ["a long frame that is not masked", `827f 0000000000010000 ${key}`, 2, 1002],
  ["a Close in fragments", `0880 ${key}`, 2, 1002],
  ["a Ping in fragments", `0985 ${key}`, 2, 1002],
  ["a Pong in fragments", `0a80 ${key}`, 2, 1002],
  ["a Close of 126 bytes", `88fe 007e ${key}`, 2, 1002],
  ["a Ping of 126 bytes", `89fe 007e ${key}`, 2, 1002],
  ["a Pong of 126 bytes", `8afe 007e ${key}`, 2, 1002],
  ["a Ping with a 16-bit length of 5", `89fe 0005 ${key}`, 2, 1002],
  ["a Ping with a 64-bit length", `89ff 0000000000010000 ${key}`, 2, 1002],
  ["0 bytes in the 16-bit length", `82fe 0000 ${key}`, 4, 1002],
  ["125 bytes in the 16-bit length", `82fe 007d ${key}`, 4, 1002],
  ["0 bytes in the 64-bit length", `82ff 0000000000000000 ${key}`, 10, 1002],
  ["125 bytes in the 64-bit length", `82ff 000000000000007d ${key}`, 10, 1002],
  ["126 bytes in the 64-bit length", `82ff 000000000000007e ${key}`, 10, 1002],
  ["65,535 bytes in the 64-bit length", `82ff 000000000000ffff ${key}`, 10, 1002],
  ["the top bit of the 64-bit length", `82ff 8000000000000000 ${key}`, 3, 1002],
  ["the top bit over a length that would be right", `82ff 8000000000010000 ${key}`, 3, 1002],
  ["every bit of the 64-bit length", `82ff ffffffffffffffff ${key}`, 3, 1002],
  ["2^53 bytes", `82ff 0020000000000000 ${key}`, 4, 1009],
  ["2^53 + 1 bytes", `82ff 0020000000000001 ${key}`, 4, 1009],
  ["2^63 - 1 bytes", `82ff 7fffffffffffffff ${key}`, 3, 1009],
];

describe("decodeHeader refuses", () => {
  test.each(refused)("%s", (_name, header, _provenBytes, fault) => {
    expect(faultOf(() => decodeHeader(hex(header)))).toBe(fault);
  });

  test.each(refused)("%s, at no shorter prefix than the one that proves it", (_name, header, provenBytes, fault) => {
    const bytes = hex(header);
    for (let length = 0; length < bytes.length; length++) {
      const read = (): unknown => decodeHeader(bytes, 0, length);
      if (length < provenBytes) expect(read()).toBeUndefined();
      // A fault in the first two bytes is found at once. A fault in the length may be found with the whole header only.
      else if (provenBytes === 2) expect(faultOf(read)).toBe(fault);
      else expect([undefined, fault]).toContain(faultOf(read));
    }
  });

  test("no header of which one byte has come, wherever that byte stands in its chunk", () => {
    const chunk = hex(`ffff f000 ${key}`);
    expect([1, 2, 3].map((start) => decodeHeader(chunk, start, start + 1))).toEqual(Array(3).fill(undefined));
    expect(faultOf(() => decodeHeader(chunk, 2, 4))).toBe(1002);
  });
});

const lengths = [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1];

describe("encodeHeader writes", () => {
  test.each(lengths)("a header of the shortest form for %i bytes", (payloadLength) => {
    for (const opcode of Object.values(Opcode)) {
      const target = Buffer.alloc(20, 0xee);
      const end = encodeHeader(target, 5, opcode, payloadLength);
      expect(parse(target.subarray(5, end))).toEqual({ first: 0x80 + opcode, payloadLength });
      expect(end - 5).toBe(headerBytes(payloadLength));
      expect(end - 5).toBeLessThanOrEqual(MAX_SERVER_HEADER_BYTES);
      expect(target.subarray(0, 5)).toEqual(Buffer.alloc(5, 0xee));
      expect(target.subarray(end)).toEqual(Buffer.alloc(20 - end, 0xee));
    }
  });

  /** Reads an unmasked header that must be exactly as long as its length needs. */
  function parse(header: Buffer): { first: number; payloadLength: number } {
    const payloadLength = header.length === 2
      ? header[1]
      : header.length === 4 && header[1] === 126
      ? header.readUInt16BE(2)
      : header.length === 10 && header[1] === 127
      ? Number(header.readBigUInt64BE(2))
      : NaN;
    const shortest = payloadLength < 126 ? 2 : payloadLength < 65_536 ? 4 : 10;
    return { first: header[0], payloadLength: header.length === shortest ? payloadLength : NaN };
  }
});

const serverHeaders: [name: string, header: string, ServerFrameHeader][] = [
  ["an empty text", "8100", { opcode: Opcode.TEXT, payloadLength: 0, byteLength: 2 }],
  ["a Close", "8802", { opcode: Opcode.CLOSE, payloadLength: 2, byteLength: 2 }],
  ["a compressed text, of which the opcode is given without RSV1", "c105", {
    opcode: Opcode.TEXT,
    payloadLength: 5,
    byteLength: 2,
  }],
  ["125 bytes, the most of the 7-bit length", "827d", { opcode: Opcode.BINARY, payloadLength: 125, byteLength: 2 }],
  ["126 bytes, the least of the 16-bit length", "827e 007e", {
    opcode: Opcode.BINARY,
    payloadLength: 126,
    byteLength: 4,
  }],
  ["65,535 bytes, the most of the 16-bit length", "827e ffff", {
    opcode: Opcode.BINARY,
    payloadLength: 65_535,
    byteLength: 4,
  }],
  ["65,536 bytes, the least of the 64-bit length", "827f 0000000000010000", {
    opcode: Opcode.BINARY,
    payloadLength: 65_536,
    byteLength: 10,
  }],
  ["2^53 - 1 bytes, the last exact number", "827f 001fffffffffffff", {
    opcode: Opcode.BINARY,
    payloadLength: 2 ** 53 - 1,
    byteLength: 10,
  }],
];

describe("decodeServerHeader reads the header of", () => {
  test.each(serverHeaders)("%s", (_name, header, expected) => {
    expect(decodeServerHeader(hex(header), 0)).toEqual(expected);
  });

  test.each(serverHeaders)("%s, and gives undefined for each shorter prefix", (_name, header) => {
    const bytes = hex(header);
    const prefixes = Array.from(bytes, (_, length) => decodeServerHeader(bytes.subarray(0, length), 0));
    expect(prefixes).toEqual(Array(bytes.length).fill(undefined));
  });

  test.each(serverHeaders)("%s, between other bytes", (_name, header, expected) => {
    const chunk = Buffer.concat([hex("ffffff"), hex(header), hex("ffffffff")]);
    expect(decodeServerHeader(chunk, 3)).toEqual(expected);
  });

  test.each(serverHeaders)("%s, and gives undefined for each shorter prefix behind other bytes", (_name, header) => {
    const chunk = Buffer.concat([Buffer.alloc(16, 0xff), hex(header)]);
    for (let end = 16; end < chunk.length; end++) {
      expect(decodeServerHeader(chunk.subarray(0, end), 16)).toBeUndefined();
    }
  });
});

describe("decodeServerHeader refuses", () => {
  test.each<[name: string, header: string, fault: number]>([
    ["0 bytes in the 16-bit length", "827e 0000", 1002],
    ["125 bytes in the 16-bit length", "827e 007d", 1002],
    ["125 bytes in the 64-bit length", "827f 000000000000007d", 1002],
    ["65,535 bytes in the 64-bit length", "827f 000000000000ffff", 1002],
    ["the top bit of the 64-bit length", "827f 8000000000010000", 1002],
    ["2^53 bytes", "827f 0020000000000000", 1009],
  ])("%s, once the whole header has come", (_name, header, fault) => {
    const bytes = hex(header);
    expect(faultOf(() => decodeServerHeader(bytes, 0))).toBe(fault);
    for (let length = 0; length < bytes.length; length++) {
      expect(decodeServerHeader(bytes.subarray(0, length), 0)).toBeUndefined();
    }
  });
});

describe("decodeServerHeader reads what encodeHeader writes", () => {
  test.each(lengths)("for %i bytes, every opcode, compressed or not", (payloadLength) => {
    for (const opcode of Object.values(Opcode)) {
      for (const bits of [0, RSV1]) {
        const target = Buffer.alloc(20, 0xee);
        const end = encodeHeader(target, 5, opcode | bits, payloadLength);
        expect(decodeServerHeader(target, 5)).toEqual({ opcode, payloadLength, byteLength: end - 5 });
      }
    }
  });
});
