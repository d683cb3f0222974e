/**
 * The WebSocket half of an app: the routes, and the way of a handshake from its `upgrade` event to the handler of its
 * route.
 */
import type { IncomingMessage } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { HandshakeError } from "../../protocol/errors.ts";
import { chooseSubprotocol, type UpgradeOffer, validateUpgrade } from "../../protocol/handshake.ts";
import { splitList } from "../../protocol/tokens.ts";
import { DeflateNegotiator } from "../../transport/deflate/negotiated-deflate.ts";
import { asksForWebSocket, type HandshakeAttempt, type HandshakeFit } from "../../transport/handshake-attempt.ts";
import type { UpgradeExtras } from "../../transport/handshake-response.ts";
import { ConnectionTimers, type TimerOptions } from "../../transport/timers/connection-timers.ts";
import { noTraffic, type Traffic } from "../../transport/traffic.ts";
import { entryOf, type Logger } from "../common/logger.ts";
import { show } from "../common/show.ts";
import { isPromise } from "../common/validate.ts";
import { isHttpError } from "../http/http-error.ts";
import { RequestView } from "../http/request-view.ts";
import {
  adoptAuthority,
  type AppRequest,
  checkAddress,
  clientOf,
  hasTooManyHeaders,
  PART_NAMES,
  pathOf,
  RequestParts,
} from "../http/request.ts";
import { discard } from "../http/response.ts";
import { type RouteMatch, Router } from "../http/router.ts";
import type { ProxyPredicate } from "../http/trust-proxy.ts";
import { readResponse, readWhole, type WebResponse } from "../http/web-response.ts";
import type { PubSub } from "../pubsub/pubsub.ts";
import { AgeLimit } from "./age-limit.ts";
import { AnsweringSocket } from "./answering-socket.ts";
import { closeGroup } from "./close.ts";
import { type HandshakeTrace, openings, traceHandshake } from "./diagnostics.ts";
import { OriginChecker } from "./origin-checker.ts";
import type { OriginCheck } from "./origins.ts";
import { checkRouteOptions, ROUTE_OPTION_NAMES, type RouteOptions } from "./route-options.ts";
import { ServerSocket, type ServerSocketSettings } from "./server-socket.ts";
import { type ResolvedSocketOptions, resolveSocketOptions } from "./socket-options.ts";
import { type ConnectionLimits, SocketRegistry } from "./socket-registry.ts";
import type { Socket } from "./socket.ts";
import { readData, readUpgradeAnswer, type UpgradeAnswer, type UpgradeHook } from "./upgrade-hook.ts";

/** The handler of any route, without the types of its path and its data. */
export type AnyHandler = (socket: Socket, request: AppRequest, services: object) => unknown;

/** One route, with everything that a handshake at its path needs. */
interface SocketRoute {
  readonly path: string;
  readonly counts: RouteCounts;
  readonly handler: AnyHandler;
  readonly hook: UpgradeHook<object, unknown> | undefined;
  readonly subprotocols: readonly string[];
  readonly socketClass: typeof ServerSocket;
  readonly isOriginAllowed: OriginCheck | undefined;
  readonly settings: ServerSocketSettings;
  readonly compression: DeflateNegotiator | undefined;
  readonly ageLimit: AgeLimit | undefined;
}

/** What is counted for each route. */
export interface RouteCounts extends Traffic {
  /** Handshakes that were accepted. */
  accepted: number;
}

/** The longest body of a `Response` that refuses a handshake. The whole body is read into memory before it is sent. */
const MAX_REFUSAL_BYTES = 1024 * 1024;

/** The options of an app that its WebSocket routes use. */
interface WebSocketRoutesOptions extends ResolvedSocketOptions, ConnectionLimits, TimerOptions {
  readonly logger: Logger;
  /** Undefined when no proxy is trusted. */
  readonly isTrustedProxy: ProxyPredicate | undefined;
}

/** The parts of the 101 response that the route or its hook has chosen. */
type Chosen = Pick<UpgradeExtras, "subprotocol" | "headers">;

/** A handshake whose request has passed the checks, but that is not accepted yet. */
interface Candidate {
  readonly attempt: HandshakeAttempt;
  readonly view: RequestView<RequestParts>;
  readonly ip: string;
  readonly services: object;
  readonly route: SocketRoute;
  readonly offer: UpgradeOffer;
}

/**
 * The WebSocket routes of an app. They check handshakes, ask the hook of the route, accept or refuse, and call the
 * handler.
 */
export class WebSocketRoutes {
  readonly registry: SocketRegistry;
  /** The figures of each route, by its path. */
  readonly counts: Map<string, RouteCounts> = new Map();
  /** The number of handshakes that were refused, by the status of the response. */
  readonly refusals: Map<number, number> = new Map();
  /** The number of connections that have ended, by `closeGroup` of the code of their `close` event. */
  readonly closes: Map<string, number> = new Map();
  readonly #routes = new Router<SocketRoute>();
  readonly #options: WebSocketRoutesOptions;
  readonly timers: ConnectionTimers;
  readonly #pubSub: PubSub<ServerSocket>;
  readonly #originChecker: OriginChecker;
  readonly #ageLimits: AgeLimit[] = [];
  #isClosing = false;

