import { ProtocolError } from "./errors.ts";

/** The close codes that the engine itself uses, RFC 6455 §7.4.1. */
export const CloseCode = {
  NORMAL: 1000,
  GOING_AWAY: 1001,
  PROTOCOL_ERROR: 1002,
  /** Never on the wire: the peer's Close frame carried no code. */
  NO_STATUS: 1005,
  /** Never on the wire: the connection ended without a Close frame. */
  ABNORMAL: 1006,
  INVALID_PAYLOAD: 1007,
  POLICY_VIOLATION: 1008,
  MESSAGE_TOO_BIG: 1009,
  INTERNAL_ERROR: 1011,
  TRY_AGAIN_LATER: 1013,
} as const;

/** §5.5: control frames carry at most 125 bytes; two of them are the code of a Close frame. */
export const MAX_CONTROL_PAYLOAD_BYTES = 125;
export const MAX_REASON_BYTES: number = MAX_CONTROL_PAYLOAD_BYTES - 2;

/** The code and reason of a Close frame; `1005` where the frame was empty. */
export interface CloseStatus {
  readonly code: number;
  readonly reason: string;
}

/**
 * Whether a code may stand in a Close frame: 1000–1003 and 1007–1014 are registered (§7.4.1 and IANA), 3000–4999 belong to
 * libraries and applications (§7.4.2). 1004, 1005, 1006 and 1015 are reserved and must never be sent.
 */
export function isValidCloseCode(code: number): boolean {
  return (code >= 3000 && code <= 4999) || (code >= 1007 && code <= 1014) || (code >= 1000 && code <= 1003);
}

/**
 * Reads the body of a Close frame (§5.5.1).
 *
 * @throws ProtocolError 1002 for a body of one byte or a code that must not be sent, 1007 for a reason that is not UTF-8
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

/** Writes the body of a Close frame. The reason is given as UTF-8 bytes of at most 123; 1005 gives the empty body. */
export function encodeClose(code: number, reason: Uint8Array): Uint8Array {
  if (code === CloseCode.NO_STATUS) return new Uint8Array(0);
  const payload = new Uint8Array(2 + reason.length);
  payload[0] = code >> 8;
  payload[1] = code & 0xff;
  payload.set(reason, 2);
  return payload;
}
