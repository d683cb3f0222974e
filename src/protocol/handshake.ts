/**
 * The opening handshake, RFC 6455 §4.2: checking a client's request, choosing a subprotocol, and writing the headers
 * of the response. Hashing the key is left to `acceptKey` of `platform.ts`, since the runtime has SHA-1.
 */
import { HandshakeError } from "./errors.ts";
import { type ExtensionOffer, parseExtensions } from "./extensions.ts";
import { isHost } from "./host.ts";
import { isHeaderValue, isToken, splitList } from "./tokens.ts";

/** The parts of an HTTP request that the opening handshake consists of. Header names are in lower case. */
export interface UpgradeRequest {
  readonly method?: string | undefined;
  readonly httpVersion: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** What a client offers in a valid opening handshake. */
export interface UpgradeOffer {
  /** The value of Sec-WebSocket-Key. */
  readonly key: string;
  /** The client's subprotocols in its order of preference. */
  readonly subprotocols: readonly string[];
  readonly extensions: readonly ExtensionOffer[];
}

/** The contents of the server's 101 response, §4.2.2. */
export interface HandshakeResponse {
  /** The value of Sec-WebSocket-Accept. */
  readonly accept: string;
  /** The value of Sec-WebSocket-Protocol; the header is left out when there is none. */
  readonly subprotocol?: string | undefined;
  /** The value of Sec-WebSocket-Extensions; the header is left out when there is none. */
  readonly extensions?: string | undefined;
  /** Further headers, which follow those of the handshake. */
  readonly headers?: Iterable<readonly [name: string, value: string]> | undefined;
}

/** The GUID that is appended to a client's key before both are hashed, §1.3. */
export const ACCEPT_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** §4.1: 16 bytes in base64. The last character has four unused bits, whose values RFC 4648 §3.5 leaves open. */
const KEY = /^[+/0-9A-Za-z]{22}==$/;

/**
 * Checks a client's opening handshake against RFC 6455 §4.2.1 and gives what the client offers.
 *
 * @throws HandshakeError 405 for a method other than GET, 426 for a Sec-WebSocket-Version other than 13, 400 for every
 * other rule that the request breaks
 */
export function validateUpgrade(request: UpgradeRequest): UpgradeOffer {
  const { method, httpVersion, headers } = request;
  if (method !== "GET") {
    throw new HandshakeError(405, `A WebSocket handshake is a GET request; got ${method}`, { Allow: "GET" });
  }
  if (httpVersion !== "1.1") refuse(`A WebSocket handshake needs HTTP/1.1; got HTTP/${httpVersion}`);
  const host = single(headers.host);
  if (host === undefined) refuse("The Host header is missing");
  // RFC 9112 §3.2: exactly one valid Host. With several of them, a proxy in between may read another host than the
  // server.
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
 * The status line and the headers of the 101 response, §4.2.2, with the empty line that ends them.
 *
 * @throws TypeError for a header name or value that could begin another line
 */
export function encodeHandshakeResponse({ accept, subprotocol, extensions, headers = [] }: HandshakeResponse): string {
  const all: (readonly [name: string, value: string])[] = [["Sec-WebSocket-Accept", accept]];
  if (subprotocol !== undefined) all.push(["Sec-WebSocket-Protocol", subprotocol]);
  if (extensions !== undefined) all.push(["Sec-WebSocket-Extensions", extensions]);
  all.push(...headers);
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${encodeHeaders(all)}\r\n`;
}

/**
 * Writes header lines, each with its line break.
 *
 * @throws TypeError for a name or value that could begin another line
 */
export function encodeHeaders(headers: Iterable<readonly [name: string, value: string]>): string {
  let lines = "";
  for (const [name, value] of headers) {
    checkHeader(name, value);
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

/**
 * Checks the name and the value of a header that is to be sent.
 *
 * @throws TypeError for a name that is no token, or a value with characters that could begin another line
 */
export function checkHeader(name: string, value: string): void {
  if (!isToken(name)) throw new TypeError(`${JSON.stringify(name)} is not a header name`);
  if (!isHeaderValue(value)) throw new TypeError(`The value of the header ${name} has characters that none may have`);
}

/** Reads Sec-WebSocket-Protocol: a list of tokens in which each stands once (§4.1). */
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

/**
 * True when a comma-separated header contains a token. Upper and lower case do not matter in the header.
 *
 * @param token the token in lower case
 */
export function listsToken(value: string | string[] | undefined, token: string): boolean {
  const text = single(value);
  if (text === undefined) return false;
  // The token nearly always stands alone, and then the header need not be split.
  return text.toLowerCase() === token || splitList(text).some((element) => element.toLowerCase() === token);
}

/** The value of a header. Several values are joined: a header that allows only one is then refused by its grammar. */
function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(", ") : value;
}

function refuse(message: string): never {
  throw new HandshakeError(400, message);
}

/**
 * Chooses the first of the server's subprotocols that the client offers, §4.2.2.
 *
 * @param supported the server's subprotocols in its order of preference; when there are none, the server chooses none
 * @param offered the client's subprotocols
 * @returns the chosen subprotocol, or `undefined` when one of the two lists is empty
 * @throws HandshakeError 400 when both lists have elements but none in common. A 101 without a subprotocol would leave
 * the client to close the connection itself, and would not tell it why.
 */
export function chooseSubprotocol(supported: readonly string[], offered: readonly string[]): string | undefined {
  const chosen = supported.find((name) => offered.includes(name));
  if (chosen === undefined && supported.length > 0 && offered.length > 0) {
    throw new HandshakeError(
      400,
      `None of the offered subprotocols is spoken here; these are: ${supported.join(", ")}`,
    );
  }
  return chosen;
}
