import type { IncomingMessage, ServerResponse } from "node:http";
import { type BodyLimits, bodyOf } from "./body.ts";
import { type Controller, type Method, sendError, sendResult } from "./controllers.ts";
import { HttpError } from "./http-error.ts";
import type { Logger } from "./options.ts";
import { type AppRequest, toAppRequest } from "./request.ts";
import { type RouteMatch, Router } from "./router.ts";
import { show } from "./values.ts";

/** A controller with the type of its services worn off. */
type AnyController = Controller<object>;

interface HttpOptions extends BodyLimits {
  readonly logger: Logger;
}

/** The HTTP half of an app: requests to controllers. */
export class Http {
  readonly #routes = new Map<string, Router<AnyController>>();
  readonly #options: HttpOptions;
  readonly #isWebSocket: (path: string) => boolean;

  /** `isWebSocket` tells the paths at which a handshake, and nothing else, is right. */
  constructor(options: HttpOptions, isWebSocket: (path: string) => boolean) {
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

  /** Answers a request. Never rejects. */
  async handle(message: IncomingMessage, response: ServerResponse, services: object): Promise<void> {
    try {
      const request = toAppRequest(message);
      const { route, params } = this.#findRoute(request, response);
      request.params = params;
      await sendResult(response, await route(Object.assign(request, bodyOf(request, this.#options)), services));
    } catch (error) {
      // The client has gone: there is nobody left to tell.
      if (response.destroyed) return;
      sendError(response, this.#toHttpError(error, message));
    }
  }

  #findRoute({ method = "GET", path }: AppRequest, response: ServerResponse): RouteMatch<AnyController> {
    const match = this.#routes.get(method === "HEAD" ? "GET" : method)?.match(path);
    if (match !== undefined) return match;
    const methods = [...this.#routes].filter(([, router]) => router.match(path) !== undefined).map(([name]) => name);
    if (methods.length > 0) return this.#answerMethod(method, methods, response);
    if (this.#isWebSocket(path)) {
      const headers = { Upgrade: "websocket", Connection: "Upgrade, close", "Sec-WebSocket-Version": "13" };
      throw new HttpError(426, "This is a WebSocket: connect with a WebSocket client", headers);
    }
    throw new HttpError(404, "There is nothing at this path");
  }

  #answerMethod(method: string, methods: string[], response: ServerResponse): RouteMatch<AnyController> {
    const allowed = [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ");
    if (method !== "OPTIONS") throw new HttpError(405, `${method} is not possible here`, { Allow: allowed });
    response.setHeader("Allow", allowed);
    return { route: () => undefined, params: {} };
  }

  #toHttpError(error: unknown, { method, url }: IncomingMessage): HttpError {
    if (error instanceof HttpError) return error;
    this.#options.logger.error(`SpaceNode: the controller of ${method} ${show(url)} has thrown:`, error);
    return new HttpError(500, "Something went wrong on the server");
  }
}
