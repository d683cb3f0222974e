import { show } from "../common/show.ts";

/**
 * Which web pages may open a WebSocket (RFC 6455 §10.2). A browser sends the page's origin and lets no page change it, while it sends
 * the user's cookies along: without a check any page can act as the user.
 *
 * - a string: one origin, `"https://mysite.com"`; `"https://*.mysite.com"` is every subdomain, of one or more labels
 * - `"same-origin"`: the page was loaded from the host and port that it connects to
 * - a RegExp, tried on the origin as the browser sends it
 * - a function of the origin and the request's Host header
 * - an array: any of them
 */
export type WsOrigins = string | RegExp | OriginPredicate | readonly (string | RegExp | OriginPredicate)[];

/** Decides on an origin, as the browser sent it, for a request's Host header. */
export type OriginPredicate = (origin: string, host: string) => boolean;

/** Whether a request with this Origin and Host may connect. */
export type OriginCheck = (origin: string, host: string) => boolean;

/**
 * Makes one check of all that may connect.
 *
 * @throws TypeError for what is no origin, naming it
 */
export function compileOrigins(allowed: WsOrigins): OriginCheck {
  const checks = (Array.isArray(allowed) ? allowed : [allowed]).map(compileOrigin);
  return (origin, host) => checks.some((check) => check(origin, host));
}

function compileOrigin(allowed: unknown): OriginCheck {
  if (allowed === "same-origin") return isSameOrigin;
  if (typeof allowed === "string") return allowed.includes("*") ? compileWildcard(allowed) : compileExact(allowed);
  if (allowed instanceof RegExp) {
    // With the g or y flag a RegExp remembers where it was: a fresh one does not.
    const pattern = new RegExp(allowed.source, allowed.flags.replace(/[gy]/g, ""));
    return (origin) => pattern.test(origin);
  }
  // Only true is a yes: a promise, say, would be one to everybody.
  if (typeof allowed === "function") return (origin, host) => (allowed as OriginPredicate)(origin, host) === true;
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
  const suffix = rest.slice(1); // without the x
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

/** A page loaded over TLS may sit behind a proxy that ends it, so scheme and default port are the page's own. */
export function isSameOrigin(origin: string, host: string): boolean {
  const page = normalise(origin);
  if (page === undefined) return false;
  return page === normalise(`${splitScheme(page)[0]}://${host}`);
}

/** Scheme, host and port as every browser would write them; undefined for what is no origin, such as "null". */
function normalise(origin: string): string | undefined {
  let url: URL;
  try {
    url = new URL(origin);
  } catch {
    return undefined;
  }
  const isBare = url.host !== "" && url.username === "" && url.password === "" && url.pathname.length <= 1 &&
    url.search === "" && url.hash === "";
  return isBare ? `${url.protocol}//${url.host}` : undefined;
}

function refuse(allowed: string): never {
  throw new TypeError(
    `wsOrigins must have origins like "https://mysite.com" or "https://*.mysite.com"; got ${show(allowed)}`,
  );
}
