/**
 * Masking, RFC 6455 §5.3: octet i of the payload is XORed with octet i mod 4 of the key. The key is a 32-bit number, its first octet lowest, as is
 * each word's on the little-endian machines that all three runtimes run on.
 */

/** Below this many bytes a plain loop is faster than everything that has to be set up. */
const WORDS_FROM_BYTES = 64;

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
  seen |= seen >>> 16;
  return seen | seen >>> 8;
}
