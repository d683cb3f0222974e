import { Buffer } from "node:buffer";
import { constants, type DeflateRaw, deflateRaw, deflateRawSync, type ZlibOptions } from "node:zlib";
import { deflateWhole } from "../../platform.ts";
import { HEADROOM_FROM_BYTES } from "../../protocol/headroom.ts";
import { MIN_WINDOW_BITS } from "../../protocol/permessage-deflate.ts";
import type { Deadlines } from "../timers/deadlines.ts";
import { clearFinalBit } from "./clear-bfinal.ts";
import { closeStream, openDeflate, passThrough } from "./zlib-stream.ts";

/** How hard to compress. */
export interface DeflateEffort {
  readonly level: number;
  readonly memLevel: number;
  readonly windowBits: number;
}

/** The compressed payload of a message, at once or later; undefined when it would not be smaller. */
export type Deflated = Uint8Array | undefined | Promise<Uint8Array | undefined>;

export interface Deflater {
  deflate(data: string | Uint8Array): Deflated;
  /** Gives back what it holds. */
  close(): void;
}

/**
 * From here on zlib's own threads do the work, where the runtime has any (Deno's does it here all the same): it would hold up everybody else for half a millisecond and more. Below, the way to another thread and back costs more than
 * the work itself: 0.1 to 0.2 ms of CPU.
 */
const OFF_LOOP_FROM_BYTES = 128 * 1024;
/** The levels that `deflateWhole` stands for. */
const WHOLE_LEVELS = [2, 3];
/** Below, it is not faster. */
const WHOLE_FROM_BYTES = 1024;
/** A flush ends with these bytes, which a message leaves out (RFC 7692 §7.2.1). */
const TAIL_BYTES = 4;
const MIN_CHUNK_BYTES = 64;
const MAX_CHUNK_BYTES = 64 * 1024;

/**
 * Compresses messages by themselves. It has no state but the last result, so that one serves all connections with the same agreement, and who sends the same to many compresses
 * it once.
 */
export class MessageDeflater implements Deflater {
  readonly #effort: DeflateEffort;
  #lastData: string | Uint8Array | undefined;
  /** The last bytes as they were: the same array may have been filled anew. */
  #lastBytes: Uint8Array | undefined;
  #lastResult: Deflated;

  constructor(effort: DeflateEffort) {
    this.#effort = effort;
  }

  deflate(data: string | Uint8Array): Deflated {
    if (this.#isLast(data)) return this.#lastResult;
    const isText = typeof data === "string";
    const bytes = isText ? Buffer.from(data) : data;
    this.#lastData = data;
    if (bytes.length < OFF_LOOP_FROM_BYTES) {
      this.#lastBytes = isText ? undefined : Buffer.from(data);
      return this.#lastResult = this.#deflateNow(bytes);
    }
    // So many bytes are left as they are until they are sent: to compare them with themselves is enough until then.
    this.#lastBytes = isText ? undefined : bytes;
    const result = this.#lastResult = deflateOffLoop(bytes, this.#options(bytes.length));
    void result.then(() => {
      if (this.#lastResult === result) this.#lastData = this.#lastBytes = this.#lastResult = undefined;
    });
    return result;
  }

  close(): void {}

  #isLast(data: string | Uint8Array): boolean {
    if (data !== this.#lastData) return false;
    return typeof data === "string" || Buffer.compare(this.#lastBytes!, data) === 0;
  }

  #deflateNow(bytes: Uint8Array): Uint8Array | undefined {
    const { length } = bytes;
    const { level, windowBits } = this.#effort;
    // It knows of no window but the largest. What fits into a window, 32 KiB at most, also becomes one block.
    const isForWhole = WHOLE_LEVELS.includes(level) && length >= WHOLE_FROM_BYTES && length <= 1 << windowBits;
    const payload = isForWhole && deflateWhole !== undefined ? clearFinalBit(deflateWhole(bytes)) : undefined;
    if (payload === undefined) return withoutTail(deflateRawSync(bytes, this.#options(length)), length);
    return payload.length < length ? payload : undefined;
  }

  /** A window that is larger than the message costs time and brings nothing: at 2 KB it would be a third of the work. */
  #options(byteLength: number): ZlibOptions {
    const { level, memLevel, windowBits } = this.#effort;
    const enough = Math.max(MIN_WINDOW_BITS, 32 - Math.clz32(byteLength));
    return {
      level,
      memLevel,
      windowBits: Math.min(windowBits, enough),
      finishFlush: constants.Z_SYNC_FLUSH,
      chunkSize: Math.min(Math.max(byteLength, MIN_CHUNK_BYTES), MAX_CHUNK_BYTES),
    };
  }
}

/** Compresses messages of one connection, each with what came before it in mind. What it remembers is given back when nothing has been sent for a while. */
export class ContextDeflater implements Deflater {
  readonly #effort: DeflateEffort;
  readonly #idle: Deadlines<ContextDeflater>;
  #stream: DeflateRaw | undefined;

  constructor(effort: DeflateEffort, idle: Deadlines<ContextDeflater>) {
    this.#effort = effort;
    this.#idle = idle;
  }

  deflate(data: string | Uint8Array): Deflated {
    // zlib flushes nothing but what it was given: an empty message goes out as it is, and leaves no trace.
    if (data.length === 0) return undefined;
    const stream = this.#stream ??= openDeflate(this.#effort);
    this.#idle.delete(this);
    return passThrough(stream, keepable(data), Infinity).then(({ bytes }) => {
      if (this.#stream === stream) this.#idle.add(this);
      // Also when it is longer than it was: the peer needs it for what comes after.
      return withoutTail(bytes, Infinity);
    }, () => {
      // Only a lack of memory does this: the message goes out as it is, and the next one refers to nothing.
      this.close();
      return undefined;
    });
  }

  /** RFC 7692 §7.1.1.1: a server may forget at any time; the next message then refers to nothing. */
  close(): void {
    this.#idle.delete(this);
    if (this.#stream !== undefined) closeStream(this.#stream);
    this.#stream = undefined;
  }
}

/** What can be sent later: few bytes may be changed by their owner as soon as they are sent, many may not. */
export function keepable(data: string | Uint8Array): string | Uint8Array {
  return typeof data === "string" || data.length >= HEADROOM_FROM_BYTES ? data : Buffer.from(data);
}

function deflateOffLoop(bytes: Uint8Array, options: ZlibOptions): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    // An error can only be a lack of memory: the message then goes out as it is.
    deflateRaw(
      bytes,
      options,
      (error, result) => resolve(error === null ? withoutTail(result, bytes.length) : undefined),
    );
  });
}

function withoutTail(deflated: Buffer, byteLength: number): Uint8Array | undefined {
  const length = deflated.length - TAIL_BYTES;
  return length < byteLength ? deflated.subarray(0, length) : undefined;
}
