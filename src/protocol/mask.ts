/**
 * Masking, RFC 6455 §5.3: octet i of the payload is XORed with octet i mod 4 of the key. The key is a 32-bit number, its first octet lowest, as is
 * each word's on the little-endian machines that all three runtimes run on.
 */

import { BLOCK_BYTES, loadSimd, type UnmaskBlocks } from "./mask-simd.ts";

/** Below this many bytes a plain loop is faster than everything that has to be set up. */
const WORDS_FROM_BYTES = 64;

/** Below this many bytes, copying them into WebAssembly's memory and out again costs more than it saves. */
const SIMD_FROM_BYTES = 2 * 1024;

/** Loaded with the first payload that it is for; undefined where it cannot be. */
let unmaskBlocks: UnmaskBlocks | undefined;
let isSimdLoaded = false;

/** The memory of the last payload in words: the frames of one chunk share it, and a view costs more than unmasking a short payload. */
let lastBuffer: ArrayBufferLike | undefined;
let lastWords: Int32Array = new Int32Array(0);

/** The key as it applies from the `offset`-th byte of the payload on. */
export function rotateKey(maskingKey: number, offset: number): number {
  const shift = (offset & 3) << 3;
  return shift === 0 ? maskingKey : maskingKey >>> shift | maskingKey << (32 - shift);
}

/**
 * Unmasks `bytes[start…end)` in place and gives all unmasked bytes ORed together: below 128 means that the payload is ASCII, so that no UTF-8 check
 * is needed. Only the lowest eight bits of the result are defined.
 */
export function unmask(bytes: Uint8Array, start: number, end: number, maskingKey: number): number {
  if (end - start < SIMD_FROM_BYTES) return unmaskSmall(bytes, start, end, maskingKey);
  return unmaskInto(bytes, start, bytes.subarray(start, end), maskingKey);
}

/** Copies `source` to `target` from `at` on and unmasks it on the way; gives what `unmask` does. */
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
  const seen = fold(unmaskBlocks(target, at, source, blocksEnd, maskingKey));
  if (blocksEnd === length) return seen;
  target.set(source.subarray(blocksEnd), at + blocksEnd);
  return seen | unmaskBytes(target, at + blocksEnd, at + length, maskingKey);
}

/** Unmasks in JavaScript: the way of all but large payloads. */
export function unmaskSmall(bytes: Uint8Array, start: number, end: number, maskingKey: number): number {
  if (end - start < WORDS_FROM_BYTES) return unmaskBytes(bytes, start, end, maskingKey);
  const words = wordsOf(bytes);
  const { byteOffset } = bytes;
  // Words lie at multiples of four: bytes up to the first, then words, then the rest.
  const aligned = start + (-(byteOffset + start) & 3);
  const firstWord = (byteOffset + aligned) >> 2;
  const wordsEnd = (byteOffset + end) >> 2;
  const key = rotateKey(maskingKey, aligned - start);
  return unmaskBytes(bytes, start, aligned, maskingKey) |
    unmaskWords(words, firstWord, wordsEnd, key) |
    unmaskBytes(bytes, (wordsEnd << 2) - byteOffset, end, key);
}

/** Unmasks byte by byte: the way of short payloads, and of what lies around the words of long ones. */
export function unmaskBytes(bytes: Uint8Array, start: number, end: number, maskingKey: number): number {
  let seen = 0;
  let key = maskingKey;
  for (let i = start; i < end; i++) {
    seen |= bytes[i] ^= key & 0xff;
    key = key >>> 8 | key << 24;
  }
  return seen;
}

function wordsOf({ buffer }: Uint8Array): Int32Array {
  if (buffer !== lastBuffer) {
    lastBuffer = buffer;
    lastWords = new Int32Array(buffer, 0, buffer.byteLength >> 2);
  }
  return lastWords;
}

function unmaskWords(words: Int32Array, start: number, end: number, key: number): number {
  let seen = 0;
  let i = start;
  // Eight words a turn: the loop's own cost is what is left to save.
  for (; i <= end - 8; i += 8) {
    seen |= (words[i] ^= key) | (words[i + 1] ^= key) | (words[i + 2] ^= key) | (words[i + 3] ^= key) |
      (words[i + 4] ^= key) | (words[i + 5] ^= key) | (words[i + 6] ^= key) | (words[i + 7] ^= key);
  }
  for (; i < end; i++) seen |= words[i] ^= key;
  return fold(seen);
}

/** ORs the four octets of a word into the lowest. */
function fold(word: number): number {
  const half = word | word >>> 16;
  return half | half >>> 8;
}
