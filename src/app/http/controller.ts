/** The types of HTTP controllers. */
import type { RequestBody } from "./body.ts";
import type { AppRequest } from "./request.ts";
import type { PathParams } from "./router.ts";

/**
 * Handles an HTTP request. The return value, or the value of the promise that is returned, becomes the response:
 *
 * - A string is sent as `text/plain`, with status 200.
 * - Bytes (a Buffer, an ArrayBuffer or any view of one) are sent as `application/octet-stream`, with status 200.
 * - A web `Response` of any class is sent as it is.
 * - `undefined` is sent as 204, without a body.
 * - An Error counts as thrown.
 * - Any other value is sent as JSON, with status 200.
 *
 * A thrown {@link HttpError} is sent with its status, message and headers. Any other error is logged, and the client
 * gets a 500 without details.
 *
 * @param request the request, with the params of its path and with methods to read its body
 * @param services the services of the app, by name
 */
export type Controller<Services, Params = PathParams> = (request: HttpRequest<Params>, services: Services) => unknown;

/** The request that a controller gets: an {@link AppRequest} with the methods of {@link RequestBody}. */
export type HttpRequest<Params = PathParams> = AppRequest<Params> & RequestBody;

/**
 * The HTTP methods that can have controllers. The controllers of GET also serve HEAD. OPTIONS needs no controller: the
 * app answers it by itself.
 */
export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS";
