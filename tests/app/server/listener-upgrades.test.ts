/** An offer of another protocol than WebSocket is ignored: the response is that of a plain request (RFC 9110 §7.8). */

import { connect, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import type { App, AppOptions } from "../../../mod.ts";
import { listeningApp, portOf } from "../../support/app.ts";
import { certificate, connectSecurely } from "../../support/certificate.ts";
import { askInTurn, offers, requestsWith } from "../../support/optional-upgrades.ts";
import { rawRequest } from "../../support/raw-client.ts";
import { StreamClient } from "../../support/stream-client.ts";

const NOT_FOUND = [404, expect.any(String)];

function siteApp(options: AppOptions = {}): Promise<App> {
  return listeningApp(options, (app) =>
    app
      .get("/page", () => "a page")
      .post("/echo", (req) => req.text())
      .ws("/chat", (socket) => void socket.send("hello")));
}

/** A client that has a connection to the app, over TCP or TLS. */
function open(app: App, isTls: boolean): Socket {
  if (isTls) return connectSecurely(portOf(app));
  const client = connect(portOf(app), "127.0.0.1");
  onTestFinished(() => void client.destroy());
  return client;
}

test.each(offers.flatMap(([client, offer]) => [
  [client, "TCP", offer] as const,
  [client, "TLS", offer] as const,
]))("by %s over %s, on a connection that can still become a WebSocket", async (_client, layer, offer) => {
  const isTls = layer === "TLS";
  const client = open(await siteApp(isTls ? { tls: certificate() } : {}), isTls);
  expect(await askInTurn(client, requestsWith(offer))).toEqual([
    [200, "a page"],
    [200, "one"],
    [200, "two"],
    NOT_FOUND,
  ]);
  expect(await (await StreamClient.connect(client, "/chat")).nextMessage()).toBe("hello");
});

test.each(offers)(
  "by %s behind a request whose response is pending: the responses keep their order",
  async (_client, offer) => {
    const asked = Promise.withResolvers<void>();
    const first = Promise.withResolvers<string>();
    const app = await listeningApp({}, (app) =>
      app
        .get("/slow", () => {
          asked.resolve();
          return first.promise;
        })
        .post("/echo", (req) => req.text()));
    const slow = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
    const post = `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n`;
    const response = rawRequest(
      portOf(app),
      `${slow}${post}${offer.replace("Connection: ", "Connection: close, ")}\r\nsecond`,
    );
    await asked.promise;
    first.resolve("first");
    expect(await response).toMatch(/^HTTP\/1.1 200 [^]+first[^]*HTTP\/1.1 200 [^]+second$/);
  },
);
