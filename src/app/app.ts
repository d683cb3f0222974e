import type { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket as RawSocket } from "node:net";
import { Guard } from "../transport/guard.ts";
import type { SocketView } from "./connections.ts";
import type { Controller, Method } from "./controllers.ts";
import { Http } from "./http.ts";
import { type CloseOptions, type ListenOptions, resolveClose, resolveListen } from "./lifecycle.ts";
import { type AppOptions, type ResolvedOptions, resolveOptions, type SocketOptions } from "./options.ts";
import { type SocketHandler, WebSockets } from "./websockets.ts";
import { show } from "./values.ts";

/** Figures of an app at one moment. */
export interface AppStats {
  /** Open WebSocket connections. */
  readonly connections: number;
  /** WebSocket connections since the start. */
  readonly accepted: number;
  /** Handshakes that were refused. */
  readonly refused: number;
  /** Messages that were dropped for slow consumers, of the connections that are open. */
  readonly droppedMessages: number;
}

/** What `close()` did. */
export interface CloseResult {
  /** Connections that ended with the closing handshake. */
  readonly closed: number;
  /** Connections that did not answer in time and were cut. */
  readonly terminated: number;
}

/** A WebSocket and HTTP server. Made by {@link createApp}. */
export class App<Services extends object = object> {
  readonly #options: ResolvedOptions<Services>;
  readonly #webSockets: WebSockets<Services>;
  readonly #http: Http<Services>;
  #server: Server | undefined;
  #guard: Guard | undefined;
  #accepted = 0;
  #refused = 0;
  #closing: Promise<CloseResult> | undefined;

  /** Use {@link createApp}. */
  constructor(options: AppOptions<Services>) {
    this.#options = resolveOptions(options);
    this.#webSockets = new WebSockets(this.#options);
    this.#http = new Http(this.#options.services, this.#options.logger, (path) => this.#webSockets.hasRoute(path));
  }

  /**
   * Adds a WebSocket route. A path is exact, or has `:param` segments, or ends in `*`; the handler runs once for each connection.
   *
   * @param path such as `"/chat"` or `"/chat/:room"`
   * @returns the app, so that calls chain
   * @throws TypeError for a path that does not start with "/", one that has a handler already, or a handler that is no function
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = await createApp();
   * app.ws("/chat/:room", (socket, req) => {
   *   socket.send(`Welcome to ${req.params.room}`);
   * });
   * ```
   */
  ws(path: string, handler: SocketHandler<Services>): this;
  /** Adds a WebSocket route with options of its own, which go before the app's. */
  ws(path: string, options: SocketOptions, handler: SocketHandler<Services>): this;
  ws(path: string, first: SocketOptions | SocketHandler<Services>, second?: SocketHandler<Services>): this {
    const hasOptions = arguments.length > 2;
    const options = hasOptions ? first as SocketOptions : {};
    this.#webSockets.addRoute(path, options, (hasOptions ? second : first) as SocketHandler<Services>);
    return this;
  }

  /** Answers GET, and HEAD, at a path. Paths are as in {@link App.ws}. */
  get(path: string, controller: Controller<Services>): this {
    return this.#route("GET", path, controller);
  }

  /** Answers POST at a path. */
  post(path: string, controller: Controller<Services>): this {
    return this.#route("POST", path, controller);
  }

  /** Answers PUT at a path. */
  put(path: string, controller: Controller<Services>): this {
    return this.#route("PUT", path, controller);
  }

  /** Answers PATCH at a path. */
  patch(path: string, controller: Controller<Services>): this {
    return this.#route("PATCH", path, controller);
  }

  /** Answers DELETE at a path. */
  delete(path: string, controller: Controller<Services>): this {
    return this.#route("DELETE", path, controller);
  }

