import { CloseCode } from "./close.ts";
import type { IsUtf8, Memory } from "./codec.ts";
import { ProtocolError } from "./errors.ts";
import { rotateKey, unmaskInto } from "./mask.ts";
import { Utf8Validator } from "./utf8.ts";

/** What stands between a stranger and our memory. */
export interface MessageLimits {
  /** Bytes of a whole message, after inflation too. */
  readonly maxMessageBytes: number;
  /** Frames of a message, empty ones included. */
  readonly maxFragments: number;
}

/**
 * How much memory may be held for each byte that has really come. A header alone may announce the largest message, so memory
 * follows the bytes and not the announcement.
 */
const GROWTH = 4;
const SMALLEST_BYTES = 256;

/**
 * A message whose payload has come in part. Each piece is copied once, into one growing buffer, and unmasked there: a thousand
 * tiny fragments cost a thousand bytes, not a thousand objects.
 */
export class PartialMessage {
  readonly isText: boolean;
  readonly isCompressed: boolean;
  #bytes: Uint8Array | undefined;
  #length = 0;
  #announced = 0;
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

  /** Whether all bytes so far are below 128. */
  get isAscii(): boolean {
    return this.#isAscii;
  }

  /**
   * Announces the next frame, before a byte of it is kept.
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
   * Takes the next masked bytes of the current frame; `offset` is their place in its payload.
   *
   * @throws ProtocolError 1007 at the first byte that no UTF-8 text has there
   */
  append(source: Uint8Array, offset: number, maskingKey: number): void {
    const from = this.#length;
    const to = from + source.length;
    const bytes = this.#reserve(to);
    this.#length = to;
    const seen = unmaskInto(bytes, from, source, rotateKey(maskingKey, offset));
    if (this.#validator === undefined) return;
    if ((seen & 0x80) === 0 && this.#validator.isComplete) return;
    this.#isAscii = false;
    if (!this.#validator.push(bytes.subarray(from, to))) throw invalidText();
  }

  /**
   * The whole payload, once the last frame is in.
   *
   * @throws ProtocolError 1007 when a text ends inside a character
   */
  finish(): Uint8Array {
    if (this.#validator?.isComplete === false) throw invalidText();
    if (this.#bytes === undefined) return this.#memory.allocate(0);
    if (this.#length === this.#bytes.length) return this.#bytes;
    if (this.#length * 2 >= this.#bytes.length) return this.#bytes.subarray(0, this.#length);
    // Memory that was taken for fragments that never came is let go.
    return this.#moveTo(this.#memory.allocate(this.#length));
  }

  /** Gives the payload's memory back, once something else has been made of it. */
  free(): void {
    if (this.#bytes !== undefined) this.#memory.free(this.#bytes);
    this.#bytes = undefined;
  }

  #reserve(byteLength: number): Uint8Array {
    if (this.#bytes !== undefined && byteLength <= this.#bytes.length) return this.#bytes;
    const generous = Math.max(byteLength * GROWTH, SMALLEST_BYTES);
    const most = this.#isWholeAnnounced ? this.#announced : this.#limits.maxMessageBytes;
    return this.#moveTo(this.#memory.allocate(Math.max(byteLength, Math.min(generous, most))));
  }

  #moveTo(memory: Uint8Array): Uint8Array {
    if (this.#bytes !== undefined) memory.set(this.#bytes.subarray(0, this.#length));
    this.free();
    return this.#bytes = memory;
  }
}

/**
 * Compressed, a message may be a little longer than it is: what cannot be compressed is sent in blocks with a few bytes of their own. A 32nd part is more than any compressor
 * needs for them.
 */
const COMPRESSED_SLACK_PARTS = 32;
const COMPRESSED_SLACK_BYTES = 64;

/** @throws ProtocolError 1009 above `maxMessageBytes` */
export function checkMessageBytes(byteLength: number, { maxMessageBytes }: MessageLimits, isCompressed: boolean): void {
  if (byteLength <= maxMessageBytes) return;
  if (isCompressed && byteLength <= maxMessageBytes * (1 + 1 / COMPRESSED_SLACK_PARTS) + COMPRESSED_SLACK_BYTES) return;
  throw new ProtocolError(
    CloseCode.MESSAGE_TOO_BIG,
    `The message has ${byteLength} bytes or more, the limit is ${maxMessageBytes}`,
  );
}

/** The fault of a text that is not UTF-8, §8.1. */
export function invalidText(): ProtocolError {
  return new ProtocolError(CloseCode.INVALID_PAYLOAD, "The text is not valid UTF-8");
}
