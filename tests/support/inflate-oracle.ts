/**
 * Reads DEFLATE (RFC 1951) bit by bit, and the messages of RFC 7692 on top of it. This code is slow, and does not use
 * zlib, which does not tell where a block ends and whether the data end there.
 */

const TAIL = [0x00, 0x00, 0xff, 0xff];
const LENGTH_BASE = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131];
LENGTH_BASE.push(163, 195, 227, 258);
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE = Array.from({ length: 30 }, (_, i) => i < 2 ? 1 + i : 1 + ((2 + (i & 1)) << ((i >> 1) - 1)));
const CODE_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const END_OF_BLOCK = 256;

/** The data are not valid DEFLATE. */
class Bad extends Error {}

/** The bytes end inside a block. */
class Cut extends Error {}

/** A message whose payload was decompressed, as far as that was possible. */
export interface Inflated {
  readonly output: Uint8Array;
  /** How many final blocks had more bytes of the message behind them. */
  readonly finalBlocks: number;
  /** True when the message had a final block, at its end or before. */
  readonly hasFinal: boolean;
  /** `cut` when the bytes end inside a block, `bad` when the payload is no message for another reason. */
  readonly fault: "bad" | "cut" | undefined;
}

/**
 * Decompresses the payload of a message.
 *
 * @returns the message, or what is wrong with the payload
 */
export function messageOf(payload: Uint8Array): Buffer | "bad" | "cut" {
  const { output, fault } = inflateAlone(payload);
  return fault ?? Buffer.from(output);
}

/**
 * Decompresses the payload of a message that refers to none before it. The tail is appended to the payload first (RFC
 * 7692 §7.2.2), and another stream may begin behind a final block (§7.2.3.4).
 */
export function inflateAlone(payload: Uint8Array): Inflated {
  const bytes = [...payload, ...TAIL];
  const output: number[] = [];
  let finalBlocks = 0;
  let hasFinal = false;
  const result = (fault?: "bad" | "cut"): Inflated => ({
    output: Uint8Array.from(output),
    finalBlocks,
    hasFinal,
    fault,
  });
  let at = 0;
  while (at < payload.length) {
    const stream = readStream(bytes, at);
    for (const octet of stream.output) output.push(octet);
    if (stream.fault !== undefined) return result(stream.fault);
    at = stream.end;
    hasFinal ||= stream.isFinal;
    // The rest of the tail is not a block, unless the stream has used nothing of the tail.
    if (at > payload.length && at < bytes.length) return result("bad");
    if (at < payload.length) finalBlocks++;
  }
  return result();
}

/**
 * Decompresses the messages of a connection with context takeover: they are one stream, up to a final block. Each
 * message reads the whole stream again. A message that is cut short is no fault, because the next one continues it.
 */
export class InflateStreamOracle {
  #bytes: number[] = [];
  #handedOut = 0;

