/**
 * Unmasking in WebAssembly, sixteen bytes at once. JavaScript has no integers wider than 32 bits that are fast on all
 * three runtimes. For payloads of a few KiB and more, WebAssembly is three times as fast as JavaScript, although the
 * bytes have to be copied into its memory and out again.
 */

import { APART_BYTES } from "./headroom.ts";

/** Payloads are unmasked in blocks of this length. */
export const BLOCK_BYTES = 32;

/** How many bytes are copied at once: half of the module's memory, which is the smallest that WebAssembly allows. */
const COPY_BYTES = 32 * 1024;

/** The length of a page of memory. */
const PAGE_BYTES = 4 * 1024;

/**
 * Copies the first `byteLength` bytes of `source` to `target` at `at` and unmasks them on the way.
 *
 * @param byteLength a multiple of `BLOCK_BYTES`
 * @returns all unmasked 32-bit words, ORed together
 */
export type UnmaskBlocks = (
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  byteLength: number,
  maskingKey: number,
) => number;

/** The function of the module: unmasks blocks in the module's memory. Gives all unmasked words, ORed together. */
type UnmaskMemory = (start: number, end: number, maskingKey: number) => number;

/** The WebAssembly module in hexadecimal, beside its text format. */
const MODULE = [
  "0061736d01000000", // "\0asm", version 1
  "01080160037f7f7f017f", // (type (func (param i32 i32 i32) (result i32)))
  "03020100", // one function of this type
  "050401010101", // (memory (export "memory") 1 1)
  "071302066d656d6f7279020006756e6d61736b0000", // (func (export "unmask")
  "0a66016401037b", // (param $at $end $key i32) (local $keys $bits $words v128)
  "2002fd112103", // $keys = (i32x4.splat $key)
  "0340", // (loop
  // $words = load($at) ^ $keys; store($at, $words); $bits |= $words
  "20002000fd0000002003fd512205fd0b000020042005fd502104",
  "20002000fd0000102003fd512205fd0b001020042005fd502104", // the same at $at + 16
  "200041206a22002001490d000b", // (br_if 0 (i32.lt_u ($at += 32) $end)))
  "2004fd1b002004fd1b01722004fd1b02722004fd1b03720b", // the four lanes of $bits, ORed)
].join("");

/**
 * Loads the module. Gives `undefined` when the runtime has no WebAssembly, or no address space for the module's memory.
 */
export function loadSimd(): UnmaskBlocks | undefined {
  try {
    const bytes = Uint8Array.from(MODULE.match(/../g)!, (digits) => parseInt(digits, 16));
    const { memory, unmask } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    return overMemory(new Uint8Array((memory as WebAssembly.Memory).buffer), unmask as UnmaskMemory);
  } catch {
    return undefined;
  }
}

/** Makes a function that unmasks in the module's memory, part by part. */
function overMemory(memory: Uint8Array, unmask: UnmaskMemory): UnmaskBlocks {
  return (target, at, source, byteLength, maskingKey) => {
    // See `APART_BYTES`: this keeps both copies fast, the one into the module's memory and the one out of it.
    const start = (target.byteOffset + at + APART_BYTES) % PAGE_BYTES;
    let allBits = 0;
    for (let from = 0; from < byteLength; from += COPY_BYTES) {
      const to = Math.min(byteLength, from + COPY_BYTES);
      const end = start + to - from;
      memory.set(source.subarray(from, to), start);
      allBits |= unmask(start, end, maskingKey);
      target.set(memory.subarray(start, end), at + from);
    }
    return allBits;
  };
}
