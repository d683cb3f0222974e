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

/**
 * A message, or a control frame, of which only a part has been received. Each piece of the payload is copied into one
 * growing buffer and unmasked there, so that a thousand fragments of one byte cost about a thousand bytes and not a
 * thousand objects.
 */
export class PartialMessage {
  readonly isText: boolean;
  readonly isCompressed: boolean;
  #bytes: Uint8Array | undefined;
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
   * @param offset the place of these bytes in the payload of the frame
   * @throws ProtocolError 1007 for a text, at the first byte that valid UTF-8 cannot have at its place (§8.1)
   */
  append(source: Uint8Array, offset: number, maskingKey: number): void {
    const from = this.#length;
    const to = from + source.length;
    const bytes = this.#reserve(to);
    this.#length = to;
    const allBits = unmaskInto(bytes, from, source, rotateKey(maskingKey, offset));
    if (this.#validator === undefined) return;
    if ((allBits & 0x80) === 0 && this.#validator.isComplete) return;
    this.#isAscii = false;
    if (!this.#validator.push(bytes.subarray(from, to))) throw invalidText();
  }

  /**
   * Gives the whole payload, once the last frame has been received.
   *
   * @throws ProtocolError 1007 when a text ends inside a character (§8.1)
   */
  finish(): Uint8Array {
    if (this.#validator?.isComplete === false) throw invalidText();
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

  /** Makes sure that the buffer has room for a payload of `byteLength` bytes. */
  #reserve(byteLength: number): Uint8Array {
    if (this.#bytes !== undefined && byteLength <= this.#bytes.length) return this.#bytes;
    const generous = Math.max(byteLength * GROWTH, SMALLEST_BYTES);
    const most = this.#isWholeAnnounced ? this.#announced : this.#limits.maxMessageBytes;
    return this.#moveTo(this.#allocate(Math.max(byteLength, Math.min(generous, most))));
  }

  #allocate(byteLength: number): Uint8Array {
    const { allocate, allocateForText } = this.#memory;
    return this.isText && !this.isCompressed ? allocateForText(byteLength) : allocate(byteLength);
  }

  #moveTo(memory: Uint8Array): Uint8Array {
    if (this.#bytes !== undefined) memory.set(this.#bytes.subarray(0, this.#length));
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
