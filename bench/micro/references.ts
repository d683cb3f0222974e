/** The plain ways to do what the protocol does, as a reader of RFC 6455 would write them down first. */
import { Buffer } from "node:buffer";
import { createRequire } from "node:module";

export interface PlainHeader {
  fin: boolean;
  rsv1: boolean;
  opcode: number;
  payloadLength: number;
  maskingKey: number;
  byteLength: number;
}

export function decodePlainly(view: DataView, at = 0): PlainHeader {
  const length7 = view.getUint8(at + 1) & 0x7f;
  const lengthBytes = length7 < 126 ? 0 : length7 === 126 ? 2 : 8;
  const payloadLength = lengthBytes === 0
    ? length7
    : lengthBytes === 2
    ? view.getUint16(at + 2)
    : Number(view.getBigUint64(at + 2));
  return {
    fin: (view.getUint8(at) & 0x80) !== 0,
    rsv1: (view.getUint8(at) & 0x40) !== 0,
    opcode: view.getUint8(at) & 0x0f,
    payloadLength,
    maskingKey: view.getUint32(at + 2 + lengthBytes, true),
    byteLength: 6 + lengthBytes,
  };
}

export function encodePlainly(view: DataView, payloadLength: number): number {
  view.setUint8(0, 0x82);
  if (payloadLength < 126) {
    view.setUint8(1, payloadLength);
    return 2;
  }
  view.setUint8(1, payloadLength < 65_536 ? 126 : 127);
  if (payloadLength < 65_536) {
    view.setUint16(2, payloadLength);
    return 4;
  }
  view.setBigUint64(2, BigInt(payloadLength));
  return 10;
}

/** A masking key as the protocol has it, and its octets in the order of a frame. */
export const KEY = 0x7a3c91e5;
export const keyBytes: Uint8Array = Buffer.from([0xe5, 0x91, 0x3c, 0x7a]);

const addon = createRequire(import.meta.url)("bufferutil") as { unmask(bytes: Uint8Array, key: Uint8Array): void };

/**
 * Unmasks with the native add-on of `ws`: a loop in JavaScript takes six times as long in one process as in another,
 * because V8 compiles it in two ways.
 */
export function unmaskPlainly(payload: Uint8Array, maskingKey: Uint8Array): void {
  addon.unmask(payload, maskingKey);
}

/** Reads the frames of a chunk; a text is decoded. */
export function readPlainly(chunk: Buffer, onMessage: (message: Uint8Array | string) => void): void {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  for (let at = 0; at < chunk.length;) {
    const { opcode, byteLength, payloadLength } = decodePlainly(view, at);
    const payload = chunk.subarray(at + byteLength, at + byteLength + payloadLength);
    unmaskPlainly(payload, chunk.subarray(at + byteLength - 4, at + byteLength));
    onMessage(opcode === 0x1 ? payload.toString() : payload);
    at += byteLength + payloadLength;
  }
}
