/** The body of an HTTP request: reading it within the limits of the app, and decoding it. */
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { afterReading } from "../../platform.ts";
import { HttpError } from "./http-error.ts";

/** The limits that keep a client from filling the memory of the server with a body. */
export interface BodyLimits {
  readonly maxBodyBytes: number;
  /** How long the body may take to arrive, from the moment that a controller first asks for it. */
  readonly messageTimeoutMs: number;
}

/**
 * The body of an HTTP request. It is read when a controller first calls one of the three methods, and only once. Each
 * method may be called again, in any order.
 */
export interface RequestBody {
  /**
   * Reads the whole body as bytes.
   *
   * @returns a promise of the bytes; the buffer is empty if the request has no body
   * @throws HttpError 413 if the body is larger than `maxBodyBytes`, 408 if it takes longer than `messageTimeoutMs`,
   *   400 if the connection ends before the body is complete; TypeError if other code has already read the request
   */
  bytes(): Promise<Buffer>;
  /**
   * Reads the whole body as UTF-8 text. A byte order mark is left out.
   *
   * @throws HttpError 400 if the body is not valid UTF-8, and all that `bytes` throws
   */
  text(): Promise<string>;
  /**
   * Reads the whole body as JSON.
   *
   * @returns a promise of the parsed value, which may have any shape: check it before you use it
   * @throws HttpError 400 if the body is not valid JSON, and all that `text` throws
   */
  json(): Promise<unknown>;
}

/** The names of the methods of a {@link RequestBody}. */
export const BODY_METHODS = ["bytes", "text", "json"] as const;

/** Makes the methods that read the body of a request. */
export function bodyOf(request: IncomingMessage, limits: BodyLimits): RequestBody {
  let whole: Promise<Buffer> | undefined;
  const bytes = (): Promise<Buffer> => whole ??= handled(readBody(request, limits));
  const text = (): Promise<string> => handled(bytes().then(decode));
  return { bytes, text, json: () => handled(text().then(parse)) };
}

/**
 * Marks the rejection of a promise as handled. A controller may return or throw before it awaits a body that it has
 * asked for. An invalid body would then be an unhandled rejection, which ends the process.
 */
function handled<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => {});
  return promise;
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new HttpError(400, "The body is not valid UTF-8");
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new HttpError(400, "The body is not valid JSON");
  }
}

function readBody(request: IncomingMessage, { maxBodyBytes, messageTimeoutMs }: BodyLimits): Promise<Buffer> {
  if (request.readableEnded) return Promise.reject(new TypeError("The body was read already, and not by this reader"));
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let byteLength = 0;
  let isOver = false;

  const onData = (chunk: Buffer): void => {
    byteLength += chunk.length;
    if (byteLength > maxBodyBytes) refuse(413, `The body is larger than ${maxBodyBytes} bytes`);
    else chunks.push(chunk);
  };
  const onEnd = (): void => {
    stop();
    resolve(Buffer.concat(chunks, byteLength));
  };
  const onClose = (): void => refuse(400, "The connection ended before the body did");
  const stop = (): void => {
    isOver = true;
    clearTimeout(timeout);
    request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
  };
  const refuse = (status: number, message: string): void => {
    stop();
    // The rest of the body is read and thrown away. Closing the connection here would reset it, and the reset could
    // overtake the response.
    request.on("error", () => {}).resume();
    reject(new HttpError(status, message));
  };
  const onTimeout = (): void => {
    if (!isOver) refuse(408, `The body was not complete after ${messageTimeoutMs} ms`);
  };
  const timeout = setTimeout(() => afterReading(onTimeout), messageTimeoutMs);

  if (request.destroyed) onClose();
  else if (Number(request.headers["content-length"] ?? 0) > maxBodyBytes) {
    refuse(413, `The body is larger than ${maxBodyBytes} bytes`);
  } else request.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  return promise;
}
