import type { RequestBody } from "./body.ts";
import type { AppRequest } from "./request.ts";
import type { PathParams } from "./router.ts";

/**
 * Answers an HTTP request. A string is sent as text, bytes of any kind as they are, a web `Response` of any class as it is, `undefined` as 204, and anything else as JSON.
 * A thrown {@link HttpError} is sent as it says; anything else that is thrown is logged and becomes a 500 without details. An Error that is returned counts as thrown.
 */
export type Controller<Services, Params = PathParams> = (request: HttpRequest<Params>, services: Services) => unknown;

/** A request as controllers see it: with its body. */
export type HttpRequest<Params = PathParams> = AppRequest<Params> & RequestBody;

/** The methods that have controllers. HEAD is answered by GET's. */
export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
