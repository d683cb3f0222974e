/**
 * What the protocol takes from the runtime: memory, and native functions for text. `platform.ts` implements these
 * types, so that the protocol imports no module of a runtime.
 */

/** Checks that all of the bytes together are valid UTF-8. Every runtime has such a function in native code. */
export type IsUtf8 = (bytes: Uint8Array) => boolean;

/**
 * Gives uninitialised memory of exactly `byteLength` bytes. On all three runtimes it is a `Buffer`, so that messages
 * are Buffers although the protocol knows only `Uint8Array`.
 */
export type Allocate = (byteLength: number) => Uint8Array;

/** Where the memory of payloads comes from and goes back to. */
export interface Memory {
  /** Gives memory that may be handed out: its `ArrayBuffer` has no bytes but these. */
  readonly allocate: Allocate;
  /**
   * Gives memory for a text that is sent on in these bytes. It has headroom, which is memory of the process, so it must
   * not be handed out.
   */
  readonly allocateForText: Allocate;
  /** Gives allocated memory back sooner than the garbage collector would. Nothing may use the memory afterwards. */
  readonly free: (bytes: Uint8Array) => void;
}

/**
 * Gives the payload of a frame as bytes that may be handed out: their `ArrayBuffer` has no bytes that are not of the
 * same frame, and they begin at a multiple of eight. So an application may transfer or clone that `ArrayBuffer`. Where
 * the frame fills the `ArrayBuffer` in which it came, its payload may stay there.
 *
 * @param bytes the memory in which the frame lies
 * @param frameStart where the frame begins, which ends at `end`
 * @param start where the unmasked payload begins
 */
export type Isolate = (bytes: Uint8Array, frameStart: number, start: number, end: number) => Uint8Array;

/** The memory and the native text functions of a runtime. */
export interface Codec extends Memory {
  readonly isUtf8: IsUtf8;
  readonly isolate: Isolate;
  /** A payload of this many bytes or more stays in the chunk that its frame fills. A smaller one is copied faster. */
  readonly stayFromBytes: number;
  /** Decodes the bytes from `start` to before `end`, which must be ASCII. */
  readonly decodeAscii: (bytes: Uint8Array, start: number, end: number) => string;
  /**
   * Decodes the bytes from `start` to before `end`, and keeps a byte order mark. Gives `undefined` when the bytes are
   * not valid UTF-8.
   */
  readonly decodeUtf8: (bytes: Uint8Array, start: number, end: number) => string | undefined;
  /** Decodes bytes in the same way that are known to be valid UTF-8, because each piece of them was checked before. */
  readonly decodeValidUtf8: (bytes: Uint8Array, start: number, end: number) => string;
}
