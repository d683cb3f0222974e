/**
 * HTTP responses: made of what a controller returns or throws, and sent over node:http or handed out as a web
 * `Response`.
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { isAnyArrayBuffer } from "node:util/types";
import { toBytes } from "../common/bytes.ts";
import { show } from "../common/show.ts";
import { isError } from "../common/validate.ts";
import type { HttpError } from "./http-error.ts";
import { readResponse, type WebResponse } from "./web-response.ts";

/** A response before it is sent over HTTP, or handed to the caller of `inject`. */
export interface HttpResponse {
  readonly status: number;
  /** The headers, in order. Only Set-Cookie may occur more than once. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Uint8Array | ReadableStream<Uint8Array> | undefined;
}

/**
 * Makes a response of what a controller has returned.
 *
 * @throws TypeError if the result has no JSON, or is a `Response` that cannot be sent; the result itself if it is an
 *   Error
 */
export function toHttpResponse(result: unknown): HttpResponse {
  const response = readResponse(result);
  if (response !== undefined) return fromWebResponse(response);
  // The JSON of an Error is `{}`, with status 200: a failure would look like a success.
  if (isError(result)) throw result;
  if (result === undefined) return { status: 204, headers: [], body: undefined };
  if (typeof result === "string") return whole(200, "text/plain; charset=utf-8", result);
  if (isAnyArrayBuffer(result) || ArrayBuffer.isView(result)) {
    return whole(200, "application/octet-stream", toBytes(result));
  }
  return whole(200, "application/json; charset=utf-8", toJson(result));
}

function fromWebResponse({ status, headers, body }: WebResponse): HttpResponse {
  // A stream may turn out shorter or longer than its Content-Length says. Therefore it is sent in chunks, without this
  // header.
  const own = headers.filter(([name]) => body === undefined || name.toLowerCase() !== "content-length");
  return { status, headers: own, body };
}

/** Makes a response of an error: its status and headers, with its message as plain text. */
export function errorResponse({ status, message, headers }: HttpError): HttpResponse {
  const { headers: own, body } = whole(status, "text/plain; charset=utf-8", `${message}\n`);
  return { status, headers: [...own, ...Object.entries(headers)], body };
}

/**
 * Sends a response over HTTP.
 *
 * If the request is still arriving, the response is completed when the request is complete, or after a second.
 * Otherwise some runtimes would reset the connection, and the reset could overtake the response.
 *
 * Nothing is sent to a client that has disconnected. The body is cancelled then.
 *
 * @throws the error of the body, if it fails on the way; the caller cuts the connection then, so that the client does
 *   not take the response for complete
 */
export async function sendResponse(response: ServerResponse, { status, headers, body }: HttpResponse): Promise<void> {
  if (response.destroyed) return discard(body);
  response.statusCode = status;
  for (const [name, value] of headers) {
    // Cookies cannot be joined into one line, as all other headers can.
    if (name.toLowerCase() === "set-cookie") response.appendHeader(name, value);
    else response.setHeader(name, value);
  }
  const isBodiless = body === undefined || response.req.method === "HEAD";
  if (!isBodiless && body instanceof ReadableStream) {
    await pipeline(Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]), response);
  } else {
    discard(body);
    if (!isBodiless && isStillComing(response.req)) {
      response.write(body);
      await ended(response.req);
      response.end();
    } else response.end(isBodiless ? undefined : body);
  }
}

/** How long a response waits for the end of its request. */
const LINGER_MS = 1_000;

function isStillComing({ headers, readableEnded, destroyed }: IncomingMessage): boolean {
  const announcesBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
  return announcesBody && !readableEnded && !destroyed;
}

/** Reads and throws away the rest of a request, until it has ended or the time is up. */
function ended(request: IncomingMessage): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timeout = setTimeout(resolve, LINGER_MS);
  request.on("error", () => {}).once("close", resolve).once("end", resolve).resume();
  return promise.finally(() => clearTimeout(timeout));
}

/**
 * Cancels a body that will not be read, so that it frees what it holds. An error of the stream does not matter any
 * more.
 */
export function discard(body: HttpResponse["body"]): void {
  if (body instanceof ReadableStream) body.cancel().catch(() => {});
}

/** Makes a web `Response`, as `fetch` would return it. */
export function toWebResponse({ status, headers, body }: HttpResponse, method: string): Response {
  const init = { status, headers: headers.map(([name, value]): [string, string] => [name, value]) };
  if (method !== "HEAD") {
    // A Response does not take views of a SharedArrayBuffer.
    return new Response((body instanceof Uint8Array ? Uint8Array.from(body) : body) as BodyInit | undefined, init);
  }
  discard(body);
  return new Response(undefined, init);
}

function whole(status: number, type: string, body: string | Uint8Array): HttpResponse {
  return { status, headers: [["Content-Type", type], ["Content-Length", String(Buffer.byteLength(body))]], body };
}

function toJson(result: unknown): string {
  const json = JSON.stringify(result);
  if (json === undefined) throw new TypeError(`A controller cannot return ${show(result)}: it has no JSON`);
  return json;
}
