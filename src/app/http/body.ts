import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { HttpError } from "./http-error.ts";

/** What stands between a stranger's body and our memory. */
export interface BodyLimits {
  readonly maxBodyBytes: number;
  /** From the first look at the body to its end. */
  readonly messageTimeoutMs: number;
}

/** The body of a request, read when asked for and once; each of the three may be called again. */
export interface RequestBody {
  /**
   * The bytes.
   *
   * @throws HttpError 413 above `maxBodyBytes`, 408 when they take longer than `messageTimeoutMs`, 400 when the connection ends before they do
   */
  bytes(): Promise<Buffer>;
  /** The body as UTF-8 text. Throws as `bytes` does, and HttpError 400 when it is not UTF-8. */
  text(): Promise<string>;
  /** The body as JSON. Throws as `text` does, and HttpError 400 when it is not JSON. */
  json(): Promise<unknown>;
}

/** Readers for a request's body. */
export function bodyOf(request: IncomingMessage, limits: BodyLimits): RequestBody {
  let whole: Promise<Buffer> | undefined;
  const bytes = (): Promise<Buffer> => whole ??= forgiving(readBody(request, limits));
  const text = (): Promise<string> => forgiving(bytes().then(decode));
  return { bytes, text, json: () => forgiving(text().then(parse)) };
}

/** A controller may give up before it awaits a body that it has asked for: a bad one must not end the process then. */
function forgiving<Result>(promise: Promise<Result>): Promise<Result> {
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
    clearTimeout(timeout);
    request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
  };
  const refuse = (status: number, message: string): void => {
    stop();
    // What still comes is thrown away, for as long as a connection may be silent. To end the connection here would reset it, and the reset could overtake
    // the answer.
    request.on("error", () => {}).resume();
    reject(new HttpError(status, message));
  };
  const timeout = setTimeout(
    () => refuse(408, `The body was not complete after ${messageTimeoutMs} ms`),
    messageTimeoutMs,
  );

  if (request.destroyed) onClose();
  else if (Number(request.headers["content-length"] ?? 0) > maxBodyBytes) {
    refuse(413, `The body is larger than ${maxBodyBytes} bytes`);
  } else request.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  return promise;
}
