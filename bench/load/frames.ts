/** Frames (RFC 6455 §5.2): an encoder for the frames of the client, and readers for the frames of the server. */
import { randomBytes } from "node:crypto";

export const OPCODE = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa };
const RSV1 = 0x40;

/** The header of an unfragmented frame, without a masking key. */
export function header(opcode: number, payloadLength: number, masked: boolean, isCompressed = false): Buffer {
  const first = 0x80 | (isCompressed ? RSV1 : 0) | opcode;
  const flag = masked ? 0x80 : 0;
  if (payloadLength < 126) return Buffer.from([first, flag | payloadLength]);
  const bytes = Buffer.alloc(payloadLength < 65_536 ? 4 : 10);
  bytes[0] = first;
  bytes[1] = flag | (bytes.length === 4 ? 126 : 127);
  if (bytes.length === 4) bytes.writeUInt16BE(payloadLength, 2);
  else bytes.writeBigUInt64BE(BigInt(payloadLength), 2);
  return bytes;
}

/** A frame as a client sends it, masked with a random key. */
export function maskedFrame(opcode: number, payload: Uint8Array, isCompressed = false): Buffer {
  const maskingKey = randomBytes(4);
  const masked = Buffer.from(payload);
  for (let index = 0; index < masked.length; index += 1) masked[index] ^= maskingKey[index & 3];
  return Buffer.concat([header(opcode, payload.length, true, isCompressed), maskingKey, masked]);
}

/** A client's Close frame with code 1000. */
export function closeFrame(): Buffer {
  return maskedFrame(OPCODE.close, Buffer.from([0x03, 0xe8]));
}

export function isCloseFrame(bytes: Uint8Array): boolean {
  return bytes[0] === (0x80 | OPCODE.close);
}

export interface ServerHeader {
  fin: boolean;
  rsv1: boolean;
  opcode: number;
  headerLength: number;
  payloadLength: number;
}

/** The header of a server's frame that begins at `at`; undefined when `bytes` ends within the header. */
export function headerAt(bytes: Uint8Array, at: number): ServerHeader | undefined {
  const available = bytes.length - at;
  if (available < 2) return undefined;
  const [first, second] = [bytes[at], bytes[at + 1]];
  const headerLength = second < 126 ? 2 : second === 126 ? 4 : 10;
  if (available < headerLength) return undefined;
  let payloadLength = second;
  if (headerLength > 2) {
    payloadLength = 0;
    for (let index = at + 2; index < at + headerLength; index += 1) payloadLength = payloadLength * 256 + bytes[index];
  }
  const fin = (first & 0x80) !== 0;
  return { fin, rsv1: (first & RSV1) !== 0, opcode: first & 0x0f, headerLength, payloadLength };
}

/** Counts the messages in the bytes of a server, which may come in chunks of any size. */
export class MessageCounter {
  /** The payload bytes of the current frame that have not come yet. */
  #left = 0;
  /** True when a message ends with the current frame. */
  #endsMessage = false;
  /** The beginning of a header that continues in the next chunk. */
  #headerStart: Uint8Array | undefined;

  /** The number of messages that end in this chunk. */
  count(chunk: Uint8Array): number {
    const bytes = this.#headerStart ? Buffer.concat([this.#headerStart, chunk]) : chunk;
    this.#headerStart = undefined;
    let ended = 0;
    let at = 0;
    for (;;) {
      const taken = Math.min(this.#left, bytes.length - at);
      at += taken;
      this.#left -= taken;
      if (this.#left > 0) return ended;
      if (this.#endsMessage) ended += 1;
      this.#endsMessage = false;
      const next = headerAt(bytes, at);
      if (!next) {
        // All chunks come in the same memory, so the beginning of a header is copied before the next chunk overwrites
        // it.
        if (at < bytes.length) this.#headerStart = bytes.slice(at);
        return ended;
      }
      at += next.headerLength;
      this.#left = next.payloadLength;
      this.#endsMessage = next.fin && next.opcode < OPCODE.close;
    }
  }
}

export interface Message {
  opcode: number;
  isCompressed: boolean;
  payload: Buffer;
}

/** The messages in these bytes, with their fragments joined. Control frames are skipped. */
export function readMessages(bytes: Buffer): Message[] {
  const messages: Message[] = [];
  let current: Message | undefined;
  let at = 0;
  while (at < bytes.length) {
    const next = headerAt(bytes, at);
    if (!next) throw new Error("the replies end within a header");
    const start = at + next.headerLength;
    at = start + next.payloadLength;
    if (next.opcode >= OPCODE.close) continue;
    current ??= { opcode: next.opcode, isCompressed: next.rsv1, payload: Buffer.alloc(0) };
    current.payload = Buffer.concat([current.payload, bytes.subarray(start, at)]);
    if (!next.fin) continue;
    messages.push(current);
    current = undefined;
  }
  return messages;
}
