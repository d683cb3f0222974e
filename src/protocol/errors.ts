/** The two faults of a peer: one in the frames of a connection, one in the opening handshake. */

/**
 * A violation of the protocol by the peer. All code of the protocol may throw this error; only `ServerProtocol.fail`
 * makes a Close frame of it (RFC 6455 §7.1.7).
 */
export class ProtocolError extends Error {
  override readonly name: string = "ProtocolError";
  /** The code of the Close frame that tells the peer why the connection fails, RFC 6455 §7.4.1. */
  readonly closeCode: number;

  constructor(closeCode: number, message: string) {
    super(message);
    this.closeCode = closeCode;
  }
}

/** An opening handshake that the server refuses with an HTTP response instead of a 101, RFC 6455 §4.2. */
export class HandshakeError extends Error {
  override readonly name: string = "HandshakeError";
  /** The HTTP status of the response. */
  readonly status: number;
  /** Headers of the response, such as `Sec-WebSocket-Version` with the version that the server speaks. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}
