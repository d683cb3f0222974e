/** Messages whose payload comes in several pieces, and the limits of every message. */
import { CloseCode } from "./close.ts";
import type { IsUtf8, Memory } from "./codec.ts";
import { ProtocolError } from "./errors.ts";
import { rotateKey, unmaskInto } from "./mask.ts";
import { Utf8Validator } from "./utf8.ts";

/** Limits that keep a peer from filling the memory of the server. */
export interface MessageLimits {
  /** How many bytes a message may have, before and after decompression. */
  readonly maxMessageBytes: number;
  /** How many frames a message may have, empty ones included. */
  readonly maxFragments: number;
}

/**
 * How many bytes may be allocated for each byte that was received. A header can announce the largest message without a
 * byte of its payload, so the allocated memory depends on the received bytes and not on the announced ones.
 */
const GROWTH = 4;
/** The smallest buffer, unless the message is known to be shorter. */
const SMALLEST_BYTES = 256;
/** A shorter piece is copied at once, so that the pieces that wait are few. */
const WAIT_FROM_BYTES = 16 * 1024;

/** A masked piece of a payload, which waits until there is a buffer for it. */
interface WaitingPiece {
  readonly source: Uint8Array;
  /** The key for the first byte of the piece. */
  readonly key: number;
}

/**
 * A message, or a control frame, of which only a part has been received. Each piece of the payload is copied into one
 * growing buffer and unmasked there, so that a thousand fragments of one byte cost about a thousand bytes and not a
 * thousand objects. Large pieces wait instead until a buffer for the whole payload may be allocated: a payload of 1 MiB
 * would otherwise be copied two or three times, into fresh memory each time.
 */
export class PartialMessage {
  readonly isText: boolean;
  readonly isCompressed: boolean;
  #bytes: Uint8Array | undefined;
  /** How many bytes of the payload are in `#bytes`. */
  #filled = 0;
  /** The pieces behind these bytes. */
  #waiting: WaitingPiece[] | undefined;
  /** How many bytes of the payload were received. */
  #length = 0;
  /** The payload lengths of all frames so far, added up. */
  #announced = 0;
  /** True when the last frame has been announced, so that `#announced` is the length of the message. */
  #isWholeAnnounced = false;
  #isAscii = true;
  #fragments = 0;
  readonly #validator: Utf8Validator | undefined;
  readonly #limits: MessageLimits;
  readonly #memory: Memory;

  constructor(isText: boolean, isCompressed: boolean, limits: MessageLimits, memory: Memory, isUtf8: IsUtf8) {
    this.isText = isText;
    this.isCompressed = isCompressed;
    this.#limits = limits;
    this.#memory = memory;
    this.#validator = isText && !isCompressed ? new Utf8Validator(isUtf8) : undefined;
  }

  /** True while all received bytes of a text are ASCII. Only defined for texts that are not compressed. */
  get isAscii(): boolean {
    return this.#isAscii;
  }