  constructor(options: WebSocketRoutesOptions, pubSub: PubSub<ServerSocket>) {
    this.#options = options;
    this.#pubSub = pubSub;
    this.timers = new ConnectionTimers(options);
    this.#originChecker = new OriginChecker(options.logger);
    this.registry = new SocketRegistry(options);
  }

  /** @throws TypeError or RangeError for a wrong path, wrong options or a handler that is no function */
  addRoute(path: string, options: RouteOptions<never, never>, handler: AnyHandler): void {
    const where = `The route ${show(path)}`;
    if (typeof handler !== "function") {
      throw new TypeError(`${where} needs a handler, a function (socket, req, services); got ${show(handler)}`);
    }
    const resolved = resolveSocketOptions(where, options, this.#options, ROUTE_OPTION_NAMES);
    checkRouteOptions(where, options);
    const ageLimit = resolved.maxAgeMs === undefined ? undefined : new AgeLimit(resolved.maxAgeMs);
    const counts: RouteCounts = { accepted: 0, ...noTraffic() };
    const settings: ServerSocketSettings = {
      ...resolved,
      timers: this.timers,
      rateLimiter: resolved.rateLimit && this.timers.addRateLimiter(resolved.rateLimit),
      traffic: counts,
      logger: this.#options.logger,
      pubSub: this.#pubSub,
      onClosed: (socket, wasClean, code) => {
        ageLimit?.delete(socket);
        count(this.closes, closeGroup(code));
        this.registry.delete(socket, wasClean);
      },
    };
    const { subprotocols = [], textHeartbeat, upgrade: hook } = options;
    this.#routes.add(path, {
      path,
      counts,
      handler,
      hook: hook as UpgradeHook<object, unknown> | undefined,
      subprotocols: [...subprotocols],
      socketClass: textHeartbeat === true ? AnsweringSocket : ServerSocket,
      isOriginAllowed: resolved.isOriginAllowed,
      settings,
      compression: resolved.compression && new DeflateNegotiator(resolved.compression),
      ageLimit,
    });
    if (ageLimit !== undefined) this.#ageLimits.push(ageLimit);
    this.counts.set(path, counts);
  }

  /** Tells whether a path belongs to a WebSocket route. Throws as `Router.match` does. */
  hasRoute(path: string): boolean {
    return this.#routes.match(path) !== undefined;
  }

  /** Tells how well a handshake fits the routes, even if the handshake is wrong otherwise. */
  fitOf(message: IncomingMessage): HandshakeFit {
    const route = this.#routeOf(message);
    if (route === undefined) return "none";
    const offered = splitList(message.headers["sec-websocket-protocol"] ?? "");
    if (offered.length === 0 || offered.some((name) => route.subprotocols.includes(name))) return "full";
    return route.hook !== undefined && route.subprotocols.length === 0 ? "hookDecides" : "otherSubprotocols";
  }

  /** Refuses a handshake that was left to other listeners of its server, because none of them has responded. */
  refuseUnclaimed(attempt: HandshakeAttempt): void {
    const { message } = attempt;
    if (!asksForWebSocket(message)) {
      return this.refuse(attempt, new HandshakeError(400, "The Upgrade header names no protocol that is spoken here"));
    }
    const isOwned = this.#routeOf(message) !== undefined;
    const error = isOwned ? new HandshakeError(400, "None of the offered subprotocols is spoken here") : notFound();
    this.refuse(attempt, error);
  }

  /** The route at the path of a request, even if the request is wrong otherwise. */
  #routeOf(message: IncomingMessage): SocketRoute | undefined {
    try {
      return this.#routes.match(pathOf(message))?.route;
    } catch {
      return undefined;
    }
  }

  /** From now on, new handshakes are refused with 503. */
  refuseNew(): void {
    this.#isClosing = true;
  }

  /** Stops the timers of all connections, at the end of the app. */
  stop(): void {
    this.timers.stop();
    for (const ageLimit of this.#ageLimits) ageLimit.clear();
  }

  /** Responds to a handshake: at once, or when the hook of its route has decided. */
  connect(attempt: HandshakeAttempt, services: object): void {
    if (!attempt.canAccept) return attempt.abandon();
    traceHandshake(attempt, (trace) => this.#connect(attempt, services, trace));
  }

  #connect(attempt: HandshakeAttempt, services: object, trace: HandshakeTrace | undefined): void {
    const { message } = attempt;
    try {
      const client = clientOf(message, this.#options.isTrustedProxy);
      const parts = new RequestParts(message, client);
      const offer = this.#checkRequest(message, parts.path);
      const { route, params } = this.#findRoute(parts.path);
      if (trace !== undefined) trace.route = route.path;
      parts.params = params;
      this.#originChecker.check(message.headers.origin, parts.host, route.isOriginAllowed, client.protocol);
      this.registry.checkRoom(client.ip);
      const subprotocol = chooseSubprotocol(route.subprotocols, offer.subprotocols);
      const view = new RequestView(message, parts, PART_NAMES);
      const candidate: Candidate = { attempt, view, ip: client.ip, services, route, offer };
      if (route.hook === undefined) return this.#accept(candidate, { subprotocol }, undefined);
      this.#askHook(candidate, route.hook, subprotocol);
    } catch (error) {
      this.refuse(attempt, error);
    }
  }

  /** Refuses a handshake because of an error that was thrown before it was accepted. */
  refuse(attempt: HandshakeAttempt, error: unknown): void {
    const refusal = this.#toHandshakeError(error);
    if (attempt.refuse(refusal)) count(this.refusals, refusal.status);
  }

  /**
   * Cuts a connection because of an error after the 101 response, when the refusal of a handshake must not be written
   * any more.
   */
  #cut(raw: RawSocket, error: unknown): void {
    this.#options.logger.error(entryOf("SpaceNode: a connection could not be set up", error));
    raw.destroy();
  }

  #checkRequest(message: IncomingMessage, path: string): UpgradeOffer {
    if (hasTooManyHeaders(message)) throw new HandshakeError(431, "The request has too many headers");
    this.#checkOpen();
    checkAddress(message, path);
    adoptAuthority(message);
    return validateUpgrade(message);
  }

  #checkOpen(): void {
    if (this.#isClosing) throw new HandshakeError(503, "The server is going away");
  }

  #findRoute(path: string): RouteMatch<SocketRoute> {
    const match = this.#routes.match(path);
    if (match === undefined) throw notFound();
    return match;
  }

  #askHook(candidate: Candidate, hook: UpgradeHook<object, unknown>, subprotocol: string | undefined): void {
    const { attempt, view, ip, services, offer } = candidate;
    const answer: UpgradeAnswer = { subprotocol, offered: offer.subprotocols, headers: new Headers() };
    const decide = (verdict: unknown): void => {
      const refusal = readResponse(verdict);
      if (refusal !== undefined) return void this.#refuseWith(attempt, refusal);
      this.#checkOpen();
      this.registry.checkRoom(ip);
      this.#accept(candidate, readUpgradeAnswer(answer), readData(verdict));
    };
    const verdict = hook(view.request, services, answer);
    if (!isPromise(verdict)) return decide(verdict);
    // A thenable of a foreign class may call back twice, or resolve to another thenable. `Promise.resolve` makes a
    // promise of it that does neither.
    Promise.resolve(verdict).then((settled) => {
      if (!attempt.canAccept) {
        attempt.abandon();
        // The body of a refusal that nobody gets is cancelled, so that it frees what it holds.
        return discard(readResponse(settled)?.body);
      }
      decide(settled);
    }).then(undefined, (error) => this.refuse(attempt, error));
  }

  #accept(candidate: Candidate, { subprotocol, headers }: Chosen, data: unknown): void {
    const { attempt, ip, route, offer } = candidate;
    if (!attempt.canAccept) return attempt.abandon();
    const compression = route.compression?.negotiate(offer.extensions);
    attempt.accept(offer, { subprotocol, extensions: compression?.header, headers });
    route.counts.accepted++;
    const { raw, head } = attempt;
    try {
      this.#open(candidate, new route.socketClass(raw, head, { ip, subprotocol, compression }, data, route.settings));
    } catch (error) {
      this.#cut(raw, error);
    }
  }

  #open({ view, services, route }: Candidate, socket: ServerSocket): void {
    this.registry.add(socket);
    route.ageLimit?.add(socket);
    try {
      // A framework that the hook has called may have put its own parts in place of those of the URL.
      view.restore(["ip", "protocol", "host"]);
      const { request } = view;
      const result = openings.hasSubscribers
        ? openings.runStores({ socket, request, route: route.path }, () => route.handler(socket, request, services))
        : route.handler(socket, request, services);
      if (isPromise(result)) {
        result.then(() => socket.onHandlerEnd(), (error) => socket.onHandlerError("handler", error));
      } else {
        socket.onHandlerEnd();
      }
      socket.start();
    } catch (error) {
      socket.onHandlerError("handler", error);
    }
  }

  /**
   * Refuses a handshake with the `Response` of its hook. The body is read within the deadline of the handshake, and is
   * cancelled when the connection ends.
   */
  async #refuseWith(attempt: HandshakeAttempt, { status, headers, body }: WebResponse): Promise<void> {
    const gone = new AbortController();
    const onClose = (): void => gone.abort();
    attempt.raw.once("close", onClose);
    try {
      const bytes = await readWhole(body, MAX_REFUSAL_BYTES, gone.signal);
      if (attempt.respond(status, bytes, headers)) count(this.refusals, status);
    } catch (error) {
      this.refuse(attempt, error);
    } finally {
      attempt.raw.off("close", onClose);
    }
  }

  #toHandshakeError(error: unknown): HandshakeError {
    if (error instanceof HandshakeError) return error;
    if (isHttpError(error)) return new HandshakeError(error.status, error.message, error.headers);
    this.#options.logger.error(entryOf("SpaceNode: a handshake has failed", error));
    return new HandshakeError(500, "The handshake has failed");
  }
}

function notFound(): HandshakeError {
  return new HandshakeError(404, "There is no WebSocket at this path");
}

function count<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
