/**
 * A fault of the peer. It may be thrown anywhere in the protocol and becomes a Close frame in one place,
 * `Connection.fail`.
 */
export class ProtocolError extends Error {
  override readonly name: string = "ProtocolError";
  /** The close code that is sent to the peer, RFC 6455 §7.4.1. */
  readonly closeCode: number;

  constructor(closeCode: number, message: string) {
    super(message);
    this.closeCode = closeCode;
  }
}

/** An opening handshake that is refused, with the HTTP status that says why. */
export class HandshakeError extends Error {
  override readonly name: string = "HandshakeError";
  /** The HTTP status of the refusal. */
  readonly status: number;
  /** Headers that belong to the refusal, such as `Sec-WebSocket-Version`. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}
