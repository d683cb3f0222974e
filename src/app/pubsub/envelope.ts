/**
 * The bytes in which published messages travel between processes: a version, the process that the messages come from,
 * and an entry for each message, in order.
 *
 * ```text
 * version: 1 byte | origin: 16 bytes | (kind: 1 byte | length: 4 bytes, big-endian | payload)*
 * ```
 */
import { Buffer } from "node:buffer";

const VERSION = 1;
const ORIGIN_BYTES = 16;
const PREFIX_BYTES = 1 + ORIGIN_BYTES;
const ENTRY_HEADER_BYTES = 5;
const TEXT = 1;
const BINARY = 2;

/** Messages that one process has published to one topic. */
export interface Envelope {
  /** The UUID of the process. */
  readonly origin: string;
  readonly messages: readonly (string | Buffer)[];
}

/** Encodes the start of every envelope of a process: the version and the origin. */
export function encodePrefix(origin: string): Buffer {
  return Buffer.concat([Buffer.of(VERSION), Buffer.from(origin.replaceAll("-", ""), "hex")]);
}

/** Encodes one message. The result has a copy of the message's bytes. */
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

/**
 * Decodes an envelope.
 *
 * @returns undefined if the bytes are not a valid envelope, because they come from another program or version; binary
 *   messages are views of the given bytes
 */
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
