import { Buffer } from "node:buffer";
import { isAnyArrayBuffer } from "node:util/types";
import { show } from "../common/show.ts";
import { isObject } from "../common/validate.ts";

/** What a `Response` says, whatever class the `Response` is of. */
export interface WebResponse {
  readonly status: number;
  /** In order; only Set-Cookie may come several times. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: ReadableStream<Uint8Array> | undefined;
}

/** The members by which a `Response` is recognised, and read. None of them is certain to be there. */
interface ResponseShape {
  readonly status?: unknown;
  readonly headers?: unknown;
  readonly body?: unknown;
  readonly bodyUsed?: unknown;
  readonly arrayBuffer?: unknown;
}

/** The ways in which the classes of the world list their headers. `raw` is node-fetch's. */
interface HeadersShape {
  [Symbol.iterator]?(): Iterator<readonly [name: string, value: string]>;
  forEach?(callback: (value: string, name: string) => void): void;
  get?(name: string): string | null;
  getSetCookie?(): string[];
  raw?(): Record<string, string[]>;
}

/** Where the chunks of a body come from. */
interface Source {
  next(): Promise<{ readonly done?: boolean | undefined; readonly value?: unknown }>;
  /** Nobody will ask for another chunk. */
  stop(reason: unknown): unknown;
}

/** What a chunk counts for besides its bytes. */
const CHUNK_COST_BYTES = 64;

/**
 * Reads a `Response`; gives undefined for what is none. A `Response` is recognised by its members, not by its class: beside today's global class there are those of undici,
 * node-fetch, polyfills and other realms, and an adapter may replace the global class at any time.
 *
 * @throws TypeError for a `Response` that cannot be sent
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
 * All bytes of a body.
 *
 * @param signal when it is aborted, the body is given up, and what has come until then is returned
 * @throws RangeError above `maxBytes`; whatever the body fails with
 */
export async function readWhole(
  body: ReadableStream<Uint8Array> | undefined,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (body === undefined) return new Uint8Array(0);
  const reader = body.getReader();
  const giveUp = (): void => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", giveUp);
  try {
    const chunks: Uint8Array[] = [];
    let cost = 0;
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      const bytes = toChunk(chunk.value);
      // Each chunk costs memory of its own, and a body of nothing but empty chunks would never end.
      cost += bytes.length + CHUNK_COST_BYTES;
      if (cost > maxBytes) throw new RangeError(`The body of the Response is larger than ${maxBytes} bytes`);
      chunks.push(bytes);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    giveUp();
    throw error;
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

function isResponse(value: unknown): value is ResponseShape & { readonly status: number } {
  // Some objects, such as the services, throw for members that they do not have.
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
  // Some classes join cookies into one line, which no client can take apart.
  const cookies = headers.getSetCookie?.() ?? headers.raw?.()["set-cookie"];
  if (cookies === undefined) return list;
  const others = list.filter(([name]) => name.toLowerCase() !== "set-cookie");
  return [...others, ...cookies.map((cookie) => ["set-cookie", cookie] as const)];
}

/** The body as a stream of today's global class, which all that sends it knows. */
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

/** A body that comes in one piece. */
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

/** A web stream of another class. */
function fromReader(reader: ReadableStreamDefaultReader<unknown>): Source {
  return { next: () => reader.read(), stop: (reason) => reader.cancel(reason).catch(() => {}) };
}

/** An async iterable, or a stream of Node. */
function fromIterable(body: AsyncIterable<unknown>): Source {
  const iterator = body[Symbol.asyncIterator]();
  const stream = body as { on?: unknown; destroy?: unknown };
  // What a stream of Node fails with after nobody reads it any more would be uncaught.
  if (typeof stream.on === "function") stream.on("error", () => {});
  return {
    next: () => iterator.next(),
    async stop() {
      // To leave an iterator that nobody has asked yet does not end the stream behind it.
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
