import { Buffer, constants as bufferLimits } from "node:buffer";
import { type InflateRaw, inflateRaw, inflateRawSync, type ZlibOptions } from "node:zlib";
import { CloseCode } from "../../protocol/close.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import type { Inflater } from "../../protocol/permessage-deflate.ts";
import { closeStream, openInflate, passThrough } from "./zlib-stream.ts";

/** From this much compressed data on, zlib's own threads do the work: inflating it here could hold up everybody else for most of a millisecond. */
const OFF_LOOP_FROM_BYTES = 32 * 1024;
/** What a sender leaves out of every message, RFC 7692 §7.2.1. */
const TAIL = Buffer.of(0x00, 0x00, 0xff, 0xff);
/** That, and an empty final block: only if the message ends where a block ends do these say to zlib that all is there. */
const END = Buffer.of(...TAIL, 0x03, 0x00);
/**
 * RFC 7692 §7.2.3.4 allows final blocks inside a message, with more blocks behind them. Each of them costs another call of zlib with a window of its own, 26 µs on Node,
 * for two bytes of payload. Senders that end a message with a final block make one, so a few are enough.
 */
const MAX_FINAL_BLOCKS = 8;
/** How much room a message gets at first, as a multiple of its compressed size. */
const GUESS = 6;
const NO_BYTES = Buffer.alloc(0);
const MIN_CHUNK_BYTES = 1024;
const MAX_CHUNK_BYTES = 64 * 1024;

/** What zlib gives when it is asked for `info`. */
interface Result {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

/** Inflates messages that refer to nothing before them. It has no state, so that one serves all connections. */
export class MessageInflater implements Inflater {
  inflate(payload: Uint8Array, maxBytes: number): Uint8Array | Promise<Uint8Array> {
    // What was left out begins in the last byte of what was not; where that is nothing, so is the message.
    if (payload.length === 0) return Buffer.alloc(0);
    const inflation = new Inflation(payload, maxBytes);
    if (payload.length >= OFF_LOOP_FROM_BYTES) return inflateOffLoop(inflation, maxBytes);
    try {
      let message: Buffer | undefined;
      while (message === undefined) {
        message = inflation.accept(inflateRawSync(inflation.input, inflation.options) as unknown as Result);
      }
      return message;
    } catch (error) {
      throw toProtocolError(error, maxBytes);
    }
  }

  /** There is nothing to be given back. */
  close(): void {}
}

/**
 * Inflates messages that may refer to those before them: a window for each connection, made with the first message. That zlib has got all of a message cannot be seen here, since the
 * stream has no end: what it gives is the message.
 */
export class ContextInflater implements Inflater {
  readonly #windowBits: number;
  #stream: InflateRaw | undefined;

  constructor(windowBits: number) {
    this.#windowBits = windowBits;
  }

  async inflate(payload: Uint8Array, maxBytes: number): Promise<Uint8Array> {
    const parts: Buffer[] = [];
    let room = maxBytes;
    try {
      for (let rest = payload, finalBlocks = 1; rest.length > 0; finalBlocks++) {
        const stream = this.#stream ??= openInflate(this.#windowBits);
        const before = stream.bytesWritten;
        const input = Buffer.concat([rest, TAIL]);
        const { bytes, isEnded } = await passThrough(stream, input, room);
        parts.push(bytes);
        room -= bytes.length;
        const consumed = stream.bytesWritten - before;
        // Deno tells of bad data only after that.
        if (!isEnded && consumed < input.length) throw noDeflate();
        if (!isEnded) break;
        // A final block ends the stream, but not the message, and not the connection.
        this.close();
        rest = behindFinalBlock(rest, consumed, finalBlocks);
      }
    } catch (error) {
      this.close();
      throw toProtocolError(error, maxBytes);
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  close(): void {
    if (this.#stream !== undefined) closeStream(this.#stream);
    this.#stream = undefined;
  }
}

/** One message on its way through zlib: a call of it for each final block. */
class Inflation {
  #rest: Uint8Array;
  #room: number;
  readonly #parts: Buffer[] = [];

  constructor(payload: Uint8Array, maxBytes: number) {
    this.#rest = payload;
    this.#room = maxBytes;
  }

  get input(): Buffer {
    return Buffer.concat([this.#rest, END]);
  }

  get options(): ZlibOptions {
    return {
      // zlib takes no 0; what one byte too many is, `accept` sees.
      maxOutputLength: Math.min(Math.max(this.#room, 1), bufferLimits.MAX_LENGTH),
      chunkSize: Math.min(Math.max(this.#rest.length * GUESS, MIN_CHUNK_BYTES), MAX_CHUNK_BYTES),
      info: true,
    };
  }

  /** Takes what zlib has made of the input; gives the message, once that was all of it. */
  accept({ buffer, engine: { bytesWritten } }: Result): Buffer | undefined {
    this.#parts.push(buffer);
    this.#room -= buffer.length;
    if (this.#room < 0) throw new RangeError("One byte too many came out");
    const hasReachedOurs = bytesWritten === this.#rest.length + END.length;
    this.#rest = hasReachedOurs ? NO_BYTES : behindFinalBlock(this.#rest, bytesWritten, this.#parts.length);
    if (this.#rest.length > 0) return undefined;
    return this.#parts.length === 1 ? buffer : Buffer.concat(this.#parts);
  }
}

/**
 * Gives what of a message lies behind a final block of its own.
 *
 * @param rest what was given to zlib, with `TAIL` behind it
 * @param consumed how much zlib took, up to the end of the final block
 * @param finalBlocks how many final blocks the message has had, this one included
 * @throws ProtocolError for a block that is not whole, and for a final block too many
 */
function behindFinalBlock(rest: Uint8Array, consumed: number, finalBlocks: number): Uint8Array {
  const behind = rest.subarray(consumed);
  if (behind.length > 0) {
    if (finalBlocks > MAX_FINAL_BLOCKS) throw tooManyFinalBlocks();
    return behind;
  }
  // §7.2.1 removes the last four bytes of an empty stored block, also of a final one: such a block takes the whole tail. A block that takes a part of the tail has lost its own end.
  const taken = consumed - rest.length;
  if (taken !== 0 && taken !== TAIL.length) throw noDeflate();
  return behind;
}

async function inflateOffLoop(inflation: Inflation, maxBytes: number): Promise<Buffer> {
  try {
    let message: Buffer | undefined;
    while (message === undefined) message = inflation.accept(await inflateOnce(inflation));
    return message;
  } catch (error) {
    throw toProtocolError(error, maxBytes);
  }
}

function inflateOnce({ input, options }: Inflation): Promise<Result> {
  return new Promise((resolve, reject) => {
    inflateRaw(
      input,
      options,
      (error, result) => error === null ? resolve(result as unknown as Result) : reject(error),
    );
  });
}

function toProtocolError(error: unknown, maxBytes: number): ProtocolError {
  if (error instanceof ProtocolError) return error;
  // zlib says so with ERR_BUFFER_TOO_LARGE.
  if (!(error instanceof RangeError)) return noDeflate();
  return new ProtocolError(CloseCode.MESSAGE_TOO_BIG, `Inflated, the message has more than ${maxBytes} bytes`);
}

function noDeflate(): ProtocolError {
  return new ProtocolError(CloseCode.INVALID_PAYLOAD, "The compressed message is not DEFLATE, or not all of it");
}

function tooManyFinalBlocks(): ProtocolError {
  const message = `The compressed message has more than ${MAX_FINAL_BLOCKS} final blocks with more behind them`;
  return new ProtocolError(CloseCode.POLICY_VIOLATION, message);
}
