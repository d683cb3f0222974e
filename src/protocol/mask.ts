/**
 * Masking, RFC 6455 §5.3: octet i of the payload is XORed with octet i mod 4 of the key. The key is a 32-bit number, its
 * first octet lowest, and `rotateKey` moves it on to where a payload that came in pieces goes on.
 */

/** Below this many bytes a plain loop is faster than everything that has to be set up. */
const WORDS_FROM_BYTES = 64;

/** The key as it applies from the `offset`-th byte of the payload on. */
export function rotateKey(maskingKey: number, offset: number): number {
  const shift = (offset & 3) << 3;
  return shift === 0 ? maskingKey : maskingKey >>> shift | maskingKey << (32 - shift);
}

/**
 * Unmasks `bytes[start…end)` in place and gives all unmasked bytes ORed together: below 128 means that the payload is ASCII,
 * so that no UTF-8 check is needed. Only the lowest eight bits of the result are defined.
 */
export function unmask(bytes: Uint8Array, start: number, end: number, maskingKey: number): number {
  if (end - start < WORDS_FROM_BYTES) return unmaskBytes(bytes, start, end, maskingKey);
  // Typed 32-bit views need an aligned start: bytes up to it, then words, then the rest.
  const aligned = start + (-(bytes.byteOffset + start) & 3);
  let seen = unmaskBytes(bytes, start, aligned, maskingKey);
  const wordCount = (end - aligned) >> 2;
  const key = rotateKey(maskingKey, aligned - start);
  seen |= unmaskWords(new Int32Array(bytes.buffer, bytes.byteOffset + aligned, wordCount), key);
  return seen | unmaskBytes(bytes, aligned + (wordCount << 2), end, key);
}

function unmaskBytes(bytes: Uint8Array, start: number, end: number, maskingKey: number): number {
  let seen = 0;
  let key = maskingKey;
  for (let i = start; i < end; i++) {
    seen |= bytes[i] ^= key & 0xff;
    key = key >>> 8 | key << 24;
  }
  return seen;
}

/** The key's first octet is its lowest, and so is each word's on the little-endian machines that all three runtimes run on. */
function unmaskWords(words: Int32Array, key: number): number {
  const length = words.length;
  const unrolled = length & ~7;
  let seen = 0;
  let i = 0;
  // Eight words a turn: the loop's own cost is what is left to save.
  for (; i < unrolled; i += 8) {
    seen |= (words[i] ^= key) | (words[i + 1] ^= key) | (words[i + 2] ^= key) | (words[i + 3] ^= key) |
      (words[i + 4] ^= key) | (words[i + 5] ^= key) | (words[i + 6] ^= key) | (words[i + 7] ^= key);
  }
  for (; i < length; i++) seen |= words[i] ^= key;
  seen |= seen >>> 16;
  return seen | seen >>> 8;
}
