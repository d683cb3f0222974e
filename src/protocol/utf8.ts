/**
 * Validation of UTF-8 that comes in pieces. RFC 6455 §8.1 lets an endpoint fail the connection at the first invalid
 * byte, also in the middle of a fragmented message. A text that comes in one piece is checked natively instead.
 */
import type { IsUtf8 } from "./codec.ts";

/** Below this many bytes, a loop in JavaScript is faster than a call into native code. */
const NATIVE_FROM_BYTES = 64;

/** Validates one text, piece by piece. Between two pieces, its state is what the last character still needs. */
export class Utf8Validator {
  /** How many continuation bytes the last character still needs. */
  #needed = 0;
  /** The range in which the next continuation byte must lie. */
  #lower = 0x80;
  #upper = 0xbf;
  readonly #isUtf8: IsUtf8;

  constructor(isUtf8: IsUtf8) {
    this.#isUtf8 = isUtf8;
  }

  /** True when the text may end here, since its last character is complete. */
  get isComplete(): boolean {
    return this.#needed === 0;
  }

  /**
   * Validates the next piece. False when a byte cannot stand at its place in valid UTF-8. After that, the validator
   * must not be used any more.
   */
  push(bytes: Uint8Array): boolean {
    if (bytes.length < NATIVE_FROM_BYTES) return this.#pushBytes(bytes, 0, bytes.length);
    // First the rest of a character that the last piece began, then the complete characters, natively, then a character
    // that the next piece completes.
    let start = 0;
    while (this.#needed > 0) {
      if (!this.#pushBytes(bytes, start, start + 1)) return false;
      start++;
    }
    const end = lastCharacterStart(bytes);
    if (!this.#isUtf8(bytes.subarray(start, end))) return false;
    return this.#pushBytes(bytes, end, bytes.length);
  }

  /**
   * Validates bytes one by one. Table 3-7 of Unicode 16 says which second bytes each first byte allows, which refuses
   * overlong forms and surrogates.
   */
  #pushBytes(bytes: Uint8Array, start: number, end: number): boolean {
    for (let i = start; i < end; i++) {
      const byte = bytes[i];
      if (this.#needed > 0) {
        if (byte < this.#lower || byte > this.#upper) return false;
        this.#needed--;
        this.#lower = 0x80;
        this.#upper = 0xbf;
      } else if (byte >= 0x80) {
        if (byte < 0xc2 || byte > 0xf4) return false;
        this.#needed = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
        if (byte === 0xe0) this.#lower = 0xa0; // below: overlong
        else if (byte === 0xed) this.#upper = 0x9f; // above: a surrogate
        else if (byte === 0xf0) this.#lower = 0x90; // below: overlong
        else if (byte === 0xf4) this.#upper = 0x8f; // above: higher than U+10FFFF
      }
    }
    return true;
  }
}

/**
 * Where the last character begins, if it begins in the last three bytes and is not ASCII; otherwise the end. Such a
 * character may be incomplete.
 */
function lastCharacterStart(bytes: Uint8Array): number {
  const end = bytes.length;
  for (let i = end - 1; i >= end - 3; i--) {
    const byte = bytes[i];
    if (byte < 0x80) return end;
    if (byte >= 0xc0) return i;
  }
  return end;
}

/** The most bytes that one UTF-16 code unit of a string takes in UTF-8. */
export const MAX_UTF8_BYTES_PER_CHAR = 3;
