import type { Buffer } from "node:buffer";
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createHttpsServer, type ServerOptions as TlsOptions } from "node:https";
import type { AddressInfo, Socket as RawSocket } from "node:net";
import { Guard } from "../transport/guard.ts";
import type { ListenOptions } from "./lifecycle.ts";
import { show } from "./values.ts";

/** What a listener does with what comes in. */
export interface ListenerHandlers {
  onRequest(message: IncomingMessage, response: ServerResponse): void;
  /** `pass` is to be called once the handshake has succeeded. */
  onUpgrade(message: IncomingMessage, raw: RawSocket, head: Buffer, pass: (raw: RawSocket) => void): void;
}

/** An HTTP server of our own, guarded from its first connection. */
export class Listener {
  readonly #server: Server;
  readonly #guard: Guard;
  readonly #isTls: boolean;

  constructor(tls: TlsOptions | undefined, handshakeTimeoutMs: number, handlers: ListenerHandlers) {
    this.#isTls = tls !== undefined;
    this.#server = tls === undefined ? createHttpServer() : createHttpsServer(tls);
    this.#guard = new Guard(handshakeTimeoutMs);
    this.#guard.protect(this.#server);
    const pass = (raw: RawSocket): void => this.#guard.pass(raw);
    this.#server.on("request", handlers.onRequest);
    this.#server.on("upgrade", (message: IncomingMessage, raw: RawSocket, head: Buffer) => {
      handlers.onUpgrade(message, raw, head, pass);
    });
  }

  /** Resolves once the server listens. */
  async listen(options: ListenOptions): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen({ ...options }, resolve);
    try {
      await promise;
    } catch (error) {
      this.#guard.stop();
      throw explain(error, options);
    }
    this.#server.off("error", reject);
  }

  /** Where it listens, if not at a unix socket. */
  get address(): AddressInfo | undefined {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address : undefined;
  }

  /** The address to open; empty for a unix socket. */
  get url(): string {
    const { address } = this;
    if (address === undefined) return "";
    const isAny = address.address === "::" || address.address === "0.0.0.0";
    const host = isAny ? "localhost" : address.address.includes(":") ? `[${address.address}]` : address.address;
    return `${this.#isTls ? "https" : "http"}://${host}:${address.port}`;
  }

  /** Takes no new connections, and resolves once the last has ended. */
  close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => {
      this.#guard.stop();
      resolve();
    });
    this.#server.closeIdleConnections();
    return promise;
  }

  /** Cuts what is left of HTTP. Upgraded connections are not the server's any more. */
  closeAll(): void {
    this.#server.closeAllConnections();
  }
}

function explain(error: unknown, { port, host, path }: ListenOptions): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "EADDRINUSE") return error;
  const where = path !== undefined
    ? `The path ${show(path)}`
    : host === undefined
    ? `Port ${port}`
    : `Port ${port} of ${host}`;
  const advice = path !== undefined ? "remove it, or choose another" : "choose another, or 0 for any that is free";
  return Object.assign(new Error(`${where} is in use: ${advice}`, { cause: error }), { code, port, path });
}
