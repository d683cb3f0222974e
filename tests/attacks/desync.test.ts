// A proxy and a server that disagree where a request ends can be made to take one client's bytes for the request of
// another one (HTTP request smuggling). So one handshake gets one response, whatever it looks like, and no bytes behind
// it are ever read as a request.

import { createServer } from "node:http";
import { describe, expect, test } from "vitest";
import type { App } from "../../mod.ts";
import { attachedApp, listeningApp, portOf } from "../support/app.ts";
import { rawRequest, statusOf, upgradeRequest } from "../support/raw-client.ts";

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/** Starts an app that counts the requests behind handshakes, and returns its port. */
async function startBy(way: "listen" | "attach", onSmuggled: () => void): Promise<number> {
  const addRoutes = (app: App): unknown =>
    app.get("/smuggled", onSmuggled)
      .ws("/", () => {})
      .ws("/slow", { upgrade: () => new Promise((resolve) => setImmediate(resolve, false)) }, () => {});
  if (way === "listen") return portOf(await listeningApp({}, addRoutes));
  const server = createServer((_request, response) => {
    onSmuggled();
    response.end();
  });
  return (await attachedApp(server, addRoutes)).port;
}

const rows: [name: string, statuses: number[], request: string][] = [
  ["is accepted", [101], upgradeRequest("/")],
  ["has no route", [404], upgradeRequest("/nowhere")],
  ["is refused by a hook that takes time", [403], upgradeRequest("/slow")],
  ["has two Host headers", [400], upgradeRequest("/", { Host: ["localhost", "evil.example"] })],
  ["has a length of nothing", [101], upgradeRequest("/", { "Content-Length": "0" })],
  ["has the length of the request behind it", [400], upgradeRequest("/", { "Content-Length": `${smuggled.length}` })],
  ["has a shorter length", [400], upgradeRequest("/", { "Content-Length": "5" })],
  ["has chunks", [400], `${upgradeRequest("/", { "Transfer-Encoding": "chunked" })}0\r\n\r\n`],
  ["has a length and chunks", [400], upgradeRequest("/", { "Content-Length": "4", "Transfer-Encoding": "chunked" })],
  ["has two lengths", [400], upgradeRequest("/", { "Content-Length": ["0", `${smuggled.length}`] })],
  ["has a bare line feed in a header", [400, 101], upgradeRequest("/", { "X-A": "a\nContent-Length: 66" })],
  ["is a POST", [405], upgradeRequest("/", {}, "POST / HTTP/1.1")],
  ["is of another version of WebSocket", [426], upgradeRequest("/", { "Sec-WebSocket-Version": "8" })],
];

describe.each(["listen", "attach"] as const)(
  "by %s, bytes behind a handshake are no request, where the handshake",
  (way) => {
    test.each(rows)("%s", async (_name, statuses, handshake) => {
      let requests = 0;
      const port = await startBy(way, () => void requests++);
      const response = await rawRequest(port, handshake + smuggled);
      expect(statuses, response).toContain(statusOf(response));
      expect(response.match(/HTTP\/1\.1 \d{3}/g)).toHaveLength(1);
      expect(requests).toBe(0);
      // The same bytes on a connection of their own are a request.
      await rawRequest(port, smuggled);
      expect(requests).toBe(1);
    });
  },
);

test.each(["listen", "attach"] as const)(
  "by %s, a handshake behind a request whose response is pending puts nothing in front of that response",
  async (way) => {
    const held = Promise.withResolvers<void>();
    const released = Promise.withResolvers<string>();
    const hold = (): Promise<string> => (held.resolve(), released.promise);
    const addRoutes = (app: App): unknown => app.get("/held", hold).ws("/", () => {});
    const server = createServer(async ({ url }, response) => response.end(url === "/held" ? await hold() : ""));
    const port = way === "attach"
      ? (await attachedApp(server, addRoutes)).port
      : portOf(await listeningApp({}, addRoutes));
    // Node and Deno cut the connection. On Bun, the handshake becomes a request.
    const handshake = upgradeRequest("/", { Connection: "Upgrade, close" });
    const response = rawRequest(port, `GET /held HTTP/1.1\r\nHost: a\r\n\r\n${handshake}`);
    await held.promise;
    // The response to a later client shows that the server has seen the handshake.
    await rawRequest(port, smuggled);
    released.resolve("held");
    expect(await response).not.toContain("HTTP/1.1 101");
  },
);
