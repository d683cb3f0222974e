/**
 * Masking, RFC 6455 §5.3: octet i of the payload is XORed with octet i mod 4 of the key. The key is a 32-bit number
 * whose lowest eight bits are its first octet. Words of memory have the same order on all machines that the three
 * runtimes support, since these are little-endian.
 *
 * Module state: the WebAssembly function (`unmaskBlocks`, `isSimdLoaded`), which is loaded once, and a view of the
 * memory that was unmasked last (`lastBuffer`, `lastWords`), which the next payload in other memory replaces. Nothing
 * has to reset them.
 */
import { BLOCK_BYTES, loadSimd, type UnmaskBlocks } from "./mask-simd.ts";

/** Below this many bytes, a loop over bytes is faster than the preparations for a loop over words. */
const WORDS_FROM_BYTES = 64;

/** Below this many bytes, copying them into WebAssembly's memory and out again costs more than WebAssembly saves. */
const SIMD_FROM_BYTES = 2 * 1024;

/** The WebAssembly function, loaded for the first payload that is long enough; `undefined` when it cannot be loaded. */
let unmaskBlocks: UnmaskBlocks | undefined;
let isSimdLoaded = false;

/**
 * The memory of the last payload, and its view in words. The frames of one chunk share their memory, and making a view
 * costs more than unmasking a short payload.
 */
let lastBuffer: ArrayBufferLike | undefined;
let lastWords: Int32Array = new Int32Array(0);

/** The key for the bytes of a payload from `offset` on. Only the last two bits of `offset` matter. */
export function rotateKey(maskingKey: number, offset: number): number {
  const shift = (offset & 3) << 3;
  return shift === 0 ? maskingKey : maskingKey >>> shift | maskingKey << (32 - shift);
}

/**
 * Unmasks the bytes from `start` to before `end` in place.
 *
 * @returns all unmasked bytes, ORed together, in the lowest eight bits; the higher bits are undefined. When the bit
 * 0x80 is not set, the payload is ASCII, so that no UTF-8 check is needed.
 */
export function unmask(bytes: Uint8Array, start: number, end: number, maskingKey: number): number {
  if (end - start < SIMD_FROM_BYTES) return unmaskSmall(bytes, start, end, maskingKey);
  return unmaskInto(bytes, start, bytes.subarray(start, end), maskingKey);
}

/** Copies `source` to `target` at `at` and unmasks the bytes on the way. The result is that of `unmask`. */
export function unmaskInto(target: Uint8Array, at: number, source: Uint8Array, maskingKey: number): number {
  const { length } = source;
  if (length >= SIMD_FROM_BYTES && !isSimdLoaded) {
    unmaskBlocks = loadSimd();
    isSimdLoaded = true;
  }
  if (length < SIMD_FROM_BYTES || unmaskBlocks === undefined) {
    target.set(source, at);
    return unmaskSmall(target, at, at + length, maskingKey);
  }
  const blocksEnd = length & -BLOCK_BYTES;
  const allBits = fold(unmaskBlocks(target, at, source, blocksEnd, maskingKey));
  if (blocksEnd === length) return allBits;
  target.set(source.subarray(blocksEnd), at + blocksEnd);
  return allBits | unmaskBytes(target, at + blocksEnd, at + length, maskingKey);
}

/**
 * Unmasks a short payload of `source`, with the key that stands in the four octets in front of the payload, and writes
 * the result to `target` at `at`, which may be the payload's own place.
 *
 * @returns what `unmask` returns
 */
export function unmaskShort(target: Uint8Array, at: number, source: Uint8Array, start: number, length: number): number {
  const first = source[start - 4];
  const second = source[start - 3];
  const third = source[start - 2];
  const fourth = source[start - 1];
  const end = start + length;
  let allBits = 0;
  let from = start;
  let to = at;
  for (; from <= end - 4; from += 4, to += 4) {
    allBits |= (target[to] = source[from] ^ first) | (target[to + 1] = source[from + 1] ^ second) |
      (target[to + 2] = source[from + 2] ^ third) | (target[to + 3] = source[from + 3] ^ fourth);
  }
  if (from < end) allBits |= target[to] = source[from] ^ first;
  if (from + 1 < end) allBits |= target[to + 1] = source[from + 1] ^ second;
  if (from + 2 < end) allBits |= target[to + 2] = source[from + 2] ^ third;
  return allBits;
}

/** Unmasks in JavaScript, as is done for all payloads but large ones. Parameters and result are those of `unmask`. */
export function unmaskSmall(bytes: Uint8Array, start: number, end: number, maskingKey: number): number {
  if (end - start < WORDS_FROM_BYTES) return unmaskBytes(bytes, start, end, maskingKey);
  const words = wordsOf(bytes);
  const { byteOffset } = bytes;
  // Words lie at multiples of four: the bytes before the first word, then the words, then the bytes behind the last.
  const aligned = start + (-(byteOffset + start) & 3);
  const firstWord = (byteOffset + aligned) >> 2;
  const wordsEnd = (byteOffset + end) >> 2;
  const key = rotateKey(maskingKey, aligned - start);
  return unmaskBytes(bytes, start, aligned, maskingKey) |
    unmaskWords(words, firstWord, wordsEnd, key) |
    unmaskBytes(bytes, (wordsEnd << 2) - byteOffset, end, key);
}

/** Unmasks byte by byte: short payloads, and the bytes around the words of long ones. */
export function unmaskBytes(bytes: Uint8Array, start: number, end: number, maskingKey: number): number {
  let allBits = 0;
  let key = maskingKey;
  for (let i = start; i < end; i++) {
    allBits |= bytes[i] ^= key & 0xff;
    key = key >>> 8 | key << 24;
  }
  return allBits;
}

/** The memory of the bytes as words. The view is used again for as long as the memory is the same. */
function wordsOf({ buffer }: Uint8Array): Int32Array {
  if (buffer !== lastBuffer) {
    lastBuffer = buffer;
    lastWords = new Int32Array(buffer, 0, buffer.byteLength >> 2);
  }
  return lastWords;
}

function unmaskWords(words: Int32Array, start: number, end: number, key: number): number {
  let allBits = 0;
  let i = start;
  // Eight words per iteration, which spares most of the cost of the loop itself.
  for (; i <= end - 8; i += 8) {
    allBits |= (words[i] ^= key) | (words[i + 1] ^= key) | (words[i + 2] ^= key) | (words[i + 3] ^= key) |
      (words[i + 4] ^= key) | (words[i + 5] ^= key) | (words[i + 6] ^= key) | (words[i + 7] ^= key);
  }
  for (; i < end; i++) allBits |= words[i] ^= key;
  return fold(allBits);
}

/** ORs the four octets of a word into the lowest one. */
function fold(word: number): number {
  const half = word | word >>> 16;
  return half | half >>> 8;
}
