import type { Allocate } from "./codec.ts";

/** Bytes that have come but could not be read yet: the start of a header, or what arrived behind a pause. */
export class ByteQueue {
  readonly #chunks: Uint8Array[] = [];

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  /** Adds bytes behind all others. */
  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
  }

  /** Takes the first chunk out. */
  shift(): Uint8Array | undefined {
    return this.#chunks.shift();
  }

  /** Puts back what of a chunk is still to be read. */
  unshift(rest: Uint8Array): void {
    this.#chunks.unshift(rest);
  }

  /**
   * Puts back the start of a header, joined with the chunk behind it. False when none is there: more bytes must come first.
   * A header's start is short, and so is the copy; the chunk that it came in is let go.
   */
  unshiftJoined(rest: Uint8Array, allocate: Allocate): boolean {
    const next = this.#chunks.shift();
    const joined = allocate(rest.length + (next?.length ?? 0));
    joined.set(rest);
    if (next !== undefined) joined.set(next, rest.length);
    this.#chunks.unshift(joined);
    return next !== undefined;
  }
}
