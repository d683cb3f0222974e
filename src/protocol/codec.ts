/**
 * UTF-8 that comes in pieces, checked as it comes: RFC 6455 §8.1 lets an endpoint fail at the first bad byte, even in the
 * middle of a fragmented message. A whole text in one piece is checked natively instead.
 */

/** Checks a whole text. Each runtime has a native one. */
export type IsUtf8 = (bytes: Uint8Array) => boolean;

/** Uninitialised memory of the runtime, so that a message can be a `Buffer` without the protocol knowing one. */
export type Allocate = (byteLength: number) => Uint8Array;

/** Where the memory of payloads comes from. */
export interface Memory {
  readonly allocate: Allocate;
  /** Gives back what was allocated and what nobody has seen, sooner than a garbage collector would. It must not be used any more. */
  readonly free: (bytes: Uint8Array) => void;
}

/** What the protocol needs of its surroundings, because each runtime has it natively. */
export interface Codec extends Memory {
  readonly isUtf8: IsUtf8;
  /** The text of bytes that are known to be ASCII. */
  readonly decodeAscii: (bytes: Uint8Array, start: number, end: number) => string;
  /** The text of bytes that are known to be valid UTF-8. */
  readonly decodeUtf8: (bytes: Uint8Array, start: number, end: number) => string;
}
