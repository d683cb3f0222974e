/** Reads web `Response` objects, whichever class they are of, and their bodies. */
import { Buffer } from "node:buffer";
import { isAnyArrayBuffer } from "node:util/types";
import { show } from "../common/show.ts";
import { isObject } from "../common/validate.ts";

/** The content of a `Response`, in the same form whatever class the `Response` is of. */
export interface WebResponse {
  readonly status: number;
  /** The headers, in order. Only Set-Cookie may occur more than once. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: ReadableStream<Uint8Array> | undefined;
}

/** The members by which a `Response` is recognised and read. Any of them may be missing. */
interface ResponseShape {
  readonly status?: unknown;
  readonly headers?: unknown;
  readonly body?: unknown;
  readonly bodyUsed?: unknown;
  readonly arrayBuffer?: unknown;
}

/** The ways in which different classes list their headers. `raw` is the one of node-fetch. */
interface HeadersShape {
  [Symbol.iterator]?(): Iterator<readonly [name: string, value: string]>;
  forEach?(callback: (value: string, name: string) => void): void;
  get?(name: string): string | null;
  getSetCookie?(): string[];
  raw?(): Record<string, string[]>;
}

/** The source of the chunks of a body. */
interface Source {
  next(): Promise<{ readonly done?: boolean | undefined; readonly value?: unknown }>;
  /** Called when no further chunk will be asked for. */
  stop(reason: unknown): unknown;
}

/** What a chunk counts in addition to its bytes, for the memory that it costs. */
const CHUNK_COST_BYTES = 64;

/**
 * Reads a `Response`. A `Response` is recognised by its members and not by its class: besides the global class there
 * are those of undici, node-fetch, polyfills and other realms, and an adapter may replace the global class at any time.
 *
 * @returns undefined if the value is not a `Response`
 * @throws TypeError if the `Response` cannot be sent
 */
export function readResponse(value: unknown): WebResponse | undefined {
  if (!isResponse(value)) return undefined;
  const { status, headers, bodyUsed, body } = value;
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new TypeError(`The status of a Response must be 200 to 599; got ${status}`);
  }
  const isLocked = isObject(body) && (body as ReadableStream).locked === true;
  if (bodyUsed === true || isLocked) throw new TypeError("The body of the Response was read already");
  return { status, headers: listHeaders(headers), body: toStream(value) };
}

/**
 * Reads a whole body.
 *
 * @param maxBytes the limit of the body's size, in which each chunk counts 64 bytes more than it has
 * @param signal cancels the body when it is aborted; the bytes that have come until then are returned
 * @throws RangeError above `maxBytes`; the error of the body, if it fails
 */
