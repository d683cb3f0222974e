import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { RequestBody } from "./body.ts";
import type { AppRequest } from "./request.ts";
import type { PathParams } from "./router.ts";
import { HttpError } from "./http-error.ts";
import { show } from "./values.ts";

/**
 * Answers an HTTP request. A string is sent as text, a `Uint8Array` as bytes, a web `Response` as it is, `undefined` as 204, and anything else as JSON.
 * A thrown {@link HttpError} is sent as it says; anything else that is thrown is logged and becomes a 500 without details.
 */
export type Controller<Services, Params = PathParams> = (request: HttpRequest<Params>, services: Services) => unknown;

/** A request as controllers see it: with its body. */
export type HttpRequest<Params = PathParams> = AppRequest<Params> & RequestBody;

/** The methods that have controllers. HEAD is answered by GET's. */
export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Sends what a controller returned. */
export async function sendResult(response: ServerResponse, result: unknown): Promise<void> {
  if (result instanceof Response) return await sendResponse(response, result);
  if (result === undefined) return void response.writeHead(204).end();
  if (typeof result === "string") return send(response, "text/plain; charset=utf-8", result);
  if (result instanceof Uint8Array) return send(response, "application/octet-stream", result);
  send(response, "application/json; charset=utf-8", toJson(result));
}

/** Sends an error as a plain text answer; one that has begun already is cut, so that nobody takes it for whole. */
export function sendError(response: ServerResponse, { status, message, headers }: HttpError): void {
  if (response.headersSent) return void response.destroy();
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.statusCode = status;
  send(response, "text/plain; charset=utf-8", `${message}\n`);
}

function send(response: ServerResponse, type: string, body: string | Uint8Array): void {
  response.setHeader("Content-Type", type);
  response.setHeader("Content-Length", Buffer.byteLength(body));
  response.end(response.req.method === "HEAD" ? undefined : body);
}

function toJson(result: unknown): string {
  const json = JSON.stringify(result);
  if (json === undefined) throw new TypeError(`A controller cannot return ${show(result)}: it has no JSON`);
  return json;
}

async function sendResponse(response: ServerResponse, result: Response): Promise<void> {
  response.statusCode = result.status;
  const { headers } = result;
  for (const [name, value] of headers) if (name !== "set-cookie") response.setHeader(name, value);
  // Cookies cannot be joined into one line, as all other headers can.
  const cookies = headers.getSetCookie();
  if (cookies.length > 0) response.setHeader("Set-Cookie", cookies);
  if (result.body === null || response.req.method === "HEAD") return void response.end();
  await pipeline(Readable.fromWeb(result.body as Parameters<typeof Readable.fromWeb>[0]), response);
}
