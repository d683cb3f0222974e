import { isAnyArrayBuffer } from "node:util/types";
import { show } from "./show.ts";

/** The bytes of a binary message, where they lie.
 *
 * @throws TypeError for anything else
 */
export function toBytes(data: unknown): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  // An ArrayBuffer of another realm is none by `instanceof`.
  if (isAnyArrayBuffer(data)) return new Uint8Array(data);
  throw new TypeError(`A message must be a string, a Buffer, an ArrayBuffer or a view of one; got ${show(data)}`);
}

/** What may be sent as a binary message, or as the payload of a Ping or Pong. */
export type BinaryData = ArrayBuffer | ArrayBufferView;
