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
  readonly allocate: Allocate;
  /** Gives allocated memory back sooner than the garbage collector would. Nothing may use the memory afterwards. */
  readonly free: (bytes: Uint8Array) => void;
}

/** The memory and the native text functions of a runtime. */
export interface Codec extends Memory {
  readonly isUtf8: IsUtf8;
  /** Decodes the bytes from `start` to before `end`, which must be ASCII. */
  readonly decodeAscii: (bytes: Uint8Array, start: number, end: number) => string;
  /** Decodes the bytes from `start` to before `end`, which must be valid UTF-8. A byte order mark is kept. */
  readonly decodeUtf8: (bytes: Uint8Array, start: number, end: number) => string;
}
