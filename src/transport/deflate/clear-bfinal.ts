/**
 * Turns a DEFLATE stream that is a single final block (RFC 1951 §3.2) into one that may be continued. A compressor
 * that takes a whole text at once ends its stream with such a block. A message may end with it (RFC 7692 §7.2.3.4),
 * but some clients, Node's own among them, read no message after that one.
 *
 * The sections in this file are those of RFC 1951, if no other RFC is named.
 */

const DYNAMIC = 2;
const LITERAL_CODES = 257;
const END_OF_BLOCK = 256;
const MAX_CODE_BITS = 15;
/** The lengths of the codes are themselves coded, with at most this many bits and in this order (§3.2.7). */
const MAX_LENGTH_CODE_BITS = 7;
const LENGTH_CODE_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const REPEAT_LAST = 16;
const REPEAT_ZERO = 17;
/** An empty stored block begins with a header of this many bits. Four bytes follow, from the next whole byte on. */
const STORED_HEADER_BITS = 3;

/**
 * Clears the final bit of a stream's only block and puts an empty stored block behind it, as a flush does.
 *
 * @param stream may be changed, and may be the memory of the result
 * @returns the payload of a message, without the end of the flush (RFC 7692 §7.2.1); undefined for a stream of several
 * blocks and for a block without codes of its own
 */
export function clearFinalBit(stream: Uint8Array): Uint8Array | undefined {
  const isFinal = (stream[0] & 1) === 1;
  if (!isFinal || (stream[0] >> 1 & 3) !== DYNAMIC) return undefined;
  const code = endOfBlockCode(stream);
  if (code === 0) return undefined;
  // Behind this code there are only zeros up to a whole byte, so the last 1 of the stream is the last 1 of the code.
  let last = stream.length - 1;
  while (stream[last] === 0) last--;
  const bitLength = 8 * last + highestBit(stream[last]) + 1 + trailingZeros(code);
  stream[0] ^= 1;
  if (bitLength + STORED_HEADER_BITS <= 8 * stream.length) return stream;
  const longer = new Uint8Array(stream.length + 1);
  longer.set(stream);
  return longer;
}

/**
 * The code that ends a dynamic block. §3.2.2 derives the codes from their lengths, and §3.2.7 says how those are
 * stored.
 */
function endOfBlockCode(stream: Uint8Array): number {
  const bits = new BitReader(stream);
  bits.skip(3);
  const literalCodes = LITERAL_CODES + bits.take(5);
  bits.skip(5);
  const table = readLengthCodes(bits);
  const counts = new Uint16Array(MAX_CODE_BITS + 1);
  let [length, endLength, endRank] = [0, 0, 0];
  for (let symbol = 0; symbol < literalCodes;) {
    const entry = table[bits.peek(MAX_LENGTH_CODE_BITS)];
    bits.skip(entry & 7);
    const lengthSymbol = entry >> 3;
    let times = 1;
    if (lengthSymbol < REPEAT_LAST) length = lengthSymbol;
    else if (lengthSymbol === REPEAT_LAST) times = 3 + bits.take(2);
    else {
      length = 0;
      times = lengthSymbol === REPEAT_ZERO ? 3 + bits.take(3) : 11 + bits.take(7);
    }
    if (symbol <= END_OF_BLOCK && END_OF_BLOCK < symbol + times) {
      endLength = length;
      endRank = counts[length] + END_OF_BLOCK - symbol;
    }
    // The last repetition may reach into the lengths of the distance codes.
    counts[length] += Math.min(times, literalCodes - symbol);
    symbol += times;
  }
  let first = 0;
  for (let bitLength = 1; bitLength < endLength; bitLength++) first = (first + counts[bitLength]) << 1;
  return first + endRank;
}

/** A table by the next seven bits: the symbol, and in the three lowest bits how many of the seven are its code. */
function readLengthCodes(bits: BitReader): Uint8Array {
  const count = 4 + bits.take(4);
  const lengths = new Uint8Array(LENGTH_CODE_ORDER.length);
  for (let i = 0; i < count; i++) lengths[LENGTH_CODE_ORDER[i]] = bits.take(3);
  const table = new Uint8Array(1 << MAX_LENGTH_CODE_BITS);
  let code = 0;
  for (let length = 1; length <= MAX_LENGTH_CODE_BITS; length++) {
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      if (lengths[symbol] !== length) continue;
      for (let i = reversed(code, length); i < table.length; i += 1 << length) table[i] = symbol << 3 | length;
      code++;
    }
    code <<= 1;
  }
  return table;
}

/** Reads each byte from its lowest bit to its highest (§3.1.1). */
class BitReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The next bits, at most nine, which stay unread. */
  peek(count: number): number {
    const byte = this.#at >> 3;
    return (this.#bytes[byte] | this.#bytes[byte + 1] << 8) >> (this.#at & 7) & ((1 << count) - 1);
  }

  skip(count: number): void {
    this.#at += count;
  }

  take(count: number): number {
    const value = this.peek(count);
    this.#at += count;
    return value;
  }
}

/** Reverses a code: in the stream, codes have their highest bit first, and numbers their lowest (§3.1.1). */
function reversed(code: number, length: number): number {
  let result = 0;
  for (let i = 0; i < length; i++) result |= (code >> i & 1) << (length - 1 - i);
  return result;
}

function highestBit(value: number): number {
  return 31 - Math.clz32(value);
}

function trailingZeros(value: number): number {
  return highestBit(value & -value);
}