  /** Decompresses the next message. After a fault, the stream must not be used any more. */
  inflate(payload: Uint8Array): Inflated {
    const output: number[] = [];
    let finalBlocks = 0;
    let hasFinal = false;
    const result = (fault?: "bad"): Inflated => ({ output: Uint8Array.from(output), finalBlocks, hasFinal, fault });
    let rest = payload;
    while (rest.length > 0) {
      const start = this.#bytes.length;
      for (const octet of [...rest, ...TAIL]) this.#bytes.push(octet);
      const stream = readStream(this.#bytes, 0);
      for (const octet of stream.output.slice(this.#handedOut)) output.push(octet);
      this.#handedOut = stream.output.length;
      if (stream.fault === "bad") return result("bad");
      if (!stream.isFinal) return result();
      hasFinal = true;
      const taken = stream.end - start;
      this.#bytes = [];
      this.#handedOut = 0;
      if (taken > rest.length && taken < rest.length + TAIL.length) return result("bad");
      rest = rest.subarray(taken);
      if (rest.length > 0) finalBlocks++;
    }
    return result();
  }
}

/** Blocks up to a final one, up to a fault, or up to the end of the bytes. */
interface Stream {
  readonly output: number[];
  /** The position behind the last block. */
  readonly end: number;
  readonly isFinal: boolean;
  readonly fault: "bad" | "cut" | undefined;
}

/** Reads blocks up to a final one, or up to the end of the bytes if a block ends there. */
function readStream(bytes: readonly number[], start: number): Stream {
  const output: number[] = [];
  const bits = new Bits(bytes, start * 8);
  try {
    for (;;) {
      const isFinal = bits.take(1) === 1;
      const type = bits.take(2);
      if (type === 0) readStored(bits, output);
      else if (type === 1) readCodes(bits, output, fixedLiterals, fixedDistances);
      else if (type === 2) readDynamic(bits, output);
      else throw new Bad();
      if (isFinal) return { output, end: bits.nextByte, isFinal, fault: undefined };
      if (bits.at === bytes.length * 8) return { output, end: bytes.length, isFinal, fault: undefined };
    }
  } catch (error) {
    if (!(error instanceof Bad || error instanceof Cut)) throw error;
    return { output, end: bytes.length, isFinal: false, fault: error instanceof Bad ? "bad" : "cut" };
  }
}

function readStored(bits: Bits, output: number[]): void {
  bits.at = bits.nextByte * 8;
  const length = bits.take(16);
  if ((length ^ bits.take(16)) !== 0xffff) throw new Bad();
  for (let i = 0; i < length; i++) output.push(bits.take(8));
}

function readDynamic(bits: Bits, output: number[]): void {
  const literals = 257 + bits.take(5);
  const distances = 1 + bits.take(5);
  const codes = 4 + bits.take(4);
  if (literals > 286 || distances > 30) throw new Bad();
  const codeLengths = new Array<number>(CODE_ORDER.length).fill(0);
  for (let i = 0; i < codes; i++) codeLengths[CODE_ORDER[i]] = bits.take(3);
  const table = tableOf(codeLengths);
  // RFC 1951 §3.2.7 allows an incomplete table for distances, not for the lengths of codes.
  if (table.size === 1) throw new Bad();
  const lengths: number[] = [];
  while (lengths.length < literals + distances) {
    // zlib takes each bit of a code without symbols for a length of zero, and refuses the block when it has them all.
    const symbol = table.size === 0 ? bits.take(1) * 0 : symbolOf(bits, table);
    if (symbol < 16) lengths.push(symbol);
    else if (symbol === 16 && lengths.length === 0) throw new Bad();
    else {
      const times = symbol === 16 ? 3 + bits.take(2) : symbol === 17 ? 3 + bits.take(3) : 11 + bits.take(7);
      lengths.push(...new Array<number>(times).fill(symbol === 16 ? lengths.at(-1)! : 0));
    }
  }
  if (lengths.length > literals + distances) throw new Bad();
  if (lengths[END_OF_BLOCK] === 0) throw new Bad();
  readCodes(bits, output, tableOf(lengths.slice(0, literals)), tableOf(lengths.slice(literals)));
}

function readCodes(bits: Bits, output: number[], literals: Table, distances: Table): void {
  for (;;) {
    const symbol = symbolOf(bits, literals);
    if (symbol === END_OF_BLOCK) return;
    if (symbol < END_OF_BLOCK) output.push(symbol);
    else {
      const at = symbol - END_OF_BLOCK - 1;
      if (at >= LENGTH_BASE.length) throw new Bad();
      const length = LENGTH_BASE[at] + bits.take(LENGTH_EXTRA[at]);
      const code = symbolOf(bits, distances);
      if (code >= DISTANCE_BASE.length) throw new Bad();
      const distance = DISTANCE_BASE[code] + bits.take(Math.max(0, (code >> 1) - 1));
      if (distance > output.length) throw new Bad();
      for (let i = 0; i < length; i++) output.push(output[output.length - distance]);
    }
  }
}

/** Maps each code, with a 1 bit in front of it, to its symbol. */
type Table = ReadonlyMap<number, number>;

/** The Huffman codes that belong to these code lengths, RFC 1951 §3.2.2. */
function tableOf(lengths: readonly number[]): Table {
  const table = new Map<number, number>();
  let code = 0;
  let room = 1;
  for (let length = 1; length <= 15; length++, code <<= 1) {
    room *= 2;
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      if (lengths[symbol] !== length) continue;
      table.set(1 << length | code++, symbol);
      room--;
    }
    if (room < 0) throw new Bad();
  }
  // RFC 1951 §3.2.7 allows a table with no code, or with one of one bit. All other tables must use every code.
  if (room > 0 && table.size > 0 && !lengths.every((length) => length <= 1)) throw new Bad();
  return table;
}

function symbolOf(bits: Bits, table: Table): number {
  for (let code = 1; code < 1 << 16;) {
    code = code << 1 | bits.take(1);
    const symbol = table.get(code);
    if (symbol !== undefined) return symbol;
    // Such a table has at most one code, of one bit.
    if (table.size <= 1) throw new Bad();
  }
  throw new Bad();
}

const fixedLiterals = tableOf(
  Array.from({ length: 288 }, (_, i) => i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8),
);
const fixedDistances = tableOf(new Array<number>(32).fill(5));

class Bits {
  readonly #bytes: readonly number[];
  at: number;

  constructor(bytes: readonly number[], at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  get nextByte(): number {
    return Math.ceil(this.at / 8);
  }

  take(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++, this.at++) {
      const byte = this.#bytes[this.at >> 3];
      if (byte === undefined) throw new Cut();
      value |= (byte >> (this.at & 7) & 1) << i;
    }
    return value;
  }
}
