/**
 * Decompression of incoming messages: `MessageInflater` inflates each message by itself, `ContextInflater` keeps the
 * window from one message of a connection to the next.
 */
import { Buffer, constants as bufferLimits } from "node:buffer";
import { type InflateRaw, inflateRaw, inflateRawSync, type ZlibOptions } from "node:zlib";
import { CloseCode } from "../../protocol/close.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import type { Inflater } from "../../protocol/permessage-deflate.ts";
import { closeStream, openInflate, passThrough } from "./zlib-stream.ts";

/**
 * From this compressed size on zlib's own threads do the work, which could block the event loop for most of a
 * millisecond.
 */
const OFF_LOOP_FROM_BYTES = 32 * 1024;
/** The end of a flush, which a sender leaves out of every message (RFC 7692 §7.2.1). */
const TAIL = Buffer.of(0x00, 0x00, 0xff, 0xff);
const MARK = 0xff;
/**
 * The same and a final block of one byte, so that zlib tells whether the message ends where a block ends: then the mark
 * comes out at the end. A final block of fixed codes that lacks its own end cannot end in the mark, since its code for
 * the end is seven zeros. A stored one takes these very bytes for its content, which `LONGER_END` finds out.
 */
const END = Buffer.of(...TAIL, 0x01, 0x01, 0x00, 0xfe, 0xff, MARK);
/** The same with two marks: a stored block that lacks the length of `END` does not reach the end of this. */
const LONGER_END = Buffer.of(...TAIL, 0x01, 0x02, 0x00, 0xfd, 0xff, MARK, MARK);
/**
 * How many final blocks a message may have with more bytes behind them. RFC 7692 §7.2.3.4 allows such blocks. Each
 * costs another call of zlib with a window of its own, 26 µs on Node, for two bytes of payload. Senders that use final
 * blocks put one at the end of a message, so a few are enough.
 */
const MAX_FINAL_BLOCKS = 8;
/** The first output buffer has this multiple of the compressed size. */
const GUESS = 6;
const MOST_MARKS = 2;
const NO_BYTES = Buffer.alloc(0);
const MIN_CHUNK_BYTES = 1024;
const MAX_CHUNK_BYTES = 64 * 1024;

/** The result of zlib with the option `info`. */
interface Result {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

/** Inflates messages that refer to none before them. It has no state, so that one inflater serves all connections. */
export class MessageInflater implements Inflater {
  inflate(payload: Uint8Array, maxBytes: number): Uint8Array | Promise<Uint8Array> {
    // The header of the block whose end the sender leaves out is in the last byte of a payload. A payload of no bytes
    // has no such block: the message is empty.
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

  /** Does nothing: there is no memory to free. */
  close(): void {}
}

/**
 * Inflates messages of one connection that may refer to those before them. The window is allocated with the first
 * message. The stream has no end, so zlib cannot tell that a message was cut short: the bytes that come out are the
 * message.
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
      for (let rest = payload, finalBlocks = 0; rest.length > 0;) {
        const stream = this.#stream ??= openInflate(this.#windowBits);
        const before = stream.bytesWritten;
        const input = Buffer.concat([rest, TAIL]);
        const { bytes, isEnded } = await passThrough(stream, input, room);
        parts.push(bytes);
        room -= bytes.length;
        const consumed = stream.bytesWritten - before;
        // Deno reports bad data only after its callback, but does not consume all of the input.
        if (!isEnded && consumed < input.length) throw noDeflate();
        if (!isEnded) break;
        // A final block ends the stream, but neither the message nor the connection.
        this.close();
        // zlib tells of a final block that the message before this one has ended with only now.
        if (consumed > 0) finalBlocks++;
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

/** One message that zlib inflates, with one call of zlib for each final block. */
class Inflation {
  #rest: Uint8Array;
  #room: number;
  #end: Buffer = END;
  readonly #parts: Buffer[] = [];

  constructor(payload: Uint8Array, maxBytes: number) {
    this.#rest = payload;
    this.#room = maxBytes;
  }

  get input(): Buffer {
    return Buffer.concat([this.#rest, this.#end]);
  }

  get options(): ZlibOptions {
    return {
      // The marks come out too. `accept` finds a message that is longer by as many bytes.
      maxOutputLength: Math.min(this.#room + MOST_MARKS, bufferLimits.MAX_LENGTH),
      chunkSize: Math.min(Math.max(this.#rest.length * GUESS, MIN_CHUNK_BYTES), MAX_CHUNK_BYTES),
      info: true,
    };
  }

  /** Takes the output of zlib for `input`. Returns the message once nothing of it is left to inflate. */
  accept({ buffer, engine: { bytesWritten } }: Result): Buffer | undefined {
    const hasReachedOurs = bytesWritten === this.#rest.length + this.#end.length;
    if (hasReachedOurs && this.#end === END && buffer.subarray(-END.length).equals(END)) {
      // The message ends in the bytes of `END`, or lacks its own end.
      this.#end = LONGER_END;
      return undefined;
    }
    const part = hasReachedOurs ? withoutMarks(buffer, this.#end) : buffer;
    this.#parts.push(part);
    this.#room -= part.length;
    if (this.#room < 0) throw new RangeError("Too many bytes came out");
    this.#rest = hasReachedOurs ? NO_BYTES : behindFinalBlock(this.#rest, bytesWritten, this.#parts.length);
    if (this.#rest.length > 0) return undefined;
    return this.#parts.length === 1 ? part : Buffer.concat(this.#parts);
  }
}

/** The output of the message itself, in front of the marks. */
function withoutMarks(output: Buffer, end: Buffer): Buffer {
  const length = output.length - (end === END ? 1 : MOST_MARKS);
  if (output.at(-1) !== MARK) throw noDeflate();
  return output.subarray(0, length);
}

/**
 * Returns the part of a message behind a final block.
 *
 * @param rest the bytes that were given to zlib with `TAIL` behind them
 * @param consumed how many bytes zlib took, up to the end of the final block
 * @param finalBlocks how many final blocks the message has had, this one included
 * @throws ProtocolError for a block that is not whole, and for one final block too many
 */
function behindFinalBlock(rest: Uint8Array, consumed: number, finalBlocks: number): Uint8Array {
  const behind = rest.subarray(consumed);
  if (behind.length > 0) {
    if (finalBlocks > MAX_FINAL_BLOCKS) throw tooManyFinalBlocks();
    return behind;
  }
  // RFC 7692 §7.2.1 removes the last four bytes of an empty stored block. If that was a final one, it takes the whole
  // tail. A block that takes only a part of the tail is a block whose own end is missing.
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
  // zlib reports a message that is too big with ERR_BUFFER_TOO_LARGE, which is a RangeError.
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
