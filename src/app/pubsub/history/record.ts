/** The bytes in which a broker keeps a message: one byte says whether the message is a text, then comes its data. */
import { Buffer } from "node:buffer";

const TEXT = 1;
const BINARY = 2;

/** Encodes a message. The result has a copy of the message's bytes. */
export function encodeRecord(data: string | Uint8Array): Buffer {
  const isText = typeof data === "string";
  const record = Buffer.allocUnsafe(1 + (isText ? Buffer.byteLength(data) : data.length));
  record[0] = isText ? TEXT : BINARY;
  if (isText) record.write(data, 1);
  else record.set(data, 1);
  return record;
}

/** Decodes a message. Bytes that another program has appended are a binary message. */
export function decodeRecord(bytes: Uint8Array): string | Buffer {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer[0] === TEXT) return buffer.toString("utf8", 1);
  return buffer[0] === BINARY ? buffer.subarray(1) : buffer;
}