export async function readWhole(
  body: ReadableStream<Uint8Array> | undefined,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (body === undefined) return new Uint8Array(0);
  const reader = body.getReader();
  const cancel = (): void => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", cancel);
  try {
    const chunks: Uint8Array[] = [];
    let cost = 0;
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      const bytes = toChunk(chunk.value);
      // Each chunk costs memory of its own. Without this cost, a body of empty chunks could go on for ever.
      cost += bytes.length + CHUNK_COST_BYTES;
      if (cost > maxBytes) throw new RangeError(`The body of the Response is larger than ${maxBytes} bytes`);
      chunks.push(bytes);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    cancel();
    throw error;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

function isResponse(value: unknown): value is ResponseShape & { readonly status: number } {
  // `in` comes first, because some objects, such as the services, throw when a member is read that they do not have.
  if (!isObject(value) || !("status" in value) || typeof value.status !== "number") return false;
  if ("arrayBuffer" in value && typeof value.arrayBuffer === "function") return true;
  return "body" in value && "headers" in value && isHeaders(value.headers);
}

function isHeaders(value: unknown): boolean {
  if (!isObject(value)) return false;
  const headers = value as HeadersShape;
  return [headers[Symbol.iterator], headers.forEach, headers.get].some((member) => typeof member === "function");
}

function listHeaders(value: unknown): (readonly [name: string, value: string])[] {
  if (!isObject(value)) return [];
  const headers = value as HeadersShape;
  const list: (readonly [name: string, value: string])[] = [];
  const add = (name: unknown, text: unknown): void => void list.push([String(name), String(text)]);
  if (typeof headers[Symbol.iterator] === "function") {
    for (const [name, text] of headers as Iterable<readonly [string, string]>) add(name, text);
  } else if (typeof headers.forEach === "function") headers.forEach((text, name) => add(name, text));
  else if (typeof headers.get !== "function") { for (const [name, text] of Object.entries(headers)) add(name, text); }
  else throw new TypeError("The headers of the Response cannot be listed: they have neither an iterator nor forEach");
  // The lists of some classes join all cookies into one value, which no client can take apart. Their own methods give
  // the cookies one by one.
  const cookies = headers.getSetCookie?.() ?? headers.raw?.()["set-cookie"];
  if (cookies === undefined) return list;
  const others = list.filter(([name]) => name.toLowerCase() !== "set-cookie");
  return [...others, ...cookies.map((cookie) => ["set-cookie", cookie] as const)];
}

/** Makes a stream of the global class, which node:http and `Response` can send, of whatever the body is. */
function toStream(response: ResponseShape): ReadableStream<Uint8Array> | undefined {
  const { body, arrayBuffer } = response;
  if (body === null) return undefined;
  if (body instanceof ReadableStream) return body;
  if (typeof body === "string" || isBytes(body)) return streamOf(once(() => body));
  if (isObject(body)) {
    if (typeof (body as ReadableStream).getReader === "function") {
      return streamOf(fromReader((body as ReadableStream).getReader()));
    }
    if (typeof (body as AsyncIterable<unknown>)[Symbol.asyncIterator] === "function") {
      return streamOf(fromIterable(body as AsyncIterable<unknown>));
    }
  }
  if (typeof arrayBuffer === "function") return streamOf(once(() => arrayBuffer.call(response)));
  if (body === undefined) return undefined;
  throw new TypeError(`The body of a Response must be a stream, an async iterable or bytes; got ${show(body)}`);
}

function streamOf(source: Source): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await source.next();
        if (done) controller.close();
        else controller.enqueue(toChunk(value));
      } catch (error) {
        source.stop(error);
        throw error;
      }
    },
    async cancel(reason) {
      await source.stop(reason);
    },
  }, { highWaterMark: 0 });
}

/** The source of a body in one piece. */
function once(read: () => unknown): Source {
  let isRead = false;
  return {
    async next() {
      if (isRead) return { done: true };
      isRead = true;
      return { value: await read() };
    },
    stop() {},
  };
}

/** The source of a body that is a web stream of another class. */
function fromReader(reader: ReadableStreamDefaultReader<unknown>): Source {
  return { next: () => reader.read(), stop: (reason) => reader.cancel(reason).catch(() => {}) };
}

/** The source of a body that is an async iterable, such as a stream of Node. */
function fromIterable(body: AsyncIterable<unknown>): Source {
  const iterator = body[Symbol.asyncIterator]();
  const stream = body as { on?: unknown; destroy?: unknown };
  // If a stream of Node fails when it is not read any more, an `error` event without a listener would end the process.
  if (typeof stream.on === "function") stream.on("error", () => {});
  return {
    next: () => iterator.next(),
    async stop() {
      // `return` of an iterator that has not begun to iterate does not destroy the stream behind it.
      if (typeof stream.destroy === "function") stream.destroy();
      else await iterator.return?.();
    },
  };
}

function isBytes(value: unknown): value is ArrayBuffer | ArrayBufferView {
  return ArrayBuffer.isView(value) || isAnyArrayBuffer(value);
}

function toChunk(value: unknown): Uint8Array {
  if (typeof value === "string") return Buffer.from(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (isAnyArrayBuffer(value)) return new Uint8Array(value);
  throw new TypeError(`The body of a Response must consist of bytes or strings; got ${show(value)}`);
}
