/** Frames: those of the client, built beforehand, and a reader for those that come back. */
import { randomBytes } from "node:crypto";

export const OPCODE = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8 };
const RSV1 = 0x40;

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

export function maskedFrame(opcode: number, payload: Uint8Array, isCompressed = false): Buffer {
  const maskingKey = randomBytes(4);
  const masked = Buffer.from(payload);
  for (let index = 0; index < masked.length; index += 1) masked[index] ^= maskingKey[index & 3];
  return Buffer.concat([header(opcode, payload.length, true, isCompressed), maskingKey, masked]);
}

export function closeFrame(): Buffer {
  return maskedFrame(OPCODE.close, Buffer.from([0x03, 0xe8]));
}

export function isCloseFrame(bytes: Uint8Array): boolean {
  return bytes[0] === (0x80 | OPCODE.close);
}

interface ServerHeader {
  fin: boolean;
  rsv1: boolean;
  opcode: number;
  headerLength: number;
  payloadLength: number;
}

/** The header of a server's frame at this place; undefined when not all of it is there. */
function headerAt(bytes: Uint8Array, at: number): ServerHeader | undefined {
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

/** Counts the messages in a stream of a server's bytes, however it is cut. */
export class MessageCounter {
  /** Payload bytes of the present frame that are still to come. */
  #left = 0;
  #endsMessage = false;
  /** The beginning of a header whose end is in the next chunk. */
  #cut: Uint8Array | undefined;

  /** How many messages end in these bytes. */
  count(chunk: Uint8Array): number {
    const bytes = this.#cut ? Buffer.concat([this.#cut, chunk]) : chunk;
    this.#cut = undefined;
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
        // The chunk's memory is used again for the next one: what is kept of it is copied.
        if (at < bytes.length) this.#cut = bytes.slice(at);
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

/** The messages in these bytes, their fragments joined; control frames are passed over. */
export function readMessages(bytes: Buffer): Message[] {
  const messages: Message[] = [];
  let present: Message | undefined;
  let at = 0;
  while (at < bytes.length) {
    const next = headerAt(bytes, at);
    if (!next) throw new Error("the replies end within a header");
    const start = at + next.headerLength;
    at = start + next.payloadLength;
    if (next.opcode >= OPCODE.close) continue;
    present ??= { opcode: next.opcode, isCompressed: next.rsv1, payload: Buffer.alloc(0) };
    present.payload = Buffer.concat([present.payload, bytes.subarray(start, at)]);
    if (!next.fin) continue;
    messages.push(present);
    present = undefined;
  }
  return messages;
}
