/** A second reader of origins, which compares the parts of a URL. */

import { compileOrigins } from "../../src/app/websocket/origins.ts";
import { expectSame } from "./same.ts";

export const originPatterns = [
  "https://mysite.com",
  "https://*.mysite.com",
  "http://mysite.com:8443",
  "http://*.mysite.com:8443",
];

/** Compares with the parts of a URL, which browsers read in the same way (RFC 6454 §4). */
function judge(pattern: string, origin: string): boolean {
  const [, scheme, wildcard, host, port] = /^(https?):\/\/(\*\.)?([^:]+)(?::(\d+))?$/.exec(pattern)!;
  if (!/^[a-z][a-z\d+.-]*:\/\//i.test(origin) || !URL.canParse(origin)) return false;
  const url = new URL(origin);
  if (url.protocol !== `${scheme}:` || url.port !== (port ?? "") || url.username + url.password !== "") return false;
  if (!["", "/"].includes(url.pathname) || url.search + url.hash !== "") return false;
  const labels = url.hostname.split(".");
  const wanted = host.split(".");
  if (wildcard === undefined) return labels.join() === wanted.join();
  const [front, back] = [labels.slice(0, -wanted.length), labels.slice(-wanted.length)];
  return front.join(".") !== "" && back.join() === wanted.join();
}

/** Expects that an origin gets in only if its scheme, host and port are those of the pattern. */
export function checkOrigin(pattern: string, origin: string): void {
  const isAllowed = compileOrigins(pattern)(origin, "mysite.com");
  expectSame(String(isAllowed), String(judge(pattern, origin)), () => JSON.stringify({ pattern, origin }));
}
