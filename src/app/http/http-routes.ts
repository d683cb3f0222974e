/** From an HTTP request to its controller, and from the controller's result to the response. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { entryOf, type Logger } from "../common/logger.ts";
import { show } from "../common/show.ts";
import { BODY_METHODS, type BodyLimits, bodyOf } from "./body.ts";
import type { Controller, Method } from "./controller.ts";
import { HttpError, isHttpError } from "./http-error.ts";
import { RequestView } from "./request-view.ts";
import { adoptAuthority, checkAddress, clientOf, hasTooManyHeaders, PART_NAMES, RequestParts } from "./request.ts";
import { errorResponse, type HttpResponse, sendResponse, toHttpResponse } from "./response.ts";
import { type RouteMatch, Router } from "./router.ts";
import type { ProxyPredicate } from "./trust-proxy.ts";

/** A controller, without the exact type of its services. */
type AnyController = Controller<object>;

/** The names of the members that controllers see besides those of the message. */
const SHOWN = [...PART_NAMES, ...BODY_METHODS] as const;

interface HttpRoutesOptions extends BodyLimits {
  readonly logger: Logger;
  /** Undefined when no proxy is trusted. */
  readonly isTrustedProxy?: ProxyPredicate | undefined;
}

/** The HTTP side of an app: finds the controller of each request, calls it, and sends its result. */
export class HttpRoutes {
  readonly #routes = new Map<string, Router<AnyController>>();
  readonly #options: HttpRoutesOptions;
  readonly #isWebSocket: (path: string) => boolean;
  /** The response to the newest request of each connection: a client may send several requests at once. */
  readonly #newest = new WeakMap<RawSocket, ServerResponse>();
  #isClosing = false;

  /**
   * @param isWebSocket tells whether a path belongs to a WebSocket route, at which a plain HTTP request is a mistake
   */
  constructor(options: HttpRoutesOptions, isWebSocket: (path: string) => boolean) {
    this.#options = options;
    this.#isWebSocket = isWebSocket;
  }

  addRoute(method: Method, path: string, controller: AnyController): void {
    if (typeof controller !== "function") {
      throw new TypeError(
        `The controller of ${method} ${show(path)} must be a function (req, services); got ${show(controller)}`,
      );
    }
    let router = this.#routes.get(method);
    if (router === undefined) this.#routes.set(method, router = new Router());
    router.add(path, controller);
  }

  /** Makes the response to the newest request of each connection the last of the connection. */
  close(): void {
    this.#isClosing = true;
  }

  /** Calls the controller of a request and sends its response. Never rejects. */
  async handle(message: IncomingMessage, response: ServerResponse, services: object): Promise<void> {
    this.#newest.set(message.socket, response);
    const httpResponse = await this.respond(message, services);
    try {
      // This header ends the connection, and with it the responses that are to come behind this one.
      const isLast = this.#isClosing && this.#newest.get(message.socket) === response;
      if (isLast) response.setHeader("Connection", "close");
      await sendResponse(response, httpResponse);
    } catch (error) {
      // A client that has disconnected is not worth a log line.
      if ((error as NodeJS.ErrnoException).code !== "ERR_STREAM_PREMATURE_CLOSE") {
        this.#options.logger.error(entryOf(`SpaceNode: the answer to ${describe(message)} was cut`, error));
      }
      response.destroy();
    }
  }

  /** Calls the controller of a request and returns its response, which may be an error. Never rejects. */
  async respond(message: IncomingMessage, services: object): Promise<HttpResponse> {
    try {
      if (hasTooManyHeaders(message)) throw new HttpError(431, "The request has too many headers");
      const parts = new RequestParts(message, clientOf(message, this.#options.isTrustedProxy));
      checkAddress(message, parts.path);
      adoptAuthority(message);
      const found = this.#findRoute(message, parts.path);
      if (!("route" in found)) return found;
      parts.params = found.params;
      const view = new RequestView(message, Object.assign(parts, bodyOf(message, this.#options)), SHOWN);
      const result = await found.route(view.request, services);
      return toHttpResponse(result);
    } catch (error) {
      return errorResponse(this.#toHttpError(error, message));
    }
  }

  #findRoute({ method = "GET" }: IncomingMessage, path: string): RouteMatch<AnyController> | HttpResponse {
    if (path === "*") return options([...this.#routes.keys()].filter((name) => name !== "OPTIONS"));
    const match = this.#routes.get(method === "HEAD" ? "GET" : method)?.match(path);
    if (match !== undefined) return match;
    // OPTIONS alone makes no resource of a path: a controller of "/*" may serve the preflights of all paths.
    const methods = [...this.#routes].filter(([name, router]) => name !== "OPTIONS" && router.match(path) !== undefined)
      .map(([name]) => name);
    if (methods.length > 0) {
      if (method === "OPTIONS") return options(methods);
      throw new HttpError(405, `${method} is not possible here`, { Allow: allow(methods) });
    }
    if (this.#isWebSocket(path)) {
      const headers = { Upgrade: "websocket", Connection: "Upgrade, close", "Sec-WebSocket-Version": "13" };
      throw new HttpError(426, "This is a WebSocket: connect with a WebSocket client", headers);
    }
    throw new HttpError(404, "There is nothing at this path");
  }

  #toHttpError(error: unknown, message: IncomingMessage): HttpError {
    if (isHttpError(error)) return error;
    this.#options.logger.error(entryOf(`SpaceNode: the controller of ${describe(message)} has thrown`, error));
    return new HttpError(500, "Something went wrong on the server");
  }
}

/** The response to an OPTIONS request, at a path where these methods have controllers. */
function options(methods: readonly string[]): HttpResponse {
  return { status: 204, headers: [["Allow", allow(methods)]], body: undefined };
}

function allow(methods: readonly string[]): string {
  return [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ");
}

function describe({ method, url }: IncomingMessage): string {
  return `${method} ${show(url)}`;
}
