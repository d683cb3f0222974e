import { Buffer, constants as bufferLimits } from "node:buffer";
import { constants, createInflateRaw, type InflateRaw, inflateRaw, inflateRawSync, type ZlibOptions } from "node:zlib";
import { CloseCode } from "../protocol/close.ts";
import type { Inflater } from "../protocol/deflate.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { closeStream, passThrough } from "./zlib-stream.ts";

/** From this much compressed data on, zlib's own threads do the work: inflating it here could hold up everybody else for most of a millisecond. */
const OFF_LOOP_FROM_BYTES = 32 * 1024;
/** What a sender leaves out of every message, RFC 7692 §7.2.1. */
const TAIL = Buffer.of(0x00, 0x00, 0xff, 0xff);
/** How much room a message gets at first, as a multiple of its compressed size. */
const GUESS = 6;
const MIN_CHUNK_BYTES = 1024;
const MAX_CHUNK_BYTES = 64 * 1024;
/** zlib's own default, which stays allocated with a stream. */
const CHUNK_BYTES = 16 * 1024;

/** What zlib gives when it is asked for `info`. */
interface Inflated {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

/** Inflates messages that refer to nothing before them. It has no state, so that one serves all connections. */
export class MessageInflater implements Inflater {
  readonly #windowBits: number;

  constructor(windowBits: number) {
    this.#windowBits = windowBits;
  }

  inflate(payload: Uint8Array, maxBytes: number): Uint8Array | Promise<Uint8Array> {
    if (payload.length === 0) return Buffer.alloc(0);
    const options = this.#options(payload.length, maxBytes);
    if (payload.length < OFF_LOOP_FROM_BYTES) {
      try {
        return checkEnd(inflateRawSync(payload, options) as unknown as Inflated, payload);
      } catch (error) {
        throw toProtocolError(error, maxBytes);
      }
    }
    return new Promise((resolve, reject) => {
      inflateRaw(payload, options, (error, result) => {
        try {
          if (error !== null) throw error;
          resolve(checkEnd(result as unknown as Inflated, payload));
        } catch (cause) {
          reject(toProtocolError(cause, maxBytes));
        }
      });
    });
  }

  /** There is nothing to be given back. */
  close(): void {}

  #options(byteLength: number, maxBytes: number): ZlibOptions {
    return {
      // Without the tail that its sender has left out, a message has no end that zlib could insist on.
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: Math.min(maxBytes, bufferLimits.MAX_LENGTH),
      chunkSize: Math.min(Math.max(byteLength * GUESS, MIN_CHUNK_BYTES), MAX_CHUNK_BYTES),
      windowBits: this.#windowBits,
      info: true,
    };
  }
}

/** Inflates messages that may refer to those before them: a window for each connection, made with the first message. */
export class ContextInflater implements Inflater {
  readonly #windowBits: number;
  #stream: InflateRaw | undefined;

  constructor(windowBits: number) {
    this.#windowBits = windowBits;
  }

  async inflate(payload: Uint8Array, maxBytes: number): Promise<Uint8Array> {
    const stream = this.#stream ??= createInflateRaw({
      windowBits: this.#windowBits,
      flush: constants.Z_SYNC_FLUSH,
      chunkSize: CHUNK_BYTES,
    });
    try {
      const { bytes, isEnded } = await passThrough(stream, Buffer.concat([payload, TAIL]), maxBytes);
      // §7.2.3.4: a final block ends the stream, not the connection. What follows begins another one.
      if (isEnded) this.close();
      return bytes;
    } catch (error) {
      this.close();
      throw toProtocolError(error, maxBytes);
    }
  }

  /** Gives the window back. */
  close(): void {
    if (this.#stream !== undefined) closeStream(this.#stream);
    this.#stream = undefined;
  }
}

/** Behind a final block only the empty one of §7.2.3.4 may stand. */
function checkEnd({ buffer, engine }: Inflated, payload: Uint8Array): Buffer {
  const rest = payload.length - engine.bytesWritten;
  if (rest === 0 || (rest === 1 && payload[payload.length - 1] === 0)) return buffer;
  throw new ProtocolError(CloseCode.INVALID_PAYLOAD, `${rest} bytes follow the final block of a compressed message`);
}

function toProtocolError(error: unknown, maxBytes: number): ProtocolError {
  if (error instanceof ProtocolError) return error;
  // zlib says so with ERR_BUFFER_TOO_LARGE.
  if (error instanceof RangeError) {
    return new ProtocolError(CloseCode.MESSAGE_TOO_BIG, `Inflated, the message has more than ${maxBytes} bytes`);
  }
  return new ProtocolError(CloseCode.INVALID_PAYLOAD, "The compressed message is not DEFLATE");
}
