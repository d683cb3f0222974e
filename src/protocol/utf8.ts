import type { IsUtf8 } from "./codec.ts";

/** Below this many bytes the loop is faster than a call into native code. */
const NATIVE_FROM_BYTES = 64;

/** Where a text stands between two of its bytes; a fresh one stands at the start. */
export class Utf8Validator {
  /** Continuation bytes that the last character still needs. */
  #needed = 0;
  /** The range in which the next continuation byte must lie. */
  #lower = 0x80;
  #upper = 0xbf;
  readonly #isUtf8: IsUtf8;

  constructor(isUtf8: IsUtf8) {
    this.#isUtf8 = isUtf8;
  }

  /** True where the text may end: not inside a character. */
  get isComplete(): boolean {
    return this.#needed === 0;
  }

  /** Takes the next bytes; false at the first byte that no valid text has at its place. */
  push(bytes: Uint8Array): boolean {
    if (bytes.length < NATIVE_FROM_BYTES) return this.#pushBytes(bytes, 0, bytes.length);
    // The character that the last piece began, then whole characters natively, then one that this piece begins.
    let start = 0;
    while (this.#needed > 0 && start < bytes.length) {
      if (!this.#pushBytes(bytes, start, start + 1)) return false;
      start++;
    }
    const end = lastCharacterStart(bytes);
    if (!this.#isUtf8(bytes.subarray(start, end))) return false;
    return this.#pushBytes(bytes, end, bytes.length);
  }

  /** Unicode 16, table 3-7: which second bytes each first byte allows. It is how overlong forms and surrogates are refused. */
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
        if (byte === 0xe0) this.#lower = 0xa0; // else overlong
        else if (byte === 0xed) this.#upper = 0x9f; // else a surrogate
        else if (byte === 0xf0) this.#lower = 0x90; // else overlong
        else if (byte === 0xf4) this.#upper = 0x8f; // else above U+10FFFF
      }
    }
    return true;
  }
}

/** Where the last character begins if its bytes may go on in the next piece, else the end. */
function lastCharacterStart(bytes: Uint8Array): number {
  const end = bytes.length;
  for (let i = end - 1; i >= end - 3; i--) {
    const byte = bytes[i];
    if (byte < 0x80) return end;
    if (byte >= 0xc0) return i;
  }
  return end;
}

/** UTF-16 code units become at most three bytes each. */
export const MAX_UTF8_BYTES_PER_CHAR = 3;
