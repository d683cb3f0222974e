/** The router of HTTP and WebSocket routes, and the types of the params that it finds. */
import { show } from "../common/show.ts";
import { HttpError } from "./http-error.ts";

/**
 * The params of a request's path, percent-decoded: for a route `"/chat/:room"`, the property `room` has the segment in
 * its place. The property `"*"` has the part of the path that a trailing `*` has matched.
 *
 * A param is text of the client's choice. It may contain `/`, `..`, a backslash or a NUL: `params["*"]` may be
 * `../../etc/passwd`. Code that builds the path of a file from a param must resolve that path, and check that it is
 * inside of the intended folder:
 *
 * @example
 * ```ts
 * import { createApp, HttpError } from "@spacenode/spacenode";
 * import { readFile } from "node:fs/promises";
 * import { resolve, sep } from "node:path";
 *
 * const folder = resolve("public");
 * const app = await createApp();
 * app.get("/files/*", async (req) => {
 *   const file = resolve(folder, req.params["*"]);
 *   if (!file.startsWith(folder + sep)) throw new HttpError(404, "There is no such file");
 *   return await readFile(file).catch(() => new HttpError(404, "There is no such file"));
 * });
 * ```
 */
export type PathParams = Readonly<Record<string, string>>;

/** The params of a route, taken from the type of its path: for `"/chat/:room"` this is `{ readonly room: string }`. */
export type ParamsOf<Path extends string> = string extends Path ? PathParams
  : Path extends `${infer Head}/${infer Tail}` ? ParamOf<Head> & ParamsOf<Tail>
  : ParamOf<Path>;

/** The param of one segment of a route's path, if the segment has one. */
export type ParamOf<Segment extends string> = Segment extends `:${infer Name}` ? { readonly [Key in Name]: string }
  : Segment extends "*" ? { readonly "*": string }
  : Readonly<Record<never, string>>;

/** A route that matches a path, with the params that it found there. */
export interface RouteMatch<Route> {
  readonly route: Route;
  readonly params: PathParams;
}

type Segment = { readonly kind: "literal" | "param"; readonly text: string } | { readonly kind: "rest" };

interface Entry<Route> {
  readonly pattern: string;
  readonly segments: readonly Segment[];
  readonly route: Route;
}

const RANK = { literal: 0, param: 1, rest: 2 };

/**
 * Finds the route of a path. The pattern of a route has literal segments, `:name` for any one segment, and a trailing
 * `*` for the rest. If several patterns match, a literal segment wins over a param, and a param over `*`, from left to
 * right. Matching a path takes time linear in its length.
 */
export class Router<Route> {
  readonly #entries: Entry<Route>[] = [];

  /**
   * Adds a route.
   *
   * @throws TypeError if the pattern is not valid, or if another pattern, named in the message, matches the same paths
   */
  add(pattern: string, route: Route): void {
    const segments = parsePattern(pattern);
    const twin = this.#entries.find((entry) => compare(entry.segments, segments) === 0);
    if (twin !== undefined) {
      const other = twin.pattern === pattern
        ? "it already has a handler"
        : `${show(twin.pattern)} already matches the same paths`;
      throw new TypeError(`The path ${show(pattern)} cannot be added: ${other}`);
    }
    this.#entries.push({ pattern, segments, route });
    this.#entries.sort((a, b) => compare(a.segments, b.segments));
  }

  /**
   * Finds the route of a path.
   *
   * @returns undefined if no route matches
   * @throws HttpError 400 if the path has a bad percent-encoding
   */
  match(path: string): RouteMatch<Route> | undefined {
    if (!path.startsWith("/")) return undefined;
    const parts = path.slice(1).split("/").map(decode);
    for (const { segments, route } of this.#entries) {
      const params = matchSegments(segments, parts);
      if (params !== undefined) return { route, params };
    }
    return undefined;
  }
}

function parsePattern(pattern: string): Segment[] {
  if (typeof pattern !== "string" || !pattern.startsWith("/")) {
    throw new TypeError(`A path is a string that starts with "/", such as "/chat"; got ${show(pattern)}`);
  }
  if (/[?#]/.test(pattern)) throw new TypeError(`A path has no query and no fragment; got ${show(pattern)}`);
  const names = new Set<string>();
  const texts = pattern.slice(1).split("/");
  return texts.map((text, index): Segment => {
    if (text === "*" && index === texts.length - 1) return { kind: "rest" };
    if (text.includes("*")) throw new TypeError(`In a path "*" can only be the last segment; got ${show(pattern)}`);
    if (!text.startsWith(":")) return { kind: "literal", text };
    const name = text.slice(1);
    if (!/^[A-Za-z_]\w*$/.test(name)) {
      throw new TypeError(`A param is ":" and a name, as in "/chat/:room"; got ${show(pattern)}`);
    }
    if (names.has(name)) throw new TypeError(`The param ":${name}" stands twice in ${show(pattern)}`);
    names.add(name);
    return { kind: "param", text: name };
  });
}

/** Orders patterns, the more specific first. The result is 0 for two patterns that match exactly the same paths. */
function compare(a: readonly Segment[], b: readonly Segment[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [left, right] = [a[i], b[i]];
    if (left.kind !== right.kind) return RANK[left.kind] - RANK[right.kind];
    if (left.kind === "literal" && right.kind === "literal" && left.text !== right.text) {
      return left.text < right.text ? -1 : 1;
    }
  }
  return b.length - a.length;
}

function matchSegments(segments: readonly Segment[], parts: readonly string[]): PathParams | undefined {
  // Without a prototype, a param may have any name, even `__proto__`.
  const params: Record<string, string> = Object.create(null);
  for (let i = 0; i < segments.length; i++) {
    const segment = segments[i];
    if (segment.kind === "rest") {
      params["*"] = parts.slice(i).join("/");
      return parts.length > i ? params : undefined;
    }
    const part = parts[i];
    if (segment.kind === "literal") {
      if (part !== segment.text) return undefined;
    } else if (part === "") return undefined;
    else params[segment.text] = part;
  }
  // Fewer parts than segments are found out here too.
  return parts.length === segments.length ? params : undefined;
}

function decode(part: string): string {
  if (!part.includes("%")) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    throw new HttpError(400, "The path has a bad percent-encoding");
  }
}
