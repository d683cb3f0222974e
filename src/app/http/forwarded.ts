/**
 * The grammar of the headers in which proxies name the client: Forwarded (RFC 7239), and X-Forwarded-For,
 * X-Forwarded-Proto and X-Forwarded-Host. Each proxy adds its part on the right, so the parts are read from the right,
 * one by one. Nothing here throws, and everything takes linear time.
 */
import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";
import { isHost } from "../../protocol/host.ts";

/** The part of one proxy: what this proxy knows about its own peer. What is missing or malformed is undefined. */
export interface Part {
  readonly address: string | undefined;
  readonly protocol: "http" | "https" | undefined;
  readonly host: string | undefined;
}

const X_FORWARDED = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"] as const;

/** The text of a header. Node joins the lines of a header with commas; other makers of requests may give an array. */
function textOf(value: unknown): string | undefined {
  if (Array.isArray(value)) return value.join(",");
  return typeof value === "string" ? value : undefined;
}

/**
 * Reads the parts of the X-Forwarded headers, from the right. The three lists may be of different lengths.
 *
 * @returns undefined if a request has none of these headers
 */
export function partsOfXForwarded(headers: IncomingHttpHeaders): Iterable<Part> | undefined {
  const lists = X_FORWARDED.map((name) => textOf(headers[name]));
  return lists.some((list) => list !== undefined) ? joinLists(lists) : undefined;
}

function* joinLists(lists: readonly (string | undefined)[]): Generator<Part> {
  const [addresses, protocols, hosts] = lists.map((list = "") => elementsFromRight(list));
  while (true) {
    const part = readPart(addresses.next().value, protocols.next().value, hosts.next().value);
    yield part;
    if (part.address === undefined) return;
  }
}

/**
 * Reads the parts of the Forwarded header, from the right, up to the first element that is malformed.
 *
 * @returns undefined if a request has no such header
 */
export function partsOfForwarded(headers: IncomingHttpHeaders): Iterable<Part> | undefined {
  const text = textOf(headers.forwarded);
  return text === undefined ? undefined : readElements(text);
}

function* readElements(text: string): Generator<Part> {
  for (const element of elementsFromRight(text)) {
    const pairs = parsePairs(element);
    if (pairs === undefined) return;
    yield readPart(pairs.get("for"), pairs.get("proto"), pairs.get("host"));
  }
}

function readPart(address: string | undefined, protocol: string | undefined, host: string | undefined): Part {
  return { address: readAddress(address), protocol: readProtocol(protocol), host: readHost(host) };
}

/**
 * The elements of a list, from the right. Empty ones are left out (RFC 9110 §5.6.1). A comma in quotes is no separator.
 * Quotes are paired from the right as well, so that a client's quote without a partner does not swallow what a proxy
 * has added.
 */
function* elementsFromRight(text: string): Generator<string, undefined> {
  let end = text.length;
  let isQuoted = false;
  for (let at = end - 1; at >= -1; at--) {
    if (text[at] === '"' && !isEscaped(text, at)) isQuoted = !isQuoted;
    if (at >= 0 && (text[at] !== "," || isQuoted)) continue;
    const element = text.slice(at + 1, end).trim();
    if (element !== "") yield element;
    end = at;
  }
  return undefined;
}

/** True for a character with an odd number of backslashes in front of it (RFC 9110 §5.6.4). */
function isEscaped(text: string, at: number): boolean {
  let first = at;
  while (text[first - 1] === "\\") first--;
  return (at - first) % 2 === 1;
}

/**
 * The pairs of a Forwarded element (RFC 7239 §4), with names in lower case. Undefined for an element that is malformed.
 * A value without quotes may have colons and brackets, which the RFC allows in quotes only, because many proxies write
 * addresses with ports so.
 */
function parsePairs(element: string): Map<string, string> | undefined {
  const pairs = new Map<string, string>();
  // One pair, and the semicolon behind it.
  const pair = /[ \t]*([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;=]+))[ \t]*(;|$)/y;
  while (pair.lastIndex < element.length) {
    const match = pair.exec(element);
    if (match === null) return undefined;
    const name = match[1].toLowerCase();
    // RFC 7239 §4: each parameter occurs at most once.
    if (pairs.has(name)) return undefined;
    pairs.set(name, match[3] ?? match[2].replace(/\\(.)/g, "$1"));
  }
  return pairs;
}

/** An IPv6 address in brackets, or an IPv4 address, with a port or an obfuscated port (RFC 7239 §6). */
const ADDRESS = /^(?:\[([\da-f:.]+)\]|([\d.]+))(?::[\w.-]+)?$/i;

/**
 * The address that a proxy has written, without brackets and port. Undefined for a text that is no address: RFC 7239
 * §6.2 and §6.3 also allow "unknown" and names such as "_hidden".
 */
function readAddress(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const match = ADDRESS.exec(text);
  const address = (match?.[1] ?? match?.[2] ?? text).toLowerCase();
  const family = isIP(address);
  if (family === 0 || (match?.[1] !== undefined && family !== 6)) return undefined;
  return address.split("%", 1)[0];
}

/** The protocol that a proxy has written. Some proxies write ws and wss for a WebSocket. */
function readProtocol(text: string | undefined): "http" | "https" | undefined {
  const protocol = text?.toLowerCase();
  if (protocol === "https" || protocol === "wss") return "https";
  return protocol === "http" || protocol === "ws" ? "http" : undefined;
}

function readHost(text: string | undefined): string | undefined {
  return text !== undefined && isHost(text) ? text : undefined;
}
