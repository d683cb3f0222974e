/** An app beside the development server of Vite, whose own WebSocket stands at `/` of the same HTTP server. */

import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createServer as createVite, type ViteDevServer } from "vite";
import { WebSocket } from "ws";
import { ask } from "../support/app.ts";
import { appOn, listening, portOfServer } from "../support/other-server.ts";
import { rawRequest, statusOf, upgradeRequest } from "../support/raw-client.ts";

/** Vite in middleware mode, with its WebSocket on a server of the caller. */
async function viteOn(server: Server): Promise<ViteDevServer> {
  const root = await mkdtemp(join(tmpdir(), "spacenode-vite-"));
  const vite = await createVite({
    root,
    configFile: false,
    logLevel: "silent",
    appType: "custom",
    cacheDir: join(root, "cache"),
    server: { middlewareMode: true, hmr: { server }, watch: null },
    optimizeDeps: { noDiscovery: true },
  });
  onTestFinished(async () => {
    await vite.close();
    await rm(root, { recursive: true });
  });
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    vite.middlewares(request, response, () => response.writeHead(404, { Connection: "close" }).end("not Vite's"));
  });
  return vite;
}

/** The first message that a client gets. */
async function greeting(server: Server, path: string, subprotocols: string[]): Promise<string> {
  const client = new WebSocket(`ws://127.0.0.1:${portOfServer(server)}${path}`, subprotocols);
  onTestFinished(() => client.terminate());
  const [message] = await once(client, "message") as [Buffer];
  return message.toString();
}

test.each([["first", true], ["last", false]])(
  "Vite keeps its clients, and the app has its own at the same path, when the app comes %s",
  async (_name, isFirst) => {
    const server = await listening(createServer());
    const join = () =>
      appOn(server, { handshakeTimeoutMs: 200 }, (app) => {
        app.ws("/", (socket) => void socket.send("ours"));
        app.ws("/hook", { upgrade: () => ({}) }, (socket) => void socket.send("ours, by a hook"));
      });
    if (isFirst) await join();
    const vite = await viteOn(server);
    if (!isFirst) await join();

    const path = `/?token=${vite.config.webSocketToken}`;
    for (let round = 0; round < 2; round++) {
      expect(JSON.parse(await greeting(server, path, ["vite-hmr"]))).toEqual({ type: "connected" });
      expect(await greeting(server, "/", [])).toBe("ours");
      expect(await greeting(server, "/hook", [])).toBe("ours, by a hook");
    }
    // A path of nobody, and a wrong subprotocol at the path of both.
    const port = portOfServer(server);
    expect(statusOf(await rawRequest(port, upgradeRequest("/nobody")))).toBe(404);
    expect(statusOf(await rawRequest(port, upgradeRequest("/", { "Sec-WebSocket-Protocol": "v9" })))).toBe(400);
    // Requests that offer HTTP/2 get the response of Vite or of the site.
    expect(await ask({ address: server.address() as never }, "/@vite/client")).toMatchObject({ status: 200 });
    const offer = { Upgrade: "h2c", Connection: "Upgrade, close" };
    expect(statusOf(await rawRequest(port, upgradeRequest("/nowhere", offer)))).toBe(404);
  },
);
