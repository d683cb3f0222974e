import { CloseCode, MAX_CONTROL_PAYLOAD_BYTES } from "./close.ts";
import { ProtocolError } from "./errors.ts";
import { isControl, isKnownOpcode, type Opcode } from "./opcode.ts";

/** The header of a frame from a client, RFC 6455 §5.2. */
export interface FrameHeader {
  readonly fin: boolean;
  /** The only extension bit that an extension of ours may use; RSV2 and RSV3 are always faults. */
  readonly rsv1: boolean;
  readonly opcode: Opcode;
  readonly payloadLength: number;
  /** The four octets as one 32-bit number, the first octet lowest. */
  readonly maskingKey: number;
  /** How many bytes the header itself took. */
  readonly byteLength: number;
}

/** The longest header of a server's frame: two bytes and a 64-bit length (§5.2). */
export const MAX_SERVER_HEADER_BYTES = 10;

/** The bit of the first byte that says that a message is compressed, RFC 7692 §6. It is added to an opcode. */
export const RSV1 = 0x40;

/** Values of the seven-bit length that announce a longer one. */
const LENGTH_16 = 126;
const LENGTH_64 = 127;

function fault(message: string): never {
  throw new ProtocolError(CloseCode.PROTOCOL_ERROR, message);
}

/**
 * Reads a header at `start`, or gives `undefined` when not all of it is there yet. What the first two bytes prove
 * wrong by themselves is refused before more is waited for, so that a hostile frame costs no memory.
 *
 * Lengths must be minimal: §5.2 says that the minimal number of bytes MUST be used.
 *
 * @throws ProtocolError 1002 when a rule of §5 is broken, 1009 for a length of 2^53 and more
 */
export function decodeHeader(bytes: Uint8Array, start = 0, end: number = bytes.length): FrameHeader | undefined {
  if (end - start < 2) return undefined;
  const first = bytes[start];
  const second = bytes[start + 1];
  const opcode = first & 0x0f;
  const fin = first >= 0x80;
  const length7 = second & 0x7f;

  if ((first & 0x30) !== 0) fault("RSV2 and RSV3 must be 0");
  if (!isKnownOpcode(opcode)) fault(`Opcode 0x${(opcode as number).toString(16)} is reserved`);
  if (second < 0x80) fault("Frames from a client must be masked"); // §5.1
  if (isControl(opcode)) {
    // §5.5: control frames carry at most 125 bytes and are never fragmented.
    if (!fin) fault("Control frames must not be fragmented");
    if (length7 > MAX_CONTROL_PAYLOAD_BYTES) fault("Control frames carry at most 125 bytes");
  }

  const byteLength = 2 + extendedLengthBytes(length7) + 4;
  if (end - start < byteLength) return undefined;

  const payloadLength = decodeLength(bytes, start + 2, length7);
  const key = start + byteLength - 4;
  const maskingKey = bytes[key] | bytes[key + 1] << 8 | bytes[key + 2] << 16 | bytes[key + 3] << 24;
  return { fin, rsv1: (first & 0x40) !== 0, opcode, payloadLength, maskingKey, byteLength };
}

/** The header of an unmasked frame, as servers send it. */
export interface ServerFrameHeader {
  readonly opcode: number;
  readonly payloadLength: number;
  readonly byteLength: number;
}

/**
 * Reads the header of a server's frame at `start`, for the client of `app.inject`. Gives `undefined` when not all of
 * the header is there yet.
 */
export function decodeServerHeader(bytes: Uint8Array, start: number): ServerFrameHeader | undefined {
  if (bytes.length - start < 2) return undefined;
  const length7 = bytes[start + 1];
  const byteLength = 2 + extendedLengthBytes(length7);
  if (bytes.length - start < byteLength) return undefined;
  return { opcode: bytes[start] & 0x0f, payloadLength: decodeLength(bytes, start + 2, length7), byteLength };
}

/** How many bytes of a longer length follow the seven-bit one. */
function extendedLengthBytes(length7: number): 0 | 2 | 8 {
  return length7 < LENGTH_16 ? 0 : length7 === LENGTH_16 ? 2 : 8;
}

/** The length of a payload, whose extended part, if there is one, begins at `at`. */
function decodeLength(bytes: Uint8Array, at: number, length7: number): number {
  if (length7 < LENGTH_16) return length7;
  return length7 === LENGTH_16 ? decodeLength16(bytes, at) : decodeLength64(bytes, at);
}

function decodeLength16(bytes: Uint8Array, at: number): number {
  const length = bytes[at] << 8 | bytes[at + 1];
  if (length < LENGTH_16) fault(`A payload of ${length} bytes must use the 7-bit length`);
  return length;
}

function decodeLength64(bytes: Uint8Array, at: number): number {
  // Two unsigned halves: a bit operation over all 64 would lose the upper ones.
  const high = (bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3]) >>> 0;
  const low = (bytes[at + 4] << 24 | bytes[at + 5] << 16 | bytes[at + 6] << 8 | bytes[at + 7]) >>> 0;
  if (high >= 0x80000000) fault("The most significant bit of a 64-bit length must be 0");
  // Above 2^53 a number is no longer exact; no limit allows such a message anyway.
  if (high >= 0x200000) throw new ProtocolError(CloseCode.MESSAGE_TOO_BIG, "The frame is longer than 2^53 bytes");
  const length = high * 0x100000000 + low;
  if (length < 0x10000) fault(`A payload of ${length} bytes must use a shorter length`);
  return length;
}

/** How many bytes the header of a server's frame takes. */
export function headerBytes(payloadLength: number): number {
  return payloadLength < LENGTH_16 ? 2 : payloadLength < 0x10000 ? 4 : MAX_SERVER_HEADER_BYTES;
}

/** Writes the header of an unmasked, unfragmented frame at `at` and gives the position behind it. `RSV1` may be added to the opcode. */
export function encodeHeader(
  target: Uint8Array,
  at: number,
  opcode: number,
  payloadLength: number,
): number {
  target[at] = 0x80 | opcode;
  if (payloadLength < LENGTH_16) {
    target[at + 1] = payloadLength;
    return at + 2;
  }
  if (payloadLength < 0x10000) {
    target[at + 1] = LENGTH_16;
    target[at + 2] = payloadLength >> 8;
    target[at + 3] = payloadLength & 0xff;
    return at + 4;
  }
  target[at + 1] = LENGTH_64;
  let rest = payloadLength;
  for (let i = at + 9; i >= at + 2; i--) {
    target[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return at + MAX_SERVER_HEADER_BYTES;
}
