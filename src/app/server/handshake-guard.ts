import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket as RawSocket } from "node:net";
import type { HandshakeClaims } from "../../transport/handshake-attempt.ts";
import { destroyAfterWrites, writeRefusal } from "../../transport/handshake-response.ts";
import { Deadlines } from "../../transport/timers/deadlines.ts";
import { EarlyBytes } from "./early-bytes.ts";
import { PendingResponses } from "./pending-responses.ts";

/**
 * Guards the connections of one way in, `listen` or `attach`, before any request is understood: each TCP connection
 * gets an `error` listener in its first moment, and a deadline for its first request, its TLS handshake included.
 */
export class HandshakeGuard implements HandshakeClaims {
  readonly #handshakes: Deadlines<RawSocket>;
  readonly #earlyBytes: EarlyBytes;
  readonly #pendingResponses = new PendingResponses();
  /**
   * TCP sockets on which TLS has still to begin, by the peer's address: on all three runtimes, nothing else connects a
   * TLS socket with the TCP socket below it.
   */
  readonly #belowTls = new Map<string, RawSocket>();
  /** The connections whose handshakes may get a response from other listeners too, as they were when those came. */
  readonly #arrivals = new WeakMap<RawSocket, Arrival>();
  #isClosing = false;
  /** How many connections sent no whole request in time, or got no response to their handshake in time. */
  timeouts = 0;

  /** This listener and the next one serve all connections, so that a connection needs no functions of its own. */
  readonly #onClose: (this: RawSocket) => void;
  readonly #onEnd: (this: RawSocket) => void;

