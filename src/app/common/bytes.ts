/** Binary data as applications hand it in, and its bytes. */
import { isAnyArrayBuffer } from "node:util/types";
import { show } from "./show.ts";

/**
 * Returns the bytes of binary data. They are not copied: the result is a view of the same memory.
 *
 * @throws TypeError if the value is not binary data
 */
export function toBytes(data: unknown): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  // `instanceof ArrayBuffer` is false for an ArrayBuffer of another realm.
  if (isAnyArrayBuffer(data)) return new Uint8Array(data);
  const advice = isPlain(data) ? "; JSON.stringify makes a string of it" : "";
  throw new TypeError(
    `A message must be a string, a Buffer, an ArrayBuffer or a view of one; got ${show(data)}${advice}`,
  );
}

/** True for an array and for an object of no class, which other libraries turn into JSON by themselves. */
function isPlain(data: unknown): boolean {
  return Array.isArray(data) ||
    typeof data === "object" && data !== null && Object.getPrototypeOf(data) === Object.prototype;
}

/** Whether a value is binary data, of any realm. */
export function isBinaryData(data: unknown): data is BinaryData {
  return ArrayBuffer.isView(data) || isAnyArrayBuffer(data);
}

/**
 * Binary data that can be sent as a message, or as the payload of a Ping or Pong: an `ArrayBuffer`, a
 * `SharedArrayBuffer`, or any view of one, such as a `Buffer`.
 */
export type BinaryData = ArrayBufferLike | ArrayBufferView;
