/**
 * The bytes of one message in the stream of histories. It has one or more messages of a topic, which are neighbours:
 * all that wait for a topic are stored in one step.
 *
 * A record begins with its version, the length of the epoch, and the epoch. The offset of the first message follows, in
 * 8 bytes. Each message has its length in 4 bytes in front. Numbers are big-endian.
 */
import { Buffer } from "node:buffer";
import type { HistoryMessage } from "../app/pubsub/broker.ts";

/** Messages of a topic that are stored together. */
export interface HistoryRecord {
  readonly epoch: string;
  /** One or more messages. */
  readonly messages: readonly HistoryMessage[];
}

const VERSION = 1;
const EPOCH = /^[\w-]{1,64}$/;
const OFFSET_BYTES = 8;
const LENGTH_BYTES = 4;
/** The most bytes in front of the first message. */
const MAX_HEAD_BYTES = 2 + 64 + OFFSET_BYTES;

/** The most bytes that a record of some messages may have. */
export function maxRecordBytes(messages: readonly Uint8Array[]): number {
  return messages.reduce((sum, { length }) => sum + LENGTH_BYTES + length, MAX_HEAD_BYTES);
}

/** The offset of the last message of a record. */
export function lastOffset({ messages }: HistoryRecord): number {
  return messages.at(-1)!.offset;
}

/** Writes a record. */
export function encodeRecord(epoch: string, firstOffset: number, messages: readonly Uint8Array[]): Uint8Array {
  const offset = Buffer.alloc(OFFSET_BYTES);
  offset.writeBigUInt64BE(BigInt(firstOffset));
  const parts: Uint8Array[] = [Buffer.from([VERSION, epoch.length]), Buffer.from(epoch, "latin1"), offset];
  for (const message of messages) {
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32BE(message.length);
    parts.push(length, message);
  }
  return Buffer.concat(parts);
}

/** Reads a record. The messages are views of its bytes. Undefined if the bytes are not a record. */
export function decodeRecord(data: Uint8Array): HistoryRecord | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (bytes.length < 2 || bytes[0] !== VERSION) return undefined;
  const epochEnd = 2 + bytes[1]!;
  let at = epochEnd + OFFSET_BYTES;
  if (at > bytes.length) return undefined;
  const epoch = bytes.toString("latin1", 2, epochEnd);
  let offset = Number(bytes.readBigUInt64BE(epochEnd));
  if (!EPOCH.test(epoch) || offset < 1 || !Number.isSafeInteger(offset)) return undefined;
  const messages: HistoryMessage[] = [];
  while (at < bytes.length) {
    const start = at + LENGTH_BYTES;
    if (start > bytes.length) return undefined;
    at = start + bytes.readUInt32BE(start - LENGTH_BYTES);
    if (at > bytes.length) return undefined;
    messages.push({ offset: offset++, bytes: bytes.subarray(start, at) });
  }
  return messages.length === 0 ? undefined : { epoch, messages };
}
