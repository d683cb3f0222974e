// The router: any path goes to the route that a slow and simple reading of the patterns chooses.

import fc from "fast-check";
import { test } from "vitest";
import { checkPath } from "./router-oracle.ts";
import { fuzz } from "./runs.ts";
import { piecesOf, strange } from "./texts.ts";

const segment = fc.constantFrom("", "a", "b", "aa", ":x", ":y", ":x", ":__proto__", "*", "%61", "é", "a*", ":", "..");
const pattern = fc.array(segment, { maxLength: 4 }).map((segments) => `/${segments.join("/")}`);
const path = piecesOf(
  [
    "/",
    "/",
    "/",
    "a",
    "a",
    "b",
    "%61",
    "%2f",
    "%2F",
    "%",
    "%%",
    "%4",
    "%zz",
    "%c3%a9",
    "%c3",
    "%a9",
    "%00",
    "%ed%a0%80",
  ]
    .concat("%f0%9f%98%80", "%ef%bb%bf", "%C0%80", "é", "..", ".", ":x", "*", "?", ...strange),
  10,
);

test("any path goes to the most specific route, or is refused with 400", async () => {
  await fuzz(
    30_000,
    fc.property(fc.array(pattern, { maxLength: 6 }), path, fc.boolean(), (patterns, path, isAbsolute) => {
      checkPath(patterns, isAbsolute ? `/${path}` : path);
    }),
  );
});
