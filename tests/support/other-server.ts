/** HTTP servers that are not made by an app, and other `upgrade` listeners that share them with apps. */

import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo, Socket as RawSocket } from "node:net";
import { onTestFinished } from "vitest";
import { WebSocketServer } from "ws";
import { type App, type AppOptions, createApp } from "../../mod.ts";

/** Lets a server listen on a free port of 127.0.0.1. */
export async function listening<AnyServer extends Server>(server: AnyServer): Promise<AnyServer> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return server;
}

/** A server that listens, and responds to every request in the same way. */
export function plainServer(listener: RequestListener = (_req, res) => res.end("theirs")): Promise<Server> {
  return listening(createServer(listener));
}

/** The port of a server that listens. */
export function portOfServer(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** An app on a server that somebody else has made. */
export async function appOn(server: Server, options: AppOptions, addRoutes: (app: App) => unknown): Promise<App> {
  const app = await createApp({ logger: false, ...options });
  onTestFinished(async () => void await app.close({ timeoutMs: 500 }));
  addRoutes(app);
  return app.attach(server);
}

/**
 * Adds an `upgrade` listener of the `ws` package, which takes the handshakes that `isTheirs` accepts, and leaves the
 * others alone. Its sockets say "theirs" first, and echo.
 */
export function addOther(server: Server, isTheirs: (message: IncomingMessage) => boolean): void {
  const theirs = new WebSocketServer({ noServer: true });
  onTestFinished(() => theirs.close());
  server.on("upgrade", (message: IncomingMessage, raw: RawSocket, head: Buffer) => {
    if (!isTheirs(message)) return;
    theirs.handleUpgrade(message, raw, head, (socket) => {
      socket.on("message", (data) => socket.send(`ws: ${data}`));
      socket.send("theirs");
    });
  });
}
