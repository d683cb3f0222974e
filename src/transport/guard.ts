import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { Deadlines } from "./deadlines.ts";
import { destroyAfterWrites, writeRefusal } from "./upgrade.ts";

/** Node stops counting headers here, and Deno hands out a request without the rest: what they said is not known. */
const MAX_HEADERS = 1_000;

/**
 * Stands at the door, before any request is understood: each TCP connection gets an `error` listener in its first moment, and a deadline by
 * which it must have said what it wants.
 */
export class Guard {
  readonly #handshakes: Deadlines<RawSocket>;
  /** How many requests of a connection are being answered: a client may send several at once. */
  readonly #answering = new WeakMap<RawSocket, number>();

  constructor(handshakeTimeoutMs: number) {
    this.#handshakes = new Deadlines(handshakeTimeoutMs, (raw) => {
      writeRefusal(raw, 408, `The handshake was not complete after ${handshakeTimeoutMs} ms`);
      destroyAfterWrites(raw);
    });
  }

  /** Watches all connections of a server that is ours alone. */
  protect(server: Server): void {
    server.on("connection", (raw: RawSocket) => this.watch(raw));
    server.on("secureConnection", (raw: RawSocket) => this.#takeOver(raw));
    server.on("request", (_request: IncomingMessage, response: ServerResponse) => this.#awaitNext(response));
    server.on("clientError", (error: NodeJS.ErrnoException, raw: RawSocket) => refuseGarbage(error, raw));
  }

  /** Watches one connection. */
  watch(raw: RawSocket): void {
    raw.on("error", ignore);
    raw.once("close", () => this.#handshakes.delete(raw));
    this.#handshakes.add(raw);
  }

  /** The handshake on this connection has succeeded: it has no deadline any more. */
  pass(raw: RawSocket): void {
    this.#handshakes.delete(raw);
  }

  /** Stops the clock. */
  stop(): void {
    this.#handshakes.clear();
  }

  /** TLS has begun on a connection: its deadline goes on, but for the socket that stands for it from here on. */
  #takeOver(secure: RawSocket): void {
    // Nothing but the peer's port connects the two on all runtimes.
    for (const raw of this.#handshakes) {
      if (raw.remotePort === secure.remotePort && raw.remoteAddress === secure.remoteAddress) {
        this.#handshakes.delete(raw);
      }
    }
    this.watch(secure);
  }

  /** While requests are answered the time is ours; after the last of them the client has as long again to send the next. */
  #awaitNext(response: ServerResponse): void {
    const raw = response.req.socket;
    this.#handshakes.delete(raw);
    this.#answering.set(raw, (this.#answering.get(raw) ?? 0) + 1);
    response.once("close", () => {
      const left = this.#answering.get(raw)! - 1;
      this.#answering.set(raw, left);
      if (left === 0 && !raw.destroyed) this.#handshakes.add(raw);
    });
  }
}

/** Whether a request may have had more headers than it shows. */
export function hasTooManyHeaders(request: IncomingMessage): boolean {
  return request.rawHeaders.length >= 2 * MAX_HEADERS;
}

/** A reset or a broken connection is not news: the `close` that follows says all there is. */
function ignore(): void {}

/** Answers what the HTTP parser has refused. */
function refuseGarbage(error: NodeJS.ErrnoException, raw: RawSocket): void {
  if (error.code === "ECONNRESET" || !raw.writable) return void raw.destroy();
  if (error.code === "HPE_HEADER_OVERFLOW") return writeRefusal(raw, 431, "The request headers are too large");
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") return writeRefusal(raw, 408, "The request took too long");
  writeRefusal(raw, 400, "This is not a valid HTTP request");
}
