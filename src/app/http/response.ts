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

/** An answer before it is sent: over HTTP, or to who has injected the request. */
export interface HttpResponse {
  readonly status: number;
  /** In order; only Set-Cookie may come several times. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Uint8Array | ReadableStream<Uint8Array> | undefined;
}

/**
 * The answer that a controller's result stands for.
 *
 * @throws TypeError for a result that has no JSON, or a `Response` that cannot be sent; an Error that is the result
 */
export function toHttpResponse(result: unknown): HttpResponse {
  const response = readResponse(result);
  if (response !== undefined) return fromWebResponse(response);
  // The JSON of an Error is `{}`: a refusal would look like a success.
  if (isError(result)) throw result;
  if (result === undefined) return { status: 204, headers: [], body: undefined };
  if (typeof result === "string") return whole(200, "text/plain; charset=utf-8", result);
  if (isAnyArrayBuffer(result) || ArrayBuffer.isView(result)) {
    return whole(200, "application/octet-stream", toBytes(result));
  }
  return whole(200, "application/json; charset=utf-8", toJson(result));
}

function fromWebResponse({ status, headers, body }: WebResponse): HttpResponse {
  // Whether a stream is as long as was announced shows too late: it goes out in chunks.
  const own = headers.filter(([name]) => body === undefined || name.toLowerCase() !== "content-length");
  return { status, headers: own, body };
}

/** The answer that an error stands for: its message as plain text. */
export function errorResponse({ status, message, headers }: HttpError): HttpResponse {
  const { headers: own, body } = whole(status, "text/plain; charset=utf-8", `${message}\n`);
  return { status, headers: [...own, ...Object.entries(headers)], body };
}

/**
 * Sends an answer. Rejects when its body fails on the way: the connection is cut then, so that nobody takes it for whole. An answer to a request that is still
 * coming ends with the request, or after a second: some runtimes reset the connection otherwise, and the reset could overtake the answer.
 */
export async function sendResponse(response: ServerResponse, { status, headers, body }: HttpResponse): Promise<void> {
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

const LINGER_MS = 1_000;

function isStillComing({ headers, readableEnded, destroyed }: IncomingMessage): boolean {
  const announcesBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
  return announcesBody && !readableEnded && !destroyed;
}

/** Throws away what still comes, until it has come or the time is up. */
function ended(request: IncomingMessage): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timeout = setTimeout(resolve, LINGER_MS);
  request.on("error", () => {}).once("close", resolve).once("end", resolve).resume();
  return promise.finally(() => clearTimeout(timeout));
}

/** A stream that nobody will read is told so; that it may fail at that is nobody's loss. */
function discard(body: HttpResponse["body"]): void {
  if (body instanceof ReadableStream) body.cancel().catch(() => {});
}

/** An answer as `fetch` would give it. */
export function toWebResponse({ status, headers, body }: HttpResponse, method: string): Response {
  const init = { status, headers: headers.map(([name, value]): [string, string] => [name, value]) };
  if (method !== "HEAD") return new Response(body as BodyInit | undefined, init);
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
