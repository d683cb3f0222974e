import type { IncomingMessage } from "node:http";
import { limitsHeaders } from "../../platform.ts";
import { isHost } from "../../protocol/host.ts";
import { HttpError } from "./http-error.ts";
import type { PathParams } from "./router.ts";

/** A request as handlers see it: node:http's own, with the parts of its address taken apart. */
export interface AppRequest<Params = PathParams> extends IncomingMessage {
  /** What the route's pattern named, percent-decoded. */
  params: Params;
  /** The path, without the query, as the client wrote it: percent-encodings, `//` and `..` are left as they are. `"*"` for `OPTIONS *`. */
  path: string;
  /** The query's parameters. */
  query: URLSearchParams;
  /** The peer's address. */
  ip: string;
}

/** Takes the request's target apart. Its params are those of the route, once that is known; its path is empty when the target has none. */
export function toAppRequest(request: IncomingMessage): AppRequest {
  const { path, search } = splitTarget(request);
  // One by one: `Object.assign` takes twice the time.
  const appRequest = request as AppRequest;
  appRequest.params = {};
  appRequest.path = path;
  appRequest.query = new URLSearchParams(search);
  appRequest.ip = request.socket.remoteAddress ?? "";
  return appRequest;
}

/** The path of a request's target; empty when the target has none. */
export function pathOf(request: IncomingMessage): string {
  return splitTarget(request).path;
}

/**
 * Checks whom a request is addressed to, RFC 9112 §3.2: by its target, and by its Host header.
 *
 * @throws HttpError 400
 */
export function checkAddress(request: AppRequest): void {
  if (request.path === "") {
    throw new HttpError(
      400,
      'The target of a request must be a path that starts with "/", or an http or https address',
    );
  }
  const host = hostOf(request);
  if (host === undefined && request.httpVersion !== "1.0") throw new HttpError(400, "The Host header is missing");
  if (host !== undefined && !isHost(host)) {
    throw new HttpError(400, "The Host header must be one host, with a port or without");
  }
}

/** RFC 9112 §3.2.2: the host of a target that is a whole address replaces the Host header. */
export function adoptAuthority(request: AppRequest): void {
  if (request.url?.startsWith("/")) return;
  const { authority } = splitTarget(request);
  if (authority !== undefined) request.headers.host = authority;
}

interface Target {
  readonly path: string;
  readonly search: string;
  /** The host that a target has which is a whole address. */
  readonly authority?: string;
}

const NO_TARGET: Target = { path: "", search: "" };

/** RFC 9112 §3.2: a target is usually a path and a query; that of a proxy has scheme and host before them; "*" stands for the server, and is asked for its options only. */
function splitTarget({ url = "/", method }: IncomingMessage): Target {
  // A fragment is the client's own, and is never sent.
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
 * The Host header. Several are joined, so that they are no valid one. Our own servers join what comes twice; those of others keep the first, and only `rawHeaders` shows the
 * second. Where there is no need to, `rawHeaders` is not asked for: Bun makes it when it is, and keeps it for as long as the connection.
 */
function hostOf(request: IncomingMessage & { joinDuplicateHeaders?: boolean | null }): string | undefined {
  const { host } = request.headers;
  if (host === undefined || request.joinDuplicateHeaders === true) return host;
  const { rawHeaders } = request;
  const hosts = rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1].toLowerCase() === "host");
  return hosts.length > 1 ? hosts.join(", ") : host;
}

/** Node stops counting headers here, and Deno hands out a request without the rest: what they said is not known. */
const MAX_HEADERS = 1_000;

/** Whether a request may have had more headers than it shows. */
export function hasTooManyHeaders(request: IncomingMessage): boolean {
  return !limitsHeaders && request.rawHeaders.length >= 2 * MAX_HEADERS;
}
