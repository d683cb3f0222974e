import { HandshakeError } from "./errors.ts";
import { type ExtensionOffer, parseExtensions } from "./extensions.ts";
import { isHost } from "./host.ts";
import { isHeaderValue, isToken, splitList } from "./tokens.ts";

/** The parts of an HTTP request that the opening handshake is made of. Header names are in lower case. */
export interface UpgradeRequest {
  readonly method?: string | undefined;
  readonly httpVersion: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** What a client asked for in a valid opening handshake. */
export interface UpgradeOffer {
  readonly key: string;
  /** The subprotocols it speaks, in its order of preference. */
  readonly subprotocols: readonly string[];
  readonly extensions: readonly ExtensionOffer[];
}

/** What the server answers to it. */
export interface HandshakeResponse {
  readonly accept: string;
  readonly subprotocol?: string | undefined;
  readonly extensions?: string | undefined;
  readonly headers?: Iterable<readonly [name: string, value: string]> | undefined;
}

/** The value that a client's key is joined with before it is hashed, §1.3. */
export const ACCEPT_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** §4.1: 16 bytes in base64. The four bits that the last character has to spare may be anything, as RFC 4648 §3.5 leaves open. */
const KEY = /^[+/0-9A-Za-z]{22}==$/;

/**
 * Checks an opening handshake against RFC 6455 §4.2.1.
 *
 * @throws HandshakeError 400, 405 or 426 that says which rule is broken
 */
export function validateUpgrade(request: UpgradeRequest): UpgradeOffer {
  const { method, httpVersion, headers } = request;
  if (method !== "GET") {
    throw new HandshakeError(405, `A WebSocket handshake is a GET request; got ${method}`, { Allow: "GET" });
  }
  if (httpVersion !== "1.1") refuse(`A WebSocket handshake needs HTTP/1.1; got HTTP/${httpVersion}`);
  const host = single(headers.host);
  if (host === undefined) refuse("The Host header is missing");
  // RFC 9112 §3.2: exactly one, and one that is valid. Several hosts are several servers to whoever stands in between.
  if (!isHost(host)) refuse("The Host header must be one host, with a port or without");
  if (!listsToken(headers.upgrade, "websocket")) refuse("The Upgrade header must name websocket");
  if (!listsToken(headers.connection, "upgrade")) refuse("The Connection header must name Upgrade");
  if (hasBody(headers)) refuse("A WebSocket handshake has no body");
  const version = single(headers["sec-websocket-version"]);
  if (version !== "13") {
    const message = `Sec-WebSocket-Version must be 13; ${version === undefined ? "it is missing" : "got another one"}`;
    throw new HandshakeError(426, message, { "Sec-WebSocket-Version": "13", Upgrade: "websocket" });
  }
  const key = single(headers["sec-websocket-key"]);
  if (key === undefined || !KEY.test(key)) refuse("Sec-WebSocket-Key must be 16 bytes in base64, given once");
  const extensions = single(headers["sec-websocket-extensions"]);
  return {
    key,
    subprotocols: parseSubprotocols(single(headers["sec-websocket-protocol"])),
    extensions: extensions === undefined ? [] : parseExtensions(extensions),
  };
}

/**
 * The status line and headers of the 101 answer, §4.2.2.
 *
 * @throws TypeError for a header that would break out of its line
 */
export function encodeHandshakeResponse({ accept, subprotocol, extensions, headers = [] }: HandshakeResponse): string {
  const all: (readonly [name: string, value: string])[] = [["Sec-WebSocket-Accept", accept]];
  if (subprotocol !== undefined) all.push(["Sec-WebSocket-Protocol", subprotocol]);
  if (extensions !== undefined) all.push(["Sec-WebSocket-Extensions", extensions]);
  all.push(...headers);
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${encodeHeaders(all)}\r\n`;
}

/**
 * Header lines, each with its line break.
 *
 * @throws TypeError for a name or value that would break out of its line
 */
export function encodeHeaders(headers: Iterable<readonly [name: string, value: string]>): string {
  let lines = "";
  for (const [name, value] of headers) {
    checkHeader(name, value);
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

/** @throws TypeError for a name or value that would break out of its line */
export function checkHeader(name: string, value: string): void {
  if (!isToken(name)) throw new TypeError(`${JSON.stringify(name)} is not a header name`);
  if (!isHeaderValue(value)) throw new TypeError(`The value of the header ${name} has characters that none may have`);
}

/** §4.1, Sec-WebSocket-Protocol: tokens, each once. */
function parseSubprotocols(value: string | undefined): string[] {
  if (value === undefined) return [];
  const subprotocols = splitList(value);
  const areValid = subprotocols.length > 0 && subprotocols.every(isToken) &&
    new Set(subprotocols).size === subprotocols.length;
  return areValid ? subprotocols : refuse("Sec-WebSocket-Protocol must be a list of different tokens");
}

function hasBody(headers: UpgradeRequest["headers"]): boolean {
  const length = single(headers["content-length"]);
  return headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0");
}

/** Whether a token stands in a comma-separated header, in any case. */
export function listsToken(value: string | string[] | undefined, token: string): boolean {
  const text = single(value);
  if (text === undefined) return false;
  // Nearly always it stands alone.
  return text.toLowerCase() === token || splitList(text).some((element) => element.toLowerCase() === token);
}

/** A header that came several times is joined, so that what allows only one value refuses it by its grammar. */
function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(", ") : value;
}

function refuse(message: string): never {
  throw new HandshakeError(400, message);
}

/**
 * The first of the server's subprotocols that the client offers.
 *
 * @throws HandshakeError 400 when the client offers only others: it would have to fail the connection itself, without saying why
 */
export function chooseSubprotocol(spoken: readonly string[], offered: readonly string[]): string | undefined {
  const chosen = spoken.find((name) => offered.includes(name));
  if (chosen === undefined && spoken.length > 0 && offered.length > 0) {
    throw new HandshakeError(400, `None of the offered subprotocols is spoken here; these are: ${spoken.join(", ")}`);
  }
  return chosen;
}
