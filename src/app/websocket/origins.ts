/** The option `wsOrigins`: the origins of the web pages that may connect. */
import { show } from "../common/show.ts";
import { isTrue } from "../common/validate.ts";

/**
 * The origins of the web pages that may open a WebSocket (RFC 6455 §10.2). A browser sends the origin of the page,
 * which the page cannot change, together with the cookies of the user. Without a check of the origin, any page can act
 * as the user.
 *
 * - A string is one origin, such as `"https://mysite.com"`. `"https://*.mysite.com"` stands for every subdomain, of one
 *   or more labels, but not for `mysite.com` itself.
 * - `"same-origin"` stands for pages that were loaded over http or https from the host and port to which they connect.
 *   Behind proxies, the option `trustProxy` makes the host, and the protocol, those that the trusted proxies name.
 * - Pages of an app have the origin of its scheme, such as `"tauri://localhost"`, `"capacitor://localhost"`,
 *   `"app://."`, or `"chrome-extension://"` and the id of the extension. Scheme and host must be the same.
 * - `"file://"` stands for pages that were opened from a file, in browsers that say so. Others send `"null"`.
 * - `"null"` stands for all pages without an origin of their own: files, frames with `sandbox`, and `data:` addresses.
 *   Any site can make such a frame, so `"null"` is no more secure than to allow every origin.
 * - A RegExp is tested against the origin as the browser has sent it.
 * - A function is an {@link OriginPredicate}.
 * - An array allows each of its origins. An empty array allows none.
 *
 * Strings are compared as browsers normalise them: upper and lower case, default ports and international names do not
 * matter. Requests without an Origin header are accepted, because they do not come from a browser.
 */
export type WsOrigins = string | RegExp | OriginPredicate | readonly (string | RegExp | OriginPredicate)[];

/**
 * Decides whether pages of an origin may connect. It gets the origin as the browser has sent it, and the host that the
 * client has asked for: {@link AppRequest.host}. Only `true` lets the client in.
 */
export type OriginPredicate = (origin: string, host: string) => boolean;

/**
 * Tells whether a request with this Origin and Host may connect. The protocol is the one that trusted proxies have
 * named, or undefined.
 */
export type OriginCheck = (origin: string, host: string, protocol?: "http" | "https" | undefined) => boolean;

/**
 * Makes one check out of the option `wsOrigins`.
 *
 * @throws TypeError that names the value that is no origin
 */
export function compileOrigins(allowed: WsOrigins): OriginCheck {
  const checks = (Array.isArray(allowed) ? allowed : [allowed]).map(compileOrigin);
  return (origin, host, protocol) => checks.some((check) => check(origin, host, protocol));
}

function compileOrigin(allowed: unknown): OriginCheck {
  if (allowed === "same-origin") return isSameOrigin;
  if (allowed === "null") return (origin) => origin === "null";
  if (typeof allowed === "string") return allowed.includes("*") ? compileWildcard(allowed) : compileExact(allowed);
  if (allowed instanceof RegExp) {
    // A RegExp with the flag g or y starts where its last match has ended. A copy without these flags always starts at
    // the beginning.
    const pattern = new RegExp(allowed.source, allowed.flags.replace(/[gy]/g, ""));
    return (origin) => pattern.test(origin);
  }
  // Only true lets a client in: a predicate that is async by mistake returns a promise, which is truthy for every
  // origin.
  if (typeof allowed === "function") return (origin, host) => isTrue((allowed as OriginPredicate)(origin, host));
  throw new TypeError(
    `wsOrigins must be a string, "same-origin", a RegExp, a function, or an array of them; got ${show(allowed)}`,
  );
}

function compileExact(allowed: string): OriginCheck {
  const wanted = normalise(allowed) ?? refuse(allowed);
  return (origin) => normalise(origin) === wanted;
}

function compileWildcard(allowed: string): OriginCheck {
  const match = /^([a-z][a-z0-9+.-]*:\/\/)\*(\.[^*]+)$/i.exec(allowed);
  if (match === null) refuse(allowed);
  const parent = normalise(match[1] + "x" + match[2]);
  if (parent === undefined) refuse(allowed);
  const [scheme, rest] = splitScheme(parent);
  const suffix = rest.slice(1); // without the x that has stood for the asterisk
  return (origin) => {
    const normal = normalise(origin);
    if (normal === undefined) return false;
    const [itsScheme, itsHost] = splitScheme(normal);
    return itsScheme === scheme && itsHost.length > suffix.length && itsHost.endsWith(suffix);
  };
}

function splitScheme(origin: string): [scheme: string, host: string] {
  const at = origin.indexOf("://");
  return [origin.slice(0, at), origin.slice(at + 3)];
}

/**
 * Tells whether a page was loaded from the host and port of the request. Where no trusted proxy has named the protocol,
 * the scheme and the default port are those of the page: a page that was loaded over TLS may have come through a proxy
 * that speaks plain HTTP to this server.
 */
export function isSameOrigin(origin: string, host: string, protocol?: "http" | "https" | undefined): boolean {
  const page = normalise(origin);
  // A page of another scheme was not loaded from a server, whatever its host is called.
  if (page === undefined || !/^https?:/.test(page)) return false;
  return page === normalise(`${protocol ?? splitScheme(page)[0]}://${host}`);
}

/**
 * Writes scheme, host and port of an origin as every browser does. The host is empty in "file://", and may be so with
 * the scheme of an app. Gives undefined for a value that is no origin, such as "null" or "mailto:x".
 */
function normalise(origin: string): string | undefined {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(origin)) return undefined;
  let url: URL;
  try {
    url = new URL(origin);
  } catch {
    return undefined;
  }
  const isBare = url.username === "" && url.password === "" && url.pathname.length <= 1 &&
    url.search === "" && url.hash === "";
  return isBare ? `${url.protocol}//${url.host}` : undefined;
}

function refuse(allowed: string): never {
  throw new TypeError(
    'wsOrigins must have origins like "https://mysite.com", "https://*.mysite.com", "tauri://localhost", "file://" or ' +
      `"null"; got ${show(allowed)}`,
  );
}
