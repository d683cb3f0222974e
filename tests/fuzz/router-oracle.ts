/** A slow and simple reading of the patterns of routes. */

import { HttpError } from "../../src/app/http/http-error.ts";
import { Router } from "../../src/app/http/router.ts";
import { expectSame } from "./same.ts";

/** Decodes a segment byte by byte; undefined for a bad encoding. */
function decode(text: string): string | undefined {
  const bytes: number[] = [];
  if (!text.includes("%")) return text;
  let decoded = "";
  const flush = (): void => {
    decoded += new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes.splice(0)));
  };
  try {
    for (let at = 0; at < text.length; at++) {
      if (text[at] !== "%") {
        flush();
        decoded += text[at];
        continue;
      }
      const hex = text.slice(at + 1, at + 3);
      if (!/^[\da-f]{2}$/i.test(hex)) return undefined;
      bytes.push(Number.parseInt(hex, 16));
      at += 2;
    }
    flush();
  } catch {
    return undefined;
  }
  return decoded;
}

/** The params that a pattern finds in decoded segments; undefined when it does not match. */
function paramsOf(pattern: string, parts: readonly string[]): [name: string, value: string][] | undefined {
  const params: [string, string][] = [];
  const segments = pattern.slice(1).split("/");
  const hasRest = segments.at(-1) === "*";
  const named = hasRest ? segments.slice(0, -1) : segments;
  if (hasRest ? parts.length <= named.length : parts.length !== named.length) return undefined;
  for (const [index, each] of named.entries()) {
    if (!each.startsWith(":")) {
      if (each !== parts[index]) return undefined;
    } else if (parts[index] === "") return undefined;
    else params.push([each.slice(1), parts[index]]);
  }
  if (hasRest) params.push(["*", parts.slice(named.length).join("/")]);
  return params;
}

/** Of two patterns that match a path, the one with the smaller rank wins. */
function rankOf(pattern: string): string {
  return pattern.slice(1).split("/").map((each) => each === "*" ? "2" : each.startsWith(":") ? "1" : "0").join("");
}

/** Expects that a path goes to the most specific of the routes, or is refused with 400. */
export function checkPath(patterns: readonly string[], requested: string): void {
  const router = new Router<string>();
  const added: string[] = [];
  for (const each of patterns) {
    try {
      router.add(each, each);
      added.push(each);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
  }
  const input = (): string => JSON.stringify({ added, requested });
  const parts = requested.slice(1).split("/").map(decode);
  const isBad = parts.includes(undefined);
  const matches = added.map((each) => ({ each, params: paramsOf(each, parts as string[]) }))
    .filter(({ params }) => params !== undefined)
    .sort((a, b) => rankOf(a.each) < rankOf(b.each) ? -1 : 1);
  const expected = !requested.startsWith("/") ? undefined : isBad ? 400 : matches[0];
  let actual: unknown;
  try {
    const match = router.match(requested);
    actual = match && { each: match.route, params: Object.entries(match.params) };
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    actual = error.status;
  }
  expectSame(sorted(actual), sorted(expected), input);
}

function sorted(match: unknown): string {
  if (typeof match !== "object" || match === null) return String(match);
  const { each, params } = match as { each: string; params: [string, string][] };
  return JSON.stringify([each, params.toSorted(([a], [b]) => a < b ? -1 : 1)]);
}
