import type { Allocate } from "./codec.ts";

/**
 * A queue of received bytes that could not be read yet: the start of a frame header whose rest is still to come, or
 * chunks that arrived while reading was suspended. `ServerProtocol` makes one only when it needs one.
 */
export class ByteQueue {
  readonly #chunks: Uint8Array[] = [];

  /** True when nothing waits to be read. An empty chunk counts as waiting. */
  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  /** Adds a chunk behind all others. */
  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
  }

  /** Takes the first chunk out, or gives `undefined` when the queue is empty. */
  shift(): Uint8Array | undefined {
    return this.#chunks.shift();
  }

  /** Puts the unread rest of a chunk back in front of all others. */
  unshift(rest: Uint8Array): void {
    this.#chunks.unshift(rest);
  }

  /**
   * Puts the start of a frame header back in front of all others, joined with the chunk behind it. The start of a
   * header is at most 13 bytes long. Copying it lets go of the chunk in which it came, which may be far larger.
   *
   * @returns true when a chunk was behind the start of the header, so that reading can go on; false when more bytes
   * must be received first
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