  /**
   * Begins to listen.
   *
   * @param where a port, 0 for any that is free, or `{ port, host }`; without a host on all addresses
   * @returns the app, once it listens
   * @throws TypeError or RangeError for what is no port, and an Error that names the port when it is in use
   */
  async listen(where: number | ListenOptions): Promise<this> {
    const { port, host } = resolveListen(where);
    if (this.#closing !== undefined) throw new Error("The app has been closed: create another one");
    if (this.#server !== undefined) throw new Error(`The app is listening already, at ${this.url}`);
    const server = this.#server = createServer();
    this.#guard = new Guard(server, this.#options.handshakeTimeoutMs);
    server.on("request", (message: IncomingMessage, response: ServerResponse) => {
      void this.#http.handle(message, response);
    });
    server.on("upgrade", (message: IncomingMessage, raw: RawSocket, head: Buffer) => this.#upgrade(message, raw, head));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once("error", reject);
    server.listen({ port, host }, resolve);
    try {
      await promise;
    } catch (error) {
      this.#server = undefined;
      this.#guard.stop();
      throw explainListenError(error, port, host);
    }
    server.off("error", reject);
    return this;
  }

  /** Where the app listens, or undefined. */
  get address(): AddressInfo | undefined {
    const address = this.#server?.address();
    return typeof address === "object" && address !== null ? address : undefined;
  }

  /** The address to open, such as `http://localhost:3000`. Empty while the app does not listen. */
  get url(): string {
    const { address } = this;
    if (address === undefined) return "";
    const isAny = address.address === "::" || address.address === "0.0.0.0";
    const host = isAny ? "localhost" : address.address.includes(":") ? `[${address.address}]` : address.address;
    return `http://${host}:${address.port}`;
  }

  /** The open sockets: a live view. */
  get sockets(): SocketView {
    return this.#webSockets.connections.view;
  }

  /** Figures of this moment. */
  stats(): AppStats {
    let droppedMessages = 0;
    for (const socket of this.#webSockets.connections) droppedMessages += socket.droppedMessages;
    return { connections: this.sockets.size, accepted: this.#accepted, refused: this.#refused, droppedMessages };
  }

  /**
   * Ends the app: it accepts nothing new, sends a Close to everyone behind all that was sent before, and cuts who has not answered in time.
   * A second call gives the promise of the first.
   *
   * @returns how the connections ended, once all of them have
   */
  close(options: CloseOptions = {}): Promise<CloseResult> {
    const resolved = resolveClose(options, this.#options.closeTimeoutMs);
    return this.#closing ??= this.#close(resolved);
  }

  /** `await using app = …` closes it at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #route(method: Method, path: string, controller: Controller<Services>): this {
    this.#http.addRoute(method, path, controller);
    return this;
  }

  #upgrade(message: IncomingMessage, raw: RawSocket, head: Buffer): void {
    if (this.#webSockets.upgrade(message, raw, head)) {
      this.#accepted++;
      this.#guard?.pass(raw);
    } else this.#refused++;
  }

  async #close({ code, reason, timeoutMs }: Required<CloseOptions>): Promise<CloseResult> {
    const { connections } = this.#webSockets;
    this.#webSockets.refuseNew();
    const server = this.#server;
    const { promise: isServerClosed, resolve } = Promise.withResolvers<void>();
    if (server === undefined) resolve();
    else server.close(() => resolve());
    server?.closeIdleConnections();

    const open = connections.size;
    for (const socket of connections) socket.close(code, reason);
    let terminated = 0;
    const timeout = setTimeout(() => {
      terminated = connections.size;
      for (const socket of connections) socket.terminate();
      server?.closeAllConnections();
    }, timeoutMs);
    await isServerClosed;
    await connections.whenEmpty();
    clearTimeout(timeout);
    this.#guard?.stop();
    this.#webSockets.stop();
    return { closed: open - terminated, terminated };
  }
}

/**
 * Creates an app.
 *
 * @param options see {@link AppOptions}
 * @throws TypeError or RangeError for an option that is unknown, of the wrong type or out of range, saying what would be right
 * @example
 * ```ts
 * import { createApp } from "@spacenode/spacenode";
 *
 * const app = await createApp({ wsOrigins: "https://mysite.com" });
 * app.ws("/chat", (socket) => {
 *   socket.on("message", (data) => socket.send(data));
 * });
 * await app.listen(3000);
 * ```
 */
export async function createApp<Services extends object = object>(
  options: AppOptions<Services> = {},
): Promise<App<Services>> {
  return await Promise.resolve(new App(options));
}

function explainListenError(error: unknown, port: number, host: string | undefined): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "EADDRINUSE") return error;
  const where = host === undefined ? `Port ${port}` : `Port ${port} of ${show(host)}`;
  return Object.assign(new Error(`${where} is in use: choose another, or 0 for any that is free`, { cause: error }), {
    code,
    port,
  });
}
