/** A bare HTTP server whose connections a `HandshakeGuard` watches, and clients for it. They end with their test. */

import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { HandshakeGuard } from "../../src/app/server/handshake-guard.ts";

export const TIMEOUT_MS = 150;

export async function guardedServer(
  onRequest: RequestListener,
  timeoutMs: number = TIMEOUT_MS,
): Promise<{ server: Server; guard: HandshakeGuard; port: number }> {
  const server = createServer(onRequest);
  const guard = new HandshakeGuard(timeoutMs);
  guard.protect(server, false);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
    guard.stop();
  });
  return { server, guard, port: (server.address() as AddressInfo).port };
}

/** A client that keeps its side of the connection open. */
export function open(port: number): Socket {
  const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  client.on("error", () => {});
  onTestFinished(() => void client.destroy());
  return client;
}

export function respond(_request: IncomingMessage, response: ServerResponse): void {
  response.end("hello");
}
