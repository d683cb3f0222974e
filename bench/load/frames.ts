/** The bytes of the load: client frames built beforehand, and a reader for the frames that come back. */
import { randomBytes } from "node:crypto";
import type { Cell, Payload } from "../cells.ts";

const OPCODE = { text: 0x1, binary: 0x2, close: 0x8 };

/** Messages in flight together: what is written, and how many bytes must come back for it. */
export interface Batch {
  payloads: Buffer[];
  isBinary: boolean;
  request: Buffer;
  replyBytes: number;
}

const people = ["Zoë", "Łukasz", "María", "Søren", "Ольга", "美咲", "지우", "Ada 🛰️"];

/** A chat's answer to "what did I miss": about one character in six is not ASCII. */
function jsonText(bytes: number): Buffer {
  const messages: { from: string; text: string; at: number }[] = [];
  const render = (fill: string): Buffer => Buffer.from(JSON.stringify({ type: "history", messages, fill }));
  while (render("").length < bytes - 160) {
    const from = people[messages.length % people.length];
    messages.push({ from, text: `Grüße an ${from}, à bientôt, 再见 and see you`, at: 1_700_000_000 + messages.length });
  }
  return render("x".repeat(bytes - render("").length));
}

function payloadOf(kind: Payload, bytes: number): Buffer {
  if (kind === "json") return jsonText(bytes);
  const payload = randomBytes(bytes);
  // Letters, digits and spaces: 0x20 to 0x7e.
  if (kind === "text") {
    for (let index = 0; index < bytes; index += 1) {
      payload[index] = 0x20 + (payload[index] % 0x5f);
    }
  }
  return payload;
}

function header(opcode: number, payloadLength: number, masked: boolean): Buffer {
  const flag = masked ? 0x80 : 0;
  if (payloadLength < 126) return Buffer.from([0x80 | opcode, flag | payloadLength]);
  const bytes = Buffer.alloc(payloadLength < 65_536 ? 4 : 10);
  bytes[0] = 0x80 | opcode;
  bytes[1] = flag | (bytes.length === 4 ? 126 : 127);
  if (bytes.length === 4) bytes.writeUInt16BE(payloadLength, 2);
  else bytes.writeBigUInt64BE(BigInt(payloadLength), 2);
  return bytes;
}

export function maskedFrame(opcode: number, payload: Uint8Array): Buffer {
  const maskingKey = randomBytes(4);
  const masked = Buffer.from(payload);
  for (let index = 0; index < masked.length; index += 1) masked[index] ^= maskingKey[index & 3];
  return Buffer.concat([header(opcode, payload.length, true), maskingKey, masked]);
}

export function closeFrame(): Buffer {
  return maskedFrame(OPCODE.close, Buffer.from([0x03, 0xe8]));
}

export function isCloseFrame(bytes: Uint8Array): boolean {
  return bytes[0] === (0x80 | OPCODE.close);
}

export function buildBatch(cell: Cell, raw: boolean): Batch {
  const isBinary = cell.payload === "binary";
  const opcode = isBinary ? OPCODE.binary : OPCODE.text;
  const payloads = Array.from({ length: cell.inFlight }, () => payloadOf(cell.payload, cell.payloadBytes));
  const request = Buffer.concat(payloads.map((payload) => maskedFrame(opcode, payload)));
  const framedBytes = payloads.reduce((sum, { length }) => sum + header(opcode, length, false).length + length, 0);
  return { payloads, isBinary, request, replyBytes: raw ? request.length : framedBytes };
}

/** Compares a whole reply with what was sent, byte for byte, headers included; throws with what is wrong. */
export function verifyReply(batch: Batch, reply: Buffer, raw: boolean): void {
  const opcode = batch.isBinary ? OPCODE.binary : OPCODE.text;
  const expected = raw
    ? batch.request
    : Buffer.concat(batch.payloads.flatMap((payload) => [header(opcode, payload.length, false), payload]));
  if (expected.equals(reply)) return;
  const difference = expected.findIndex((byte, index) => byte !== reply[index]);
  throw new Error(`the reply differs from what was sent at byte ${difference} of ${expected.length}`);
}
