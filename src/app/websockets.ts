import type { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { HandshakeError } from "../protocol/errors.ts";
import { type UpgradeOffer, validateUpgrade } from "../protocol/handshake.ts";
import { Clocks } from "../transport/clocks.ts";
import { hasTooManyHeaders } from "../transport/guard.ts";
import { acceptUpgrade, refuseUpgrade } from "../transport/upgrade.ts";
import { Connections } from "./connections.ts";
import { HttpError } from "./http-error.ts";
import { isSameOrigin } from "./origins.ts";
import {
  type ResolvedOptions,
  type ResolvedSocketOptions,
  resolveSocketOptions,
  type SocketOptions,
} from "./options.ts";
import { type AppRequest, toAppRequest } from "./request.ts";
import { type RouteMatch, Router } from "./router.ts";
import { ServerSocket, type ServerSocketSettings } from "./server-socket.ts";
import type { Socket } from "./socket.ts";
import { isPromise, show } from "./values.ts";

/** Runs once for each connection. What it throws, or rejects with, closes that socket with 1011. */
export type SocketHandler<Services> = (socket: Socket, request: AppRequest, services: Services) => unknown;

interface SocketRoute<Services> {
  readonly handler: SocketHandler<Services>;
  readonly options: ResolvedSocketOptions;
  readonly settings: ServerSocketSettings;
}

/** The WebSocket half of an app: from an `upgrade` event to a socket in its handler's hands. */
export class WebSockets<Services extends object> {
  readonly connections: Connections;
  readonly #routes = new Router<SocketRoute<Services>>();
  readonly #options: ResolvedOptions<Services>;
  readonly #clocks: Clocks;
  #isClosing = false;
  #hasWarnedOfOrigin = false;

  constructor(options: ResolvedOptions<Services>) {
    this.#options = options;
    this.#clocks = new Clocks(options);
    this.connections = new Connections(options);
  }

  addRoute(path: string, options: SocketOptions, handler: SocketHandler<Services>): void {
    const resolved = resolveSocketOptions(`The route ${show(path)}`, options, this.#options);
    if (typeof handler !== "function") {
      throw new TypeError(
        `The handler of ${show(path)} must be a function (socket, req, services); got ${show(handler)}`,
      );
    }
    const settings: ServerSocketSettings = {
      ...resolved,
      clocks: this.#clocks,
      logger: this.#options.logger,
      onClosed: (socket) => this.connections.delete(socket),
    };
    this.#routes.add(path, { handler, options: resolved, settings });
  }

  /** Whether a path belongs to a WebSocket route. Throws as `Router.match` does. */
  hasRoute(path: string): boolean {
    return this.#routes.match(path) !== undefined;
  }

  /** New handshakes get 503 from here on. */
  refuseNew(): void {
    this.#isClosing = true;
  }

  /** Stops all clocks, once nobody is connected any more. */
  stop(): void {
    this.#clocks.stop();
  }

  /** Answers a handshake. True when it was accepted. */
  upgrade(message: IncomingMessage, raw: RawSocket, head: Buffer): boolean {
    try {
      const request = toAppRequest(message);
      const offer = this.#checkRequest(request);
      const { route, params } = this.#findRoute(request.path);
      request.params = params;
      this.#checkOrigin(request, route.options);
      this.connections.checkRoom(request.ip);
      acceptUpgrade(raw, offer, {});
      this.#open(route, request, raw, head);
      return true;
    } catch (error) {
      refuseUpgrade(raw, this.#toHandshakeError(error));
      return false;
    }
  }

  #checkRequest(request: AppRequest): UpgradeOffer {
    if (hasTooManyHeaders(request)) throw new HandshakeError(431, "The request has too many headers");
    if (this.#isClosing) throw new HandshakeError(503, "The server is going away");
    return validateUpgrade(request);
  }

  #findRoute(path: string): RouteMatch<SocketRoute<Services>> {
    const match = this.#routes.match(path);
    if (match === undefined) throw new HandshakeError(404, "There is no WebSocket at this path");
    return match;
  }

  /** Requests without an Origin are no browser's: they can claim any origin, so a check would stop nobody. */
  #checkOrigin({ headers: { origin, host = "" } }: AppRequest, { isOriginAllowed }: ResolvedSocketOptions): void {
    if (origin === undefined) return;
    if (isOriginAllowed === undefined) this.#warnOfOrigin(origin, host);
    else if (!isOriginAllowed(origin, host)) throw new HandshakeError(403, "Pages of this origin may not connect");
  }

  #warnOfOrigin(origin: string, host: string): void {
    if (this.#hasWarnedOfOrigin || isSameOrigin(origin, host)) return;
    this.#hasWarnedOfOrigin = true;
    this.#options.logger.warn(
      `SpaceNode: a page of ${show(origin)} has connected to ${
        show(host)
      }. As wsOrigins is not set, any page may do so, and it acts with its ` +
        "visitor's cookies. Name the origins that may connect in wsOrigins.",
    );
  }

  #open(route: SocketRoute<Services>, request: AppRequest, raw: RawSocket, head: Buffer): void {
    const socket = new ServerSocket(raw, head, "", undefined, route.settings);
    this.connections.add(socket);
    try {
      const result = route.handler(socket, request, this.#options.services);
      if (!isPromise(result)) return socket.start();
      result.then(() => socket.start(), (error) => socket.onHandlerError("handler", error));
    } catch (error) {
      socket.onHandlerError("handler", error);
    }
  }

  #toHandshakeError(error: unknown): HandshakeError {
    if (error instanceof HandshakeError) return error;
    if (error instanceof HttpError) return new HandshakeError(error.status, error.message, error.headers);
    this.#options.logger.error("SpaceNode: a handshake has failed:", error);
    return new HandshakeError(500, "The handshake has failed");
  }
}
