/** Close codes, and the payload of a Close frame, RFC 6455 §5.5.1 and §7.4. */
import { ProtocolError } from "./errors.ts";

/** The close codes that the engine itself uses, RFC 6455 §7.4.1. */
export const CloseCode = {
  NORMAL: 1000,
  GOING_AWAY: 1001,
  PROTOCOL_ERROR: 1002,
  /** Never sent in a frame: reports that the peer's Close frame carried no code. */
  NO_STATUS: 1005,
  /** Never sent in a frame: reports that the connection ended without a Close frame. */
  ABNORMAL: 1006,
  INVALID_PAYLOAD: 1007,
  POLICY_VIOLATION: 1008,
  MESSAGE_TOO_BIG: 1009,
  INTERNAL_ERROR: 1011,
  TRY_AGAIN_LATER: 1013,
} as const;

/** The longest payload of a control frame, §5.5. */
export const MAX_CONTROL_PAYLOAD_BYTES = 125;

/** The longest close reason in UTF-8 bytes: the payload of a Close frame without the two bytes of its code. */
export const MAX_REASON_BYTES: number = MAX_CONTROL_PAYLOAD_BYTES - 2;

/** The code and the reason of a Close frame. The code is 1005 and the reason is empty when the frame had no payload. */
export interface CloseStatus {
  readonly code: number;
  readonly reason: string;
}

/**
 * True for the codes that may stand in a Close frame: 1000–1003 and 1007–1014 are registered (§7.4.1 and IANA),
 * 3000–4999 belong to libraries and applications (§7.4.2). The codes 1004, 1005, 1006 and 1015 are reserved and must
 * never be sent.
 */
export function isValidCloseCode(code: number): boolean {
  return (code >= 3000 && code <= 4999) || (code >= 1007 && code <= 1014) || (code >= 1000 && code <= 1003);
}

/**
 * Reads the payload of a Close frame (§5.5.1).
 *
 * @param decodeUtf8 decodes the reason, and gives `undefined` when the bytes are not valid UTF-8
 * @throws ProtocolError 1002 for a payload of one byte or a code that must not be sent, 1007 for a reason that is not
 * valid UTF-8
 */
export function decodeClose(payload: Uint8Array, decodeUtf8: (bytes: Uint8Array) => string | undefined): CloseStatus {
  if (payload.length === 0) return { code: CloseCode.NO_STATUS, reason: "" };
  if (payload.length === 1) {
    throw new ProtocolError(CloseCode.PROTOCOL_ERROR, "A Close body has a two-byte code or nothing; got one byte");
  }
  const code = payload[0] << 8 | payload[1];
  if (!isValidCloseCode(code)) {
    throw new ProtocolError(CloseCode.PROTOCOL_ERROR, `Close code ${code} must not be sent`);
  }
  const reason = decodeUtf8(payload.subarray(2));
  if (reason === undefined) throw new ProtocolError(CloseCode.INVALID_PAYLOAD, "The close reason is not valid UTF-8");
  return { code, reason };
}

/**
 * Writes the payload of a Close frame (§5.5.1). The code 1005 gives an empty payload.
 *
 * @param reason at most `MAX_REASON_BYTES` bytes of UTF-8
 */
export function encodeClose(code: number, reason: Uint8Array): Uint8Array {
  if (code === CloseCode.NO_STATUS) return new Uint8Array(0);
  const payload = new Uint8Array(2 + reason.length);
  payload[0] = code >> 8;
  payload[1] = code & 0xff;
  payload.set(reason, 2);
  return payload;
}