  constructor(handshakeTimeoutMs: number) {
    const forget = (raw: RawSocket): void => this.#handshakes.delete(raw);
    this.#onClose = function (): void {
      forget(this);
    };
    const onEnded = (raw: RawSocket): void => this.#boundResponse(raw);
    this.#onEnd = function (): void {
      onEnded(this);
    };
    this.#handshakes = new Deadlines(handshakeTimeoutMs, (raw) => {
      if (!this.claim(raw)) return;
      // A refusal would land in the middle of the response that the client does not read.
      if (this.hasPendingResponse(raw)) return void raw.destroy();
      // A connection that has had a response is only idle, and one that was refused only does not end.
      if (raw.writable && !this.#pendingResponses.isIdle(raw)) this.timeouts++;
      this.#refuse(raw, 408, `The handshake was not complete after ${handshakeTimeoutMs} ms`);
      if (!raw.destroyed) destroyAfterWrites(raw);
    });
    this.#earlyBytes = new EarlyBytes(this.#handshakes);
  }

  /**
   * Watches all connections of a server that belongs to this app alone. The `connection` events of a TLS server give
   * the TCP sockets below TLS.
   */
  protect(server: Server, isTls: boolean): void {
    server.on("connection", (raw: RawSocket) => isTls ? this.watchBelowTls(raw) : this.watch(raw));
    server.on("secureConnection", (raw: RawSocket) => this.watch(raw));
    server.on("request", (_request: IncomingMessage, response: ServerResponse) => this.#onRequest(response));
    server.on("clientError", (error: NodeJS.ErrnoException, raw: RawSocket) => {
      refuseGarbage(error, raw);
      this.#boundResponse(raw);
    });
  }

  /** Watches one connection. A TLS socket takes the place of the TCP socket below it, which was watched until now. */
  watch(raw: RawSocket): void {
    if (this.#belowTls.size > 0) this.#takeOver(peerOf(raw));
    raw.on("error", ignore);
    raw.on("close", this.#onClose);
    raw.on("end", this.#onEnd);
    this.#expect(raw);
  }

  /**
   * Watches the stream that a server of this app hands out for a handshake. Node 26 makes a stream of its own over the
   * watched connection when the handshake has a body; each of the two reports a reset.
   */
  watchUpgrade(message: IncomingMessage, raw: RawSocket): void {
    if (raw === message.socket) return;
    raw.on("error", ignore);
    message.on("error", ignore);
  }

  /**
   * Notes the state of a connection when a handshake came in by somebody else's server. Has to be called before any
   * other listener of that server can respond to the handshake.
   */
  noteHandshake({ socket }: IncomingMessage, raw: RawSocket): void {
    if (this.#arrivals.has(raw)) return;
    raw.on("error", ignore);
    // While an earlier response is not complete, the bytes that are written may be those of this response.
    const bytesWritten = this.hasPendingResponse(socket) ? Infinity : bytesWrittenTo(socket);
    this.#arrivals.set(raw, { socket, bytesWritten, readers: readersOf(raw) });
  }

  /** Counts a request of somebody else's server until the response to the request is complete. */
  noteRequest(response: ServerResponse): void {
    this.#pendingResponses.count(response);
  }

  /** Tells whether another listener has responded to the handshake: something was written since `noteHandshake`. */
  isTakenByOther(raw: RawSocket): boolean {
    const arrival = this.#arrivals.get(raw);
    return arrival !== undefined && bytesWrittenTo(arrival.socket) > arrival.bytesWritten;
  }

  /**
   * Tells whether another listener has responded to the handshake, or otherwise does something with the connection: has
   * begun to read from it, as a proxy does before its target responds, or has ended it.
   */
  isInOtherHands(raw: RawSocket): boolean {
    if (raw.destroyed || !raw.writable || this.isTakenByOther(raw)) return true;
    const arrival = this.#arrivals.get(raw);
    return arrival !== undefined && readersOf(raw) > arrival.readers;
  }

  /**
   * Reserves the response to a handshake for this app.
   *
   * @returns false when another listener has responded. The connection then belongs to that listener, and has no
   * deadline here
   */
  claim(raw: RawSocket): boolean {
    if (this.isTakenByOther(raw)) {
      this.unwatch(raw);
      return false;
    }
    this.#arrivals.delete(raw);
    return true;
  }

  /** Watches a connection on which TLS has still to begin. */
  watchBelowTls(raw: RawSocket): void {
    const peer = peerOf(raw);
    this.watch(raw);
    this.#belowTls.set(peer, raw);
    raw.once("close", () => this.#belowTls.get(peer) === raw && this.#belowTls.delete(peer));
  }

  /** Ends the watch over a connection, because its handshake is done. */
  unwatch(raw: RawSocket): void {
    this.#handshakes.delete(raw);
    raw.off("close", this.#onClose);
    raw.off("end", this.#onEnd);
  }

  /** Tells whether a request on this connection has no complete response yet. */
  hasPendingResponse(raw: RawSocket): boolean {
    return this.#pendingResponses.has(raw);
  }

  /**
   * Closes idle connections, and each other one when the last of its responses is complete, because the server is going
   * away. A connection whose first request or whose handshake is awaited is refused with 503.
   */
  close(): void {
    this.#isClosing = true;
    for (const raw of this.#handshakes) {
      // A client that has ended its side still gets its response.
      if (this.hasPendingResponse(raw) || !raw.writable || !this.claim(raw)) continue;
      if (this.#pendingResponses.isIdle(raw)) destroyAfterWrites(raw);
      else this.#refuse(raw, 503, "The server is going away");
    }
  }

  /** Cuts all connections that are still watched. */
  terminateAll(): void {
    for (const raw of this.#handshakes) if (this.claim(raw)) raw.destroy();
  }

  /** Cuts connections in the middle of a response, see {@link PendingResponses.terminateBegun}. */
  terminateResponses(): boolean {
    return this.#pendingResponses.terminateBegun();
  }

  /** Stops all timers. */
  stop(): void {
    this.#handshakes.clear();
    this.#earlyBytes.stop();
  }

  /** Sets the deadline by which a connection has to send a whole request. */
  #expect(raw: RawSocket): void {
    this.#handshakes.add(raw);
    this.#earlyBytes.watch(raw);
  }

  /**
   * Refuses a connection in HTTP. A connection on which TLS has not begun is cut, because its client could not read the
   * response.
   */
  #refuse(raw: RawSocket, status: number, message: string): void {
    if (this.#belowTls.get(peerOf(raw)) === raw) raw.destroy();
    else writeRefusal(raw, status, message);
  }

  /** Ends the deadline of the TCP socket below a TLS socket. */
  #takeOver(peer: string): void {
    const below = this.#belowTls.get(peer);
    if (below === undefined) return;
    this.#belowTls.delete(peer);
    this.#handshakes.delete(below);
  }

  /**
   * Bounds how long a client that has ended its side may take to read a response. The client sends no further request,
   * so a client that does not read would otherwise keep the connection and the response for as long as it likes.
   */
  #boundResponse(raw: RawSocket): void {
    if (this.hasPendingResponse(raw) && !raw.destroyed) this.#handshakes.add(raw);
  }

  /**
   * The deadline of a connection stands still while the server works on a request. After the last response the client
   * has as long again to send the next request.
   */
  #onRequest(response: ServerResponse): void {
    response.on("error", ignore);
    response.req.on("error", ignore);
    this.#handshakes.delete(response.req.socket);
    this.#pendingResponses.bound(response, (raw) => {
      this.#expect(raw);
      // The response could have begun too early for a header `Connection: close`.
      if (this.#isClosing) raw.end();
    });
  }
}

/** The state of a connection before any listener could respond to its handshake. */
interface Arrival {
  /** The socket below the stream of the handshake; nearly always the stream itself. It counts the bytes of both. */
  readonly socket: RawSocket;
  /** The bytes that had been written. Infinite if bytes that are written later do not prove a response. */
  readonly bytesWritten: number;
  /** The number of listeners that read from the stream. */
  readonly readers: number;
}

/** A stream that is not a socket does not count its bytes. */
function bytesWrittenTo({ bytesWritten }: RawSocket): number {
  return bytesWritten ?? 0;
}

function readersOf(raw: RawSocket): number {
  return raw.listenerCount("data") + raw.listenerCount("readable");
}

function peerOf({ remoteAddress, remotePort }: RawSocket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** A listener for `error` events that need no report: after a reset, the `close` event that follows says enough. */
function ignore(): void {}

/** Refuses a request that the HTTP parser has not accepted. */
function refuseGarbage(error: NodeJS.ErrnoException, raw: RawSocket): void {
  if (error.code === "ECONNRESET" || !raw.writable) return void raw.destroy();
  if (error.code === "HPE_HEADER_OVERFLOW") return writeRefusal(raw, 431, "The request headers are too large");
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") return writeRefusal(raw, 408, "The request took too long");
  writeRefusal(raw, 400, "This is not a valid HTTP request");
}
