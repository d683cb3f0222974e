/** The request that handlers see, and the checks of its address that every way in shares. */
import type { IncomingMessage } from "node:http";
import type { Socket as RawSocket } from "node:net";
import type { TLSSocket } from "node:tls";
import { limitsHeaders } from "../../platform.ts";
import { isHost } from "../../protocol/host.ts";
import { HttpError } from "./http-error.ts";
import type { PathParams } from "./router.ts";
import { type Client, type ProxyPredicate, readClient } from "./trust-proxy.ts";

/**
 * The request that handlers get: the `IncomingMessage` of node:http, with the members below. What code sets on it is
 * set on the message. The members below are only shown on top of the message, so a framework that has members of the
 * same names keeps its own. When a hook hands the request to Express, for example, Express and its middleware read
 * Express's `path`, `query` and `ip`; the handler then reads those of the app again.
 */
export interface AppRequest<Params = PathParams> extends IncomingMessage {
  /** The parts of the path that the route names, percent-decoded. See {@link PathParams}. */
  params: Params;
  /**
   * The path without the query, as the client wrote it: percent-encodings, `//` and `..` are left as they are. `"*"`
   * for a request `OPTIONS *`.
   */
  path: string;
  /** The parameters of the query, decoded. */
  query: URLSearchParams;
  /**
   * The IP address of the client, as far as `trustProxy` can tell it. Without that option, the address of the other end
   * of the connection, which may be a proxy. Empty if it is not known, as at a Unix socket.
   */
  ip: string;
  /**
   * The protocol of the request: `"https"` over TLS, otherwise `"http"`. A WebSocket handshake is a request like any
   * other, so it has these two as well. With the option `trustProxy`, the protocol that the trusted proxies name.
   */
  protocol: "http" | "https";
  /**
   * The host that the client has asked for, with the port if there is one: the Host header or, with the option
   * `trustProxy`, the host that the trusted proxies name. Empty if the request has none.
   */
  host: string;
}

/** The names of the members that the app adds to every request. */
export const PART_NAMES = ["params", "path", "query", "ip", "protocol", "host"] as const;

/** The members that the app adds to every request. */
export class RequestParts implements Pick<AppRequest, typeof PART_NAMES[number]> {
  /** Empty until the route is known. */
  params: PathParams = {};
  /** Empty if the target of the request has no path. */
  readonly path: string;
  readonly ip: string;
  readonly protocol: "http" | "https";
  readonly #message: IncomingMessage;
  readonly #client: Client;
  readonly #search: string;
  #query: URLSearchParams | undefined;

  constructor(message: IncomingMessage, client: Client) {
    const { path, search } = splitTarget(message);
    const isEncrypted = (message.socket as TLSSocket | undefined)?.encrypted === true;
    this.path = path;
    this.ip = client.ip;
    this.protocol = client.protocol ?? (isEncrypted ? "https" : "http");
    this.#message = message;
    this.#client = client;
    this.#search = search;
  }

  /** Made when it is first asked for, because that takes longer than all the rest, and most handlers do not ask. */
  get query(): URLSearchParams {
    return this.#query ??= new URLSearchParams(this.#search);
  }

  get host(): string {
    return this.#client.host ?? this.#message.headers.host ?? "";
  }
}

/** The client of a request, as far as it can be known. */
export function clientOf({ socket, headers }: IncomingMessage, isTrustedProxy: ProxyPredicate | undefined): Client {
  // A message that another library has made may have no socket.
  return readClient((socket as RawSocket | undefined)?.remoteAddress ?? "", headers, isTrustedProxy);
}

/** The path of a request's target. Empty if the target has none. */
export function pathOf(request: IncomingMessage): string {
  return splitTarget(request).path;
}

/**
 * Checks the address of a request (RFC 9112 §3.2): its target and its Host header.
 *
 * @throws HttpError 400 if one of the two is missing or not valid
 */
export function checkAddress(message: IncomingMessage, path: string): void {
  if (path === "") {
    throw new HttpError(
      400,
      'The target of a request must be a path that starts with "/", or an http or https address',
    );
  }
  const host = hostOf(message);
  if (host === undefined && message.httpVersion !== "1.0") throw new HttpError(400, "The Host header is missing");
  if (host !== undefined && !isHost(host)) {
    throw new HttpError(400, "The Host header must be one host, with a port or without");
  }
}

/** Replaces the Host header by the host of the target, if the target is a whole URL (RFC 9112 §3.2.2). */
export function adoptAuthority(message: IncomingMessage): void {
  if (message.url?.startsWith("/")) return;
  const { authority } = splitTarget(message);
  if (authority !== undefined) message.headers.host = authority;
}

interface Target {
  readonly path: string;
  readonly search: string;
  /** The host and port, if the target is a whole URL. */
  readonly authority?: string;
}

const NO_TARGET: Target = { path: "", search: "" };

/**
 * Takes the target of a request apart (RFC 9112 §3.2). Usually a target is a path and a query. From a proxy, it has a
 * scheme and a host in front of them. The target "*" stands for the whole server, and only OPTIONS requests may have
 * it.
 */
function splitTarget({ url = "/", method }: IncomingMessage): Target {
  // RFC 9112 §3.2: no form of a target has a fragment. Clients keep it to themselves.
  if (url.includes("#")) return NO_TARGET;
  if (url.startsWith("/")) return splitPath(url);
  if (url === "*" && method === "OPTIONS") return { path: "*", search: "" };
  const [origin, authority] = /^https?:\/\/([^/?#]*)/i.exec(url) ?? NO_MATCH;
  if (origin === undefined || authority === undefined || !isHost(authority)) return NO_TARGET;
  const { path, search } = splitPath(url.slice(origin.length));
  return { path: path === "" ? "/" : path, search, authority };
}

const NO_MATCH: readonly undefined[] = [];

function splitPath(text: string): Target {
  const at = text.indexOf("?");
  return at === -1 ? { path: text, search: "" } : { path: text.slice(0, at), search: text.slice(at + 1) };
}

/**
 * The Host header. If a request has several, their values are joined by commas, so that the result is not a valid host.
 *
 * The servers of this app join duplicates themselves (`joinDuplicateHeaders`). Attached servers keep the first value,
 * and only `rawHeaders` shows the second. `rawHeaders` is read only where it is needed, because Bun makes the array
 * when it is first read, and then keeps it for as long as the connection lasts.
 */
function hostOf(request: IncomingMessage & { joinDuplicateHeaders?: boolean | null }): string | undefined {
  const { host } = request.headers;
  if (host === undefined || request.joinDuplicateHeaders === true) return host;
  const { rawHeaders } = request;
  const hosts = rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1].toLowerCase() === "host");
  return hosts.length > 1 ? hosts.join(", ") : host;
}

/**
 * Node parses no more headers than this, and Deno hands out a request without the headers beyond it: what they said is
 * not known.
 */
const MAX_HEADERS = 1_000;

/** Whether a request may have had more headers than the runtime shows. */
export function hasTooManyHeaders(request: IncomingMessage): boolean {
  return !limitsHeaders && request.rawHeaders.length >= 2 * MAX_HEADERS;
}
