import type { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { HandshakeError } from "../../protocol/errors.ts";
import { type UpgradeOffer, validateUpgrade } from "../../protocol/handshake.ts";
import { ConnectionTimers } from "../../transport/timers/connection-timers.ts";
import { DeflateNegotiator } from "../../transport/deflate/negotiated-deflate.ts";
import { type HandshakeGuard, hasTooManyHeaders } from "../server/handshake-guard.ts";
import {
  acceptUpgrade,
  canAccept,
  refuseUpgrade,
  type UpgradeExtras,
  writeRefusal,
} from "../../transport/handshake-response.ts";
import { SocketRegistry } from "./socket-registry.ts";
import { isHttpError } from "../http/http-error.ts";
import { type ResolvedOptions, type ResolvedSocketOptions, resolveSocketOptions } from "../options.ts";
import { isSameOrigin } from "./origins.ts";
import type { PubSub } from "../pubsub/pubsub.ts";
import { type AppRequest, checkAddress, pathOf, toAppRequest } from "../http/request.ts";
import { type RouteMatch, Router } from "../http/router.ts";
import { ServerSocket, type ServerSocketSettings } from "./server-socket.ts";
import type { Socket } from "./socket.ts";
import {
  checkRouteOptions,
  chooseSubprotocol,
  readData,
  readUpgradeAnswer,
  ROUTE_OPTION_NAMES,
  type RouteOptions,
  type UpgradeAnswer,
  type UpgradeHook,
} from "./upgrade-hook.ts";
import { isPromise, show } from "../common/show.ts";
import { readResponse, readWhole, type WebResponse } from "../http/web-response.ts";

/** A route's handler with the types of its path and data worn off. */
export type AnyHandler = (socket: Socket, request: AppRequest, services: object) => unknown;

interface SocketRoute {
  readonly handler: AnyHandler;
  readonly hook: UpgradeHook<object, unknown> | undefined;
  readonly subprotocols: readonly string[];
  readonly options: ResolvedSocketOptions;
  readonly settings: ServerSocketSettings;
  readonly compression: DeflateNegotiator | undefined;
}

/** The longest body of a Response that refuses a handshake: it is gathered before it is sent. */
const MAX_REFUSAL_BYTES = 1024 * 1024;

/** What the route, or its hook, adds to the 101 answer. */
type Chosen = Pick<UpgradeExtras, "subprotocol" | "headers">;

/** One attempt to connect, from its `upgrade` event to its answer. */
interface Attempt {
  readonly request: AppRequest;
  readonly raw: RawSocket;
  readonly head: Buffer;
  readonly services: object;
  /** The guard of the way in that the handshake has come by. */
  readonly guard: HandshakeGuard;
}

/** The WebSocket half of an app: from an `upgrade` event to a socket in its handler's hands. */
export class WebSocketRoutes {
  readonly registry: SocketRegistry;
  accepted = 0;
  refused = 0;
  readonly #routes = new Router<SocketRoute>();
  readonly #options: ResolvedOptions;
  readonly #timers: ConnectionTimers;
  readonly #pubSub: PubSub;
  #isClosing = false;
  #hasWarnedOfOrigin = false;

  constructor(options: ResolvedOptions, pubSub: PubSub) {
    this.#options = options;
    this.#pubSub = pubSub;
    this.#timers = new ConnectionTimers(options);
    this.registry = new SocketRegistry(options);
  }

  addRoute(path: string, options: RouteOptions<never, never>, handler: AnyHandler): void {
    const where = `The route ${show(path)}`;
    if (typeof handler !== "function") {
      throw new TypeError(`${where} needs a handler, a function (socket, req, services); got ${show(handler)}`);
    }
    const resolved = resolveSocketOptions(where, options, this.#options, ROUTE_OPTION_NAMES);
    checkRouteOptions(where, options);
    const settings: ServerSocketSettings = {
      ...resolved,
      timers: this.#timers,
      logger: this.#options.logger,
      pubSub: this.#pubSub,
      onClosed: (socket, wasClean) => this.registry.delete(socket, wasClean),
    };
    const { subprotocols = [], upgrade: hook } = options;
    this.#routes.add(path, {
      handler,
      hook: hook as UpgradeHook<object, unknown> | undefined,
      subprotocols: [...subprotocols],
      options: resolved,
      settings,
      compression: resolved.compression && new DeflateNegotiator(resolved.compression),
    });
  }

  /** Whether a path belongs to a WebSocket route. Throws as `Router.match` does. */
  hasRoute(path: string): boolean {
    return this.#routes.match(path) !== undefined;
  }

  /** Whether a request is for one of our paths, right or wrong as it may be otherwise. */
  owns(message: IncomingMessage): boolean {
    try {
      return this.hasRoute(pathOf(message));
    } catch {
      return false;
    }
  }

  /** New handshakes get 503 from here on. */
  refuseNew(): void {
    this.#isClosing = true;
  }

  /** Stops all timers, once nobody is connected any more. */
  stop(): void {
    this.#timers.stop();
  }

  /** Answers a handshake, at once or when its route's hook has decided. */
  upgrade(
    message: IncomingMessage,
    raw: RawSocket,
    head: Buffer,
    services: object,
    guard: HandshakeGuard,
  ): void {
    const request = toAppRequest(message);
    const attempt: Attempt = { request, raw, head, services, guard };
    if (!canAccept(raw) || guard.isAnsweredByOther(raw)) return abandon(raw, guard);
    try {
      const offer = this.#checkRequest(request);
      const { route, params } = this.#findRoute(request.path);
      request.params = params;
      this.#checkOrigin(request, route.options);
      this.registry.checkRoom(request.ip);
      const subprotocol = chooseSubprotocol(route.subprotocols, offer.subprotocols);
      if (route.hook === undefined) return this.#accept(attempt, route, offer, { subprotocol }, undefined);
      this.#askHook(attempt, route, route.hook, offer, subprotocol);
    } catch (error) {
      this.refuse(raw, error, guard);
    }
  }

  /** Refuses a handshake for what was thrown on the way. */
  refuse(raw: RawSocket, error: unknown, guard: HandshakeGuard): void {
    const handshakeError = this.#toHandshakeError(error);
    if (!raw.writable) return abandon(raw, guard);
    if (!guard.claim(raw)) return;
    this.refused++;
    refuseUpgrade(raw, handshakeError);
  }

  /** What went wrong after the 101 must not be answered in HTTP: the connection is cut. */
  #cut(raw: RawSocket, error: unknown): void {
    this.#options.logger.error("SpaceNode: a connection could not be set up:", error);
    raw.destroy();
  }

  #checkRequest(request: AppRequest): UpgradeOffer {
    if (hasTooManyHeaders(request)) throw new HandshakeError(431, "The request has too many headers");
    this.#checkOpen();
    checkAddress(request);
    return validateUpgrade(request);
  }

  #checkOpen(): void {
    if (this.#isClosing) throw new HandshakeError(503, "The server is going away");
  }

  #findRoute(path: string): RouteMatch<SocketRoute> {
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
      }. As wsOrigins is not set, any page may do so, and it acts ` +
        "with its visitor's cookies. Name the origins that may connect in wsOrigins.",
    );
  }

  #askHook(
    attempt: Attempt,
    route: SocketRoute,
    hook: UpgradeHook<object, unknown>,
    offer: UpgradeOffer,
    subprotocol: string | undefined,
  ): void {
    const answer: UpgradeAnswer = { subprotocol, offered: offer.subprotocols, headers: new Headers() };
    const decide = (verdict: unknown): void => {
      const refusal = readResponse(verdict);
      if (refusal !== undefined) return void this.#refuseWith(attempt, refusal);
      this.#accept(attempt, route, offer, readUpgradeAnswer(answer), readData(verdict));
    };
    const verdict = hook(attempt.request, attempt.services, answer);
    if (!isPromise(verdict)) return decide(verdict);
    // A thenable of another class may call back twice, or give another thenable. A promise of today's class does neither.
    Promise.resolve(verdict).then((settled) => {
      if (!canAccept(attempt.raw)) return abandon(attempt.raw, attempt.guard);
      this.#checkOpen();
      this.registry.checkRoom(attempt.request.ip);
      decide(settled);
    }).then(undefined, (error) => this.refuse(attempt.raw, error, attempt.guard));
  }

  #accept(
    attempt: Attempt,
    route: SocketRoute,
    offer: UpgradeOffer,
    { subprotocol, headers }: Chosen,
    data: unknown,
  ): void {
    const { raw, guard } = attempt;
    if (!canAccept(raw)) return abandon(raw, guard);
    if (!guard.claim(raw)) return;
    const compression = route.compression?.negotiate(offer.extensions);
    acceptUpgrade(raw, offer, { subprotocol, extensions: compression?.header, headers });
    this.accepted++;
    try {
      guard.pass(raw);
      const socket = new ServerSocket(raw, attempt.head, { subprotocol, compression }, data, route.settings);
      this.#open(attempt, route, socket);
    } catch (error) {
      this.#cut(raw, error);
    }
  }

  #open({ request, services }: Attempt, route: SocketRoute, socket: ServerSocket): void {
    this.registry.add(socket);
    try {
      const result = route.handler(socket, request, services);
      if (!isPromise(result)) return socket.start();
      result.then(() => socket.start(), (error) => socket.onHandlerError("handler", error));
    } catch (error) {
      socket.onHandlerError("handler", error);
    }
  }

  /** Sends a hook's Response. Its body has as long to come as the handshake has, and is let go when the connection ends. */
  async #refuseWith({ raw, guard }: Attempt, { status, headers, body }: WebResponse): Promise<void> {
    const gone = new AbortController();
    const onClose = (): void => gone.abort();
    raw.once("close", onClose);
    try {
      const bytes = await readWhole(body, MAX_REFUSAL_BYTES, gone.signal);
      if (!raw.writable) return abandon(raw, guard);
      if (!guard.claim(raw)) return;
      writeRefusal(raw, status, bytes, headers);
      this.refused++;
    } catch (error) {
      this.refuse(raw, error, guard);
    } finally {
      raw.off("close", onClose);
    }
  }

  #toHandshakeError(error: unknown): HandshakeError {
    if (error instanceof HandshakeError) return error;
    if (isHttpError(error)) return new HandshakeError(error.status, error.message, error.headers);
    this.#options.logger.error("SpaceNode: a handshake has failed:", error);
    return new HandshakeError(500, "The handshake has failed");
  }
}

/**
 * Lets go of a handshake that nobody waits for any more, or that another listener has answered. An answer that is under
 * way, such as the 408 of the guard, still goes out.
 */
function abandon(raw: RawSocket, guard: HandshakeGuard): void {
  if (guard.claim(raw) && !raw.writableEnded) raw.destroy();
}
