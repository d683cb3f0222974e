/** Responses of other classes than the global one: they have the same members, but other prototypes. */

import { Readable } from "node:stream";
import { Response as UndiciResponse } from "undici";

/** The status, the headers and the text of a `Response` to be made. */
export interface ResponseParts {
  readonly status: number;
  readonly text: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** Headers like those of node-fetch: the iterator joins cookies, and `raw` gives them one by one. */
class FetchHeaders {
  readonly #all = new Map<string, string[]>();

  constructor(headers: ResponseParts["headers"]) {
    for (const [name, value] of headers) this.#all.set(name, [...this.#all.get(name) ?? [], value]);
  }

  *[Symbol.iterator](): Iterator<[string, string]> {
    for (const [name, values] of this.#all) yield [name, values.join(", ")];
  }

  get(name: string): string | null {
    return this.#all.get(name)?.join(", ") ?? null;
  }

  raw(): Record<string, string[]> {
    return Object.fromEntries(this.#all);
  }
}

/** Headers that have only `forEach`, as in old browsers. */
class ListedHeaders {
  readonly #all: ResponseParts["headers"];

  constructor(all: ResponseParts["headers"]) {
    this.#all = all;
  }

  forEach(callback: (value: string, name: string) => void): void {
    for (const [name, value] of this.#all) callback(value, name);
  }
}

/** A web stream that is not a `ReadableStream` of this realm. */
export class OtherStream {
  readonly #chunks: Iterator<unknown> | AsyncIterator<unknown>;
  readonly locked = false;
  cancelled = false;

  constructor(chunks: Iterator<unknown> | AsyncIterator<unknown>) {
    this.#chunks = chunks;
  }

  getReader(): { read(): Promise<unknown>; cancel(): Promise<void> } {
    return {
      read: async () => await this.#chunks.next(),
      // deno-lint-ignore require-await -- as the class that it imitates
      cancel: async () => void (this.cancelled = true),
    };
  }
}

function listed({ status, headers }: ResponseParts, rest: object): object {
  return { status, headers: new ListedHeaders(headers), ...rest };
}

/**
 * The bytes of a text in two parts, which are divided behind the second byte, so that a character may be divided too.
 */
function* halves(text: string): Generator<Uint8Array> {
  const bytes = Buffer.from(text);
  yield bytes.subarray(0, 2);
  yield bytes.subarray(2);
}

async function* asyncHalves(text: string): AsyncGenerator<Uint8Array> {
  yield* halves(text);
}

const headersOf = (parts: ResponseParts): [string, string][] => parts.headers.map(([name, value]) => [name, value]);

/** Functions, by name, that make a `Response` which is not an instance of the global class when it is read. */
export const foreignResponses: readonly (readonly [name: string, make: (parts: ResponseParts) => unknown])[] = [
  ["the global class before a polyfill replaced it", (parts) => {
    return new Response(parts.text, { status: parts.status, headers: headersOf(parts) });
  }],
  ["undici's", (parts) => new UndiciResponse(parts.text, { status: parts.status, headers: headersOf(parts) })],
  ["node-fetch's, with a stream of Node", (parts) => ({
    status: parts.status,
    headers: new FetchHeaders(parts.headers),
    body: Readable.from(halves(parts.text)),
    bodyUsed: false,
  })],
  ["node-fetch 2's, with a Buffer", (parts) => ({
    status: parts.status,
    headers: new FetchHeaders(parts.headers),
    body: Buffer.from(parts.text),
    bodyUsed: false,
  })],
  ["one with a web stream of another class", (parts) => listed(parts, { body: new OtherStream(halves(parts.text)) })],
  ["one with an async iterable", (parts) => listed(parts, { body: asyncHalves(parts.text) })],
  ["one with a text", (parts) => listed(parts, { body: parts.text })],
  ["a polyfill's, which has only arrayBuffer()", (parts) => {
    return listed(parts, { arrayBuffer: () => Promise.resolve(new Uint8Array(Buffer.from(parts.text)).buffer) });
  }],
  ["one whose headers are a plain object", ({ status, text, headers }) => ({
    status,
    headers: Object.fromEntries(headers.filter(([name]) => name !== "set-cookie")),
    arrayBuffer: () => Buffer.from(text),
  })],
];

/** Replaces the global class, as polyfills and adapters do, and returns a function that restores it. */
export function replaceGlobalResponse(): () => void {
  const before = globalThis.Response;
  globalThis.Response = class extends before {};
  return () => void (globalThis.Response = before);
}
