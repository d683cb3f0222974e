/** Reading and writing the header of a frame, RFC 6455 §5.2. */
import { CloseCode, MAX_CONTROL_PAYLOAD_BYTES } from "./close.ts";
import { ProtocolError } from "./errors.ts";
import { isControl, isKnownOpcode, type Opcode } from "./opcode.ts";

/** The header of a frame from a client. */
export interface FrameHeader {
  readonly fin: boolean;
  /**
   * RSV1 marks a compressed message (RFC 7692 §6). Whether permessage-deflate was agreed on is for `ServerProtocol` to
   * check; RSV2 and RSV3 belong to no extension that the server speaks, so `decodeHeader` refuses them.
   */
  readonly rsv1: boolean;
  readonly opcode: Opcode;
  readonly payloadLength: number;
  /** The four octets as one signed 32-bit number whose lowest eight bits are the first octet. */
  readonly maskingKey: number;
  /** The length of the header itself, without the payload. */
  readonly byteLength: number;
}

/** The length of the longest header of a server's frame: two bytes and a 64-bit payload length. */
export const MAX_SERVER_HEADER_BYTES = 10;

/**
 * The bit of the first byte that marks a compressed message, RFC 7692 §6. `encodeHeader` takes it together with an
 * opcode.
 */
export const RSV1 = 0x40;

/** The values of the 7-bit length that announce a 16-bit or a 64-bit length behind it. */
const LENGTH_16 = 126;
const LENGTH_64 = 127;

/** The length of a client's header without a 16-bit or 64-bit length: two bytes and the masking key. */
export const SHORT_HEADER_BYTES = 6;
/** The longest payload behind such a header. */
export const MAX_SHORT_BYTES = 125;

function fault(message: string): never {
  throw new ProtocolError(CloseCode.PROTOCOL_ERROR, message);
}

/**
 * Reads the header of a client's frame at `start`, from bytes that count up to before `end`. Gives `undefined` when a
 * part of the header is still to come. The first two bytes are checked as soon as both are there, so that a header that
 * they prove wrong is refused without waiting for its rest.
 *
 * @throws ProtocolError 1002 when the header breaks a rule of §5 (§5.2: a length MUST use the minimal number of
 * bytes), 1009 for a length of 2^53 and more
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
    // §5.5
    if (!fin) fault("Control frames must not be fragmented");
    if (length7 > MAX_CONTROL_PAYLOAD_BYTES) fault("Control frames carry at most 125 bytes");
  }

  const byteLength = 2 + extendedLengthBytes(length7) + 4;
  if (end - start < byteLength) return undefined;

  const payloadLength = decodeLength(bytes, start + 2, length7);
  const keyStart = start + byteLength - 4;
  const maskingKey = bytes[keyStart] | bytes[keyStart + 1] << 8 | bytes[keyStart + 2] << 16 | bytes[keyStart + 3] << 24;
  return { fin, rsv1: (first & 0x40) !== 0, opcode, payloadLength, maskingKey, byteLength };
}

/** The header of a server's frame, which is never masked (§5.1). */
export interface ServerFrameHeader {
  readonly opcode: number;
  readonly payloadLength: number;
  /** The length of the header itself, without the payload. */
  readonly byteLength: number;
}

/**
 * Reads the header of a server's frame at `start`, for the client of `app.inject`. Gives `undefined` when a part of the
 * header is still to come. The bytes must come from `encodeHeader`: FIN, the RSV bits and the mask bit are not looked
 * at.
 *
 * @throws ProtocolError 1002 when the length does not use the minimal number of bytes, 1009 for a length of 2^53 and
 * more
 */
export function decodeServerHeader(bytes: Uint8Array, start: number): ServerFrameHeader | undefined {
  if (bytes.length - start < 2) return undefined;
  const length7 = bytes[start + 1];
  const byteLength = 2 + extendedLengthBytes(length7);
  if (bytes.length - start < byteLength) return undefined;
  return { opcode: bytes[start] & 0x0f, payloadLength: decodeLength(bytes, start + 2, length7), byteLength };
}

/** How many bytes of a 16-bit or 64-bit length follow the 7-bit length. */
function extendedLengthBytes(length7: number): 0 | 2 | 8 {
  return length7 < LENGTH_16 ? 0 : length7 === LENGTH_16 ? 2 : 8;
}

/** The length of the payload. Its 16-bit or 64-bit form, if `length7` announces one, stands at `at`. */
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
  // Bit operations work on 32 bits, so the length is read as two unsigned halves.
  const high = (bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3]) >>> 0;
  const low = (bytes[at + 4] << 24 | bytes[at + 5] << 16 | bytes[at + 6] << 8 | bytes[at + 7]) >>> 0;
  if (high >= 0x80000000) fault("The most significant bit of a 64-bit length must be 0");
  // From 2^53 on a number is no longer exact. No limit allows such a message anyway.
  if (high >= 0x200000) throw new ProtocolError(CloseCode.MESSAGE_TOO_BIG, "The frame is longer than 2^53 bytes");
  const length = high * 0x100000000 + low;
  if (length < 0x10000) fault(`A payload of ${length} bytes must use a shorter length`);
  return length;
}

/** The length of the header of a server's frame with a payload of this length. */
export function headerBytes(payloadLength: number): number {
  return payloadLength < LENGTH_16 ? 2 : payloadLength < 0x10000 ? 4 : MAX_SERVER_HEADER_BYTES;
}

/**
 * Writes the header of an unmasked, unfragmented frame into `target` at `at`.
 *
 * @param opcode an opcode, ORed with `RSV1` when the message is compressed
 * @returns the position behind the header
 */
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
