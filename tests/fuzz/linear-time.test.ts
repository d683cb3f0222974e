// Every reader of a text of strangers takes linear time: a long text of any repeated pieces is read at once.

import fc from "fast-check";
import { test } from "vitest";
import { HttpError } from "../../src/app/http/http-error.ts";
import { Router } from "../../src/app/http/router.ts";
import { compileTrustProxy, readClient } from "../../src/app/http/trust-proxy.ts";
import { parsePresenceMessage } from "../../src/app/pubsub/presence-message.ts";
import { compileOrigins } from "../../src/app/websocket/origins.ts";
import { HandshakeError } from "../../src/protocol/errors.ts";
import { validateUpgrade } from "../../src/protocol/handshake.ts";
import { recordingLogger } from "../support/app.ts";
import { countInputs, fuzz } from "./runs.ts";
import { expectSame } from "./same.ts";
import { headerPieces, piecesOf } from "./texts.ts";

/** Quadratic time would take more than ten seconds for so many characters. */
const LENGTH = 150_000;
const MOST_MS = 2_000;

const { logger } = recordingLogger();
const isTrusted = compileTrustProxy(["10.0.0.0/8"], logger);
const isAllowed = compileOrigins(["https://*.mysite.com", "same-origin"]);
const router = new Router<number>();
for (const pattern of ["/a/:b/*", "/:a/:b", "/a/a/a", "/*"]) router.add(pattern, 0);

const handshake = (name: string) => (text: string): unknown =>
  validateUpgrade({
    method: "GET",
    httpVersion: "1.1",
    headers: {
      host: "a",
      upgrade: "websocket",
      connection: "upgrade",
      "sec-websocket-version": "13",
      "sec-websocket-key": "c3BhY2Vub2RlLWtleS0wMQ==",
      [name]: text,
    },
  });
const proxies = (name: string) => (text: string): unknown => readClient("10.0.0.1", { [name]: text }, isTrusted);

const readers: Readonly<Record<string, (text: string) => unknown>> = {
  ...Object.fromEntries(
    ["host", "upgrade", "connection", "content-length", "sec-websocket-version", "sec-websocket-key"]
      .concat("sec-websocket-protocol", "sec-websocket-extensions").map((name) => [name, handshake(name)]),
  ),
  ...Object.fromEntries(
    ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"].map((name) => [name, proxies(name)]),
  ),
  origin: (text) => isAllowed(text, "mysite.com"),
  host: (text) => isAllowed("https://mysite.com", text),
  path: (text) => router.match(`/${text}`),
  presence: (text) => parsePresenceMessage(text),
};

test("every reader of a long text", async () => {
  const piece = piecesOf(
    [...headerPieces, "for=", "10.0.0.1", "https://", "mysite.com", "%61", "%", "{", "::", "_", "1", "v1.", "\xe9"],
    3,
  ).filter((text) => text !== "");
  await fuzz(
    30,
    fc.property(piece, piece, piece, (start, middle, end) => {
      const text = start + middle.repeat(LENGTH / middle.length) + end;
      for (const [name, read] of Object.entries(readers)) {
        const startMs = performance.now();
        try {
          read(text);
        } catch (error) {
          if (!(error instanceof HandshakeError || error instanceof HttpError)) throw error;
        }
        const isQuick = performance.now() - startMs < MOST_MS;
        expectSame(String(isQuick), "true", () => JSON.stringify([name, start, middle, end]));
      }
      countInputs(Object.keys(readers).length - 1);
    }),
  );
});