  /**
   * Counts the next frame of the message, before a byte of its payload is kept.
   *
   * @throws ProtocolError 1009 above `maxMessageBytes`, 1008 above `maxFragments`
   */
  addFragment(payloadLength: number, isLast: boolean): void {
    this.#announced += payloadLength;
    this.#isWholeAnnounced = isLast;
    checkMessageBytes(this.#announced, this.#limits, this.isCompressed);
    if (++this.#fragments > this.#limits.maxFragments) {
      throw new ProtocolError(
        CloseCode.POLICY_VIOLATION,
        `A message has at most ${this.#limits.maxFragments} frames`,
      );
    }
  }

  /**
   * Adds the next masked bytes of the current frame.
   *
   * @param source if these bytes are all of their `ArrayBuffer`, that memory may belong to the message from now on
   * @param offset the place of these bytes in the payload of the frame
   * @returns true when the memory of `source` belongs to the message
   * @throws ProtocolError 1007 for a text, at the first byte that valid UTF-8 cannot have at its place (§8.1)
   */
  append(source: Uint8Array, offset: number, maskingKey: number): boolean {
    const key = rotateKey(maskingKey, offset);
    this.#length += source.length;
    if (this.#mayWait(source)) {
      (this.#waiting ??= []).push({ source, key });
      return true;
    }
    const bytes = this.#reserve();
    const from = this.#filled;
    const allBits = this.#place(bytes, source, key);
    if (this.#validator === undefined) return false;
    if ((allBits & 0x80) === 0 && this.#validator.isComplete) return false;
    this.#isAscii = false;
    if (!this.#validator.push(bytes.subarray(from, this.#filled))) throw invalidText();
    return false;
  }

  /**
   * Gives the whole payload, once the last frame has been received.
   *
   * @throws ProtocolError 1007 when a text ends inside a character (§8.1)
   */
  finish(): Uint8Array {
    if (this.#validator?.isComplete === false) throw invalidText();
    if (this.#waiting !== undefined) this.#reserve();
    if (this.#bytes === undefined) return this.#memory.allocate(0);
    if (this.#length === this.#bytes.length) return this.#bytes;
    // Some memory was allocated for fragments that never came. Nothing was written to it, so it may have bytes of the
    // process and must not be handed out.
    const isHandedOut = !this.isText && !this.isCompressed;
    if (!isHandedOut && this.#length * 2 >= this.#bytes.length) return this.#bytes.subarray(0, this.#length);
    return this.#moveTo(this.#allocate(this.#length));
  }

  /** Gives the memory of the payload back, once the payload is of no more use. */
  free(): void {
    if (this.#bytes !== undefined) this.#memory.free(this.#bytes);
    this.#bytes = undefined;
  }

  /**
   * True for a large piece while the buffer cannot yet be as long as the payload will be. The UTF-8 of a text is
   * checked as the text comes (§8.1), so that a text does not wait.
   */
  #mayWait(source: Uint8Array): boolean {
    if (source.length < WAIT_FROM_BYTES || this.#validator !== undefined || this.#hasRoom) return false;
    return this.#length * GROWTH < this.#most && source.length === source.buffer.byteLength;
  }

  get #hasRoom(): boolean {
    return this.#bytes !== undefined && this.#length <= this.#bytes.length;
  }

  /** How long the payload can become. */
  get #most(): number {
    return this.#isWholeAnnounced ? this.#announced : this.#limits.maxMessageBytes;
  }

  /** Gives a buffer that has room for all that was received, and in which the pieces are that have waited. */
  #reserve(): Uint8Array {
    if (!this.#hasRoom) {
      const generous = Math.max(this.#length * GROWTH, SMALLEST_BYTES);
      this.#moveTo(this.#allocate(Math.max(this.#length, Math.min(generous, this.#most))));
    }
    const bytes = this.#bytes!;
    if (this.#waiting === undefined) return bytes;
    for (const { source, key } of this.#waiting) {
      this.#place(bytes, source, key);
      this.#memory.free(source);
    }
    this.#waiting = undefined;
    return bytes;
  }

  /** Copies a piece behind the others and unmasks the bytes. Gives what `unmaskInto` gives. */
  #place(bytes: Uint8Array, source: Uint8Array, key: number): number {
    const at = this.#filled;
    this.#filled += source.length;
    return unmaskInto(bytes, at, source, key);
  }

  #allocate(byteLength: number): Uint8Array {
    const { allocate, allocateForText } = this.#memory;
    return this.isText && !this.isCompressed ? allocateForText(byteLength) : allocate(byteLength);
  }

  #moveTo(memory: Uint8Array): Uint8Array {
    if (this.#bytes !== undefined) memory.set(this.#bytes.subarray(0, this.#filled));
    this.free();
    return this.#bytes = memory;
  }
}

/**
 * By how much the compressed payload may be longer than the limit of a message: by a 32nd part and 64 bytes. Data that
 * cannot be compressed is sent in DEFLATE blocks that have a few bytes of their own. A 32nd part is more than any
 * implementation of DEFLATE needs for them.
 */
const COMPRESSED_SLACK_PARTS = 32;
const COMPRESSED_SLACK_BYTES = 64;

/**
 * Checks the length of a message, or of its compressed payload.
 *
 * @throws ProtocolError 1009 above `maxMessageBytes`
 */
export function checkMessageBytes(byteLength: number, { maxMessageBytes }: MessageLimits, isCompressed: boolean): void {
  if (byteLength <= maxMessageBytes) return;
  if (isCompressed && byteLength <= maxMessageBytes * (1 + 1 / COMPRESSED_SLACK_PARTS) + COMPRESSED_SLACK_BYTES) return;
  throw new ProtocolError(
    CloseCode.MESSAGE_TOO_BIG,
    `The message has ${byteLength} bytes or more, the limit is ${maxMessageBytes}`,
  );
}

/** The error for a text that is not valid UTF-8, §8.1. */
export function invalidText(): ProtocolError {
  return new ProtocolError(CloseCode.INVALID_PAYLOAD, "The text is not valid UTF-8");
}
