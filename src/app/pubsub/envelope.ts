import { Buffer } from "node:buffer";

/*
 * How published messages travel between processes: a version, the process that they come from, and one entry for each message, in order.
 *
 *   version: 1 byte | origin: 16 bytes | (kind: 1 byte | length: 4 bytes, big-endian | payload)*
 */

const VERSION = 1;
const ORIGIN_BYTES = 16;
const PREFIX_BYTES = 1 + ORIGIN_BYTES;
const ENTRY_HEADER_BYTES = 5;
const TEXT = 1;
const BINARY = 2;

/** What one process has published to one topic. */
export interface Envelope {
  /** The process, as a UUID. */
  readonly origin: string;
  readonly messages: readonly (string | Buffer)[];
}

/** The bytes that every envelope of a process begins with. */
export function encodePrefix(origin: string): Buffer {
  return Buffer.concat([Buffer.of(VERSION), Buffer.from(origin.replaceAll("-", ""), "hex")]);
}

/** One message; it holds a copy of its bytes. */
export function encodeEntry(data: string | Uint8Array): Buffer {
  const isText = typeof data === "string";
  const byteLength = isText ? Buffer.byteLength(data) : data.length;
  const entry = Buffer.allocUnsafe(ENTRY_HEADER_BYTES + byteLength);
  entry[0] = isText ? TEXT : BINARY;
  entry.writeUInt32BE(byteLength, 1);
  if (isText) entry.write(data, ENTRY_HEADER_BYTES);
  else entry.set(data, ENTRY_HEADER_BYTES);
  return entry;
}

/** Reads an envelope; undefined for bytes that are none, such as those of another program. */
export function decodeEnvelope(bytes: Uint8Array): Envelope | undefined {
  if (bytes.length < PREFIX_BYTES || bytes[0] !== VERSION) return undefined;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: (string | Buffer)[] = [];
  let at = PREFIX_BYTES;
  while (at < buffer.length) {
    const kind = buffer[at];
    if ((kind !== TEXT && kind !== BINARY) || buffer.length - at < ENTRY_HEADER_BYTES) return undefined;
    const start = at + ENTRY_HEADER_BYTES;
    at = start + buffer.readUInt32BE(start - 4);
    if (at > buffer.length) return undefined;
    messages.push(kind === TEXT ? buffer.toString("utf8", start, at) : buffer.subarray(start, at));
  }
  return { origin: decodeOrigin(buffer), messages };
}

function decodeOrigin(buffer: Buffer): string {
  const hex = buffer.toString("hex", 1, PREFIX_BYTES);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
