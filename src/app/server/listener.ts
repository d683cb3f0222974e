/** The app's own HTTP server. */
import type { Buffer } from "node:buffer";
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import {
  type AddressInfo,
  createServer as createNetServer,
  type Server as NetServer,
  type Socket as RawSocket,
} from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import { needsFrontServer } from "../../platform.ts";
import { asksForWebSocket, HandshakeAttempt } from "../../transport/handshake-attempt.ts";
import { entryOf, type Logger } from "../common/logger.ts";
import { show } from "../common/show.ts";
import { HandshakeGuard } from "./handshake-guard.ts";
import type { ListenOptions } from "./listen-options.ts";
import type { TlsOptions } from "./tls.ts";

/** The functions of an app that its server calls. */
export interface ListenerHandlers {
  onRequest(message: IncomingMessage, response: ServerResponse): void;
  onHandshake(attempt: HandshakeAttempt): void;
}

interface ListenerOptions {
  readonly tls: TlsOptions | undefined;
  readonly handshakeTimeoutMs: number;
  readonly logger: Logger;
}

const HTTP = {
  /** A header that came twice is joined. Node would otherwise drop the second one, such as a second Host header. */
  joinDuplicateHeaders: true,
  /**
   * An offer of another protocol, such as `Upgrade: h2c`, is ignored: the request is then a plain one. Node has the
   * option since 22.21 and 24.9.
   */
  shouldUpgradeCallback: asksForWebSocket,
};

/** An HTTP server that belongs to one app alone. A guard watches its connections from the first one on. */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #handlers: ListenerHandlers;
  #tls: TlsOptions | undefined;
  readonly #guard: HandshakeGuard;
  /** The server that speaks HTTP. */
  #http: Server | undefined;
  /** The server that accepts the connections: the same one, or a plain TCP or TLS server in front of it. */
  #front: NetServer | undefined;

  constructor(options: ListenerOptions, handlers: ListenerHandlers) {
    this.#options = options;
    this.#tls = options.tls;
    this.#handlers = handlers;
    this.#guard = new HandshakeGuard(options.handshakeTimeoutMs);
  }

  /**
   * Begins to listen, and resolves once the server listens.
   *
   * @throws Error that names the port, the path or the fd, when the server cannot listen there
   */
  async listen(options: ListenOptions): Promise<void> {
    const front = this.#front = this.#createServers(options);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    front.once("error", reject);
    try {
      front.listen({ ...options }, resolve);
      await promise;
    } catch (error) {
      throw explain(error as NodeJS.ErrnoException, options);
    }
    front.off("error", reject);
    // An error after that, such as too many open files, concerns one connection. The next connection may be accepted
    // again.
    front.on("error", (error) => {
      this.#options.logger.error(entryOf("SpaceNode: a connection could not be accepted", error));
    });
  }

  get isListening(): boolean {
    return this.#front?.listening === true;
  }

  /** How many connections did not send a whole request in time. */
  get handshakeTimeouts(): number {
    return this.#guard.timeouts;
  }

  /** The address at which the server listens. Undefined while it does not listen, and for a unix socket. */
  get address(): AddressInfo | undefined {
    const address = this.#front?.address();
    return typeof address === "object" && address !== null ? address : undefined;
  }

  /** The address to open in a browser. Empty while the server does not listen, and for a unix socket. */
  get url(): string {
    const { address } = this;
    if (address === undefined) return "";
    const isAny = address.address === "::" || address.address === "0.0.0.0";
    const host = isAny ? "localhost" : address.address.includes(":") ? `[${address.address}]` : address.address;
    return `${this.#tls === undefined ? "http" : "https"}://${host}:${address.port}`;
  }

  /**
   * Makes connections from now on get another certificate.
   *
   * @throws Error if the runtime cannot exchange the certificate of a server that listens
   */
  renewTls(tls: TlsOptions): void {
    const front = this.#front as Partial<TlsServer> | undefined;
    if (front !== undefined && typeof front.setSecureContext !== "function") {
      throw new Error(
        "This runtime cannot renew the certificate of a server that listens: start the app again instead",
      );
    }
    front?.setSecureContext?.(tls);
    this.#tls = tls;
  }

  /**
   * Accepts no new connections, refuses handshakes that have no response yet, and closes idle connections.
   *
   * @returns a promise that resolves once the last connection has ended
   */
  close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#front?.listening) this.#front.close(() => resolve());
    else resolve();
    this.#guard.close();
    return promise.then(() => this.#guard.stop());
  }

  /**
   * Cuts all connections, except WebSockets, which do not belong to the HTTP server any more, and except those on which
   * a response has not begun.
   *
   * @returns true if there was no exception
   */
  terminate(): boolean {
    this.#guard.terminateAll();
    return this.#guard.terminateResponses();
  }

  /** Cuts all connections except WebSockets. */
  terminateAll(): void {
    this.#http?.closeAllConnections();
    this.#guard.terminateAll();
  }

  /** Ends a server at once, because `app.listen` has failed. */
  abort(): void {
    this.#front?.close();
    this.#guard.terminateAll();
    this.#guard.stop();
  }

  /**
   * Creates the HTTP server and, where the runtime needs one, the server in front of it. Gives the one that has to
   * listen.
   */
  #createServers({ reusePort = false, fd }: ListenOptions): NetServer {
    const tls = this.#tls;
    const hasFront = needsFrontServer(tls !== undefined, reusePort || fd !== undefined);
    const http = this.#http = tls === undefined || hasFront
      ? createHttpServer(HTTP)
      : createHttpsServer({ ...tls, ...HTTP });
    http.on("upgrade", (message: IncomingMessage, raw: RawSocket, head: Buffer) => {
      this.#guard.watchUpgrade(message, raw);
      // The response to an earlier request would go out behind the 101, into the middle of the WebSocket.
      if (this.#guard.hasPendingResponse(message.socket)) raw.destroy();
      else this.#handlers.onHandshake(new HandshakeAttempt(message, raw, head, this.#guard));
    });
    // The guard hears of a request before the controller does, which may close the app at once.
    this.#guard.protect(http, tls !== undefined && !hasFront);
    http.on("request", this.#handlers.onRequest);
    // Node and Bun would also cut a connection on which a whole response waits for a client that reads slowly. The
    // guard closes the idle connections instead.
    http.closeIdleConnections = () => {};
    if (!hasFront) return http;
    const handOver = (raw: RawSocket): boolean => http.emit("connection", raw);
    if (tls === undefined) return createNetServer(handOver);
    const front = createTlsServer(tls, handOver);
    front.on("connection", (raw: RawSocket) => this.#guard.watchBelowTls(raw));
    return front;
  }
}

/** Makes an error that names the port, the path or the fd, because the errors of some runtimes do not. */
function explain(error: NodeJS.ErrnoException, { port, host, path, fd }: ListenOptions): Error {
  const { code } = error;
  if (fd !== undefined) {
    const message = `The fd ${fd} cannot be listened at: ${error.message}. It must be a listening socket that this ` +
      "process has inherited, and the operating system must be able to pass one on, which Windows is not";
    return Object.assign(new Error(message, { cause: error }), { code, fd });
  }
  const where = path !== undefined
    ? `The path ${show(path)}`
    : `Port ${port}${host === undefined ? "" : ` of ${host}`}`;
  const advice = path !== undefined ? "remove it, or choose another" : "choose another, or 0 for any that is free";
  const message = code === "EADDRINUSE" ? `is in use: ${advice}` : `cannot be listened at: ${error.message}`;
  return Object.assign(new Error(`${where} ${message}`, { cause: error }), { code, port, path });
}
