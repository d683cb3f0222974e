/**
 * Compression of outgoing messages: `MessageDeflater` compresses each message by itself, `ContextDeflater` keeps the
 * window from one message of a connection to the next.
 */
import { Buffer } from "node:buffer";
import { constants, type DeflateRaw, deflateRaw, deflateRawSync, type ZlibOptions } from "node:zlib";
import { deflateWhole } from "../../platform.ts";
import { MIN_WINDOW_BITS } from "../../protocol/permessage-deflate.ts";
import type { Deadlines } from "../timers/deadlines.ts";
import { clearFinalBit } from "./clear-bfinal.ts";
import { closeStream, openDeflate, passThrough } from "./zlib-stream.ts";

/** The parameters of zlib that trade memory and time for a smaller result. */
export interface DeflateEffort {
  readonly level: number;
  readonly memLevel: number;
  readonly windowBits: number;
}

/**
 * The compressed payload of a message, at once or later; undefined when the message is to be sent without compression.
 */
export type Deflated = Uint8Array | undefined | Promise<Uint8Array | undefined>;

export interface Deflater {
  deflate(data: string | Uint8Array): Deflated;
  /**
   * Returns what is sent in the place of data that were just given to `deflate`, if they turn out not to be worth it
   * later: a copy, because the owner may change bytes, or transfer their memory, as soon as they are sent.
   */
  keep(data: string | Uint8Array): string | Uint8Array;
  /** Frees the memory of the deflater. */
  close(): void;
}

/**
 * From this size on zlib's own threads do the work, because it would block the event loop for half a millisecond and
 * more. (Deno has no such threads and blocks all the same.) Below this size the way to another thread and back, 0.1 to
 * 0.2 ms of CPU, costs more than the work itself.
 */
const OFF_LOOP_FROM_BYTES = 128 * 1024;
/** The levels for which `deflateWhole` is used, where the runtime has it. */
const WHOLE_LEVELS = [2, 3];
/** Below this size `deflateWhole` is not faster than zlib. */
const WHOLE_FROM_BYTES = 1024;
/** How many bytes at the end of a flush a message leaves out (RFC 7692 §7.2.1): 00 00 ff ff. */
const TAIL_BYTES = 4;
const MIN_CHUNK_BYTES = 64;
const MAX_CHUNK_BYTES = 64 * 1024;

/**
 * Compresses each message by itself. Its only state is the last result, so that one deflater serves all connections
 * with the same agreement, and a message that is sent to many of them is compressed once.
 */
export class MessageDeflater implements Deflater {
  readonly #effort: DeflateEffort;
  #lastData: string | Uint8Array | undefined;
  /** A copy of the last bytes, since the array may have been filled anew. */
  #lastBytes: Uint8Array | undefined;
  #lastResult: Deflated;

  constructor(effort: DeflateEffort) {
    this.#effort = effort;
  }

  deflate(data: string | Uint8Array): Deflated {
    if (this.#isLast(data)) return this.#lastResult;
    const bytes = Buffer.from(data as Uint8Array); // a text has an overload of its own, which does the same
    this.#lastData = data;
    this.#lastBytes = typeof data === "string" ? undefined : bytes;
    if (bytes.length < OFF_LOOP_FROM_BYTES) return this.#lastResult = this.#deflateNow(bytes);
    const result = this.#lastResult = deflateOffLoop(bytes, this.#options(bytes.length));
    void result.then(() => {
      if (this.#lastResult === result) this.#lastData = this.#lastBytes = this.#lastResult = undefined;
    });
    return result;
  }

  keep(data: string | Uint8Array): string | Uint8Array {
    if (typeof data === "string" || data !== this.#lastData) return keepable(data);
    return this.#lastBytes!;
  }

  close(): void {}

  #isLast(data: string | Uint8Array): boolean {
    if (data !== this.#lastData) return false;
    return typeof data === "string" || Buffer.compare(this.#lastBytes!, data) === 0;
  }

  #deflateNow(bytes: Uint8Array): Uint8Array | undefined {
    const { length } = bytes;
    const { level, windowBits } = this.#effort;
    // `deflateWhole` always uses the largest window. For a message that fits into the agreed window, which has 32 KiB
    // at most, that makes no difference. Such a message also becomes a single block, as `clearFinalBit` needs it.
    const isForWhole = WHOLE_LEVELS.includes(level) && length >= WHOLE_FROM_BYTES && length <= 1 << windowBits;
    const payload = isForWhole && deflateWhole !== undefined ? clearFinalBit(deflateWhole(bytes)) : undefined;
    if (payload === undefined) return withoutTail(deflateRawSync(bytes, this.#options(length)), length);
    return payload.length < length ? payload : undefined;
  }

  /** A window that is larger than the message wins nothing: for 2 KB, setting it up would be a third of the work. */
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

/**
 * Compresses the messages of one connection, each of which may refer to those before it. The window is freed when
 * nothing has been sent for a while.
 */
export class ContextDeflater implements Deflater {
  readonly #effort: DeflateEffort;
  readonly #idle: Deadlines<ContextDeflater>;
  #stream: DeflateRaw | undefined;

  /** @param idle closes deflaters that have not been used for a while */
  constructor(effort: DeflateEffort, idle: Deadlines<ContextDeflater>) {
    this.#effort = effort;
    this.#idle = idle;
  }

  deflate(data: string | Uint8Array): Deflated {
    // Without input zlib flushes nothing, so an empty message is sent without compression and leaves the window alone.
    if (data.length === 0) return undefined;
    const stream = this.#stream ??= openDeflate(this.#effort);
    this.#idle.delete(this);
    return passThrough(stream, keepable(data), Infinity).then(({ bytes }) => {
      if (this.#stream === stream) this.#idle.add(this);
      // The result is sent even when it is longer than the message: later messages may refer to it.
      return withoutTail(bytes, Infinity);
    }, () => {
      // Only a lack of memory ends here. The message is sent without compression, and the next one has an empty window.
      this.close();
      return undefined;
    });
  }

  keep(data: string | Uint8Array): string | Uint8Array {
    return keepable(data);
  }

  /** Frees the window, which RFC 7692 §7.1.1.1 allows at any time: the next message then refers to none before it. */
  close(): void {
    this.#idle.delete(this);
    if (this.#stream !== undefined) closeStream(this.#stream);
    this.#stream = undefined;
  }
}

/** Returns data that may be sent later: a copy of bytes, since their owner may change them as soon as they are sent. */
export function keepable(data: string | Uint8Array): string | Uint8Array {
  return typeof data === "string" ? data : Buffer.from(data);
}

function deflateOffLoop(bytes: Uint8Array, options: ZlibOptions): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    // An error can only be a lack of memory. The message is then sent without compression.
    deflateRaw(
      bytes,
      options,
      (error, result) => resolve(error === null ? withoutTail(result, bytes.length) : undefined),
    );
  });
}

/** Returns the payload without the end of the flush; undefined when that is not shorter than the message. */
function withoutTail(deflated: Buffer, byteLength: number): Uint8Array | undefined {
  const length = deflated.length - TAIL_BYTES;
  return length < byteLength ? deflated.subarray(0, length) : undefined;
}
