// Origins of pages: a pattern lets in what it names, and nothing that only looks like it.

import fc from "fast-check";
import { test } from "vitest";
import { compileOrigins, isSameOrigin } from "../../src/app/websocket/origins.ts";
import { checkOrigin, originPatterns } from "./origin-oracle.ts";
import { fuzz } from "./runs.ts";
import { expectSame } from "./same.ts";
import { piecesOf, strange } from "./texts.ts";

const scheme = fc.constantFrom("https", "http", "HTTPS", "tauri", "chrome-extension");
const name = fc.constantFrom(
  "mysite.com",
  "MySite.com",
  "evil-mysite.com",
  "mysite.com.evil.org",
  "evil.org",
  "sub.mysite.com",
)
  .chain((host) => fc.constantFrom(host, `a.${host}`, `a.b.${host}`, `x${host}`, `.${host}`, `${host}.`, `a..${host}`));
const port = fc.constantFrom("", "", ":443", ":80", ":8443", ":0443", ":", ":99999");
const trail = fc.constantFrom("", "", "", "/", "/path", "?q", "#f", "\\", "@mysite.com", "\n");
const user = fc.constantFrom("", "", "", "", "user@", "user:pass@", "https://", "mysite.com@", "mysite.com\\@");
const crooked = fc.tuple(scheme, user, name, port, trail)
  .map(([scheme, user, name, port, trail]) => `${scheme}://${user}${name}${port}${trail}`);
const garbage = piecesOf(
  [
    "https",
    "http",
    ":",
    "//",
    "/",
    "mysite.com",
    ".",
    "@",
    "*",
    "null",
    "file",
    "[::1]",
    "[",
    "%",
    "%2e",
    "127.1",
    "0x7f",
  ]
    .concat("xn--", "ß", "。", "\u00ad", "ｍ", " ", ...strange),
  8,
);
const origin = fc.oneof(crooked, crooked, garbage);

test("any origin gets in only if its scheme, host and port are those of the pattern", async () => {
  await fuzz(
    20_000,
    fc.property(fc.constantFrom(...originPatterns), origin, checkOrigin),
  );
});

test("any text is a pattern or is refused with a TypeError, and a pattern never throws at an origin", async () => {
  const list = fc.array(
    fc.oneof(origin, piecesOf(["https://", "*", ".", "mysite.com", "same-origin", "null", ":", "443"], 5)),
    {
      maxLength: 3,
    },
  );
  await fuzz(
    20_000,
    fc.property(list, origin, origin, (patterns, origin, host) => {
      let check;
      try {
        check = compileOrigins(patterns);
      } catch (error) {
        expectSame((error as Error).name, "TypeError", () => JSON.stringify(patterns));
        return;
      }
      for (const protocol of [undefined, "http", "https"] as const) {
        const isAllowed = check(origin, host, protocol);
        expectSame(typeof isAllowed, "boolean", () => JSON.stringify({ patterns, origin, host }));
        if (patterns.length === 0) expectSame(String(isAllowed), "false", () => JSON.stringify({ origin, host }));
      }
    }),
  );
});

test("same-origin lets a page in only to the host and port that it was loaded from", async () => {
  const host = fc.tuple(name, port).map((parts) => parts.join(""));
  await fuzz(
    20_000,
    fc.property(origin, host, fc.constantFrom(undefined, "http", "https"), (origin, host, protocol) => {
      const input = (): string => JSON.stringify({ origin, host, protocol });
      const isSame = isSameOrigin(origin, host, protocol as "http" | undefined);
      if (!isSame) return;
      const [page, server] = [
        new URL(origin),
        new URL(`${protocol ?? new URL(origin).protocol.slice(0, -1)}://${host}`),
      ];
      expectSame(page.origin, server.origin, input);
      expectSame(page.username + page.password, "", input);
    }),
  );
});
