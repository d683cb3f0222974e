/**
 * `app.inject`: handshakes and requests in memory, which take the same way through the app as those that come over a
 * port.
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Socket as RawSocket } from "node:net";
import type { HttpRoutes } from "../http/http-routes.ts";
import { toWebResponse } from "../http/response.ts";
import { connect, type InjectedClient, makeKey } from "./client.ts";
import { MemorySocket } from "./memory-socket.ts";
import { handshakeHeaders, type InjectOptions, makeRequest } from "./request.ts";

/**
 * Connects to a WebSocket route in memory: through the real handshake and engine, but without a port.
 *
 * @throws InjectError when the handshake is refused
 */
export function injectHandshake(
  path: string,
  options: InjectOptions,
  handleUpgrade: (message: IncomingMessage, raw: RawSocket, head: Buffer) => void,
): Promise<InjectedClient> {
  const { client, server } = MemorySocket.pair();
  const key = makeKey();
  const message = makeRequest(server, "GET", path, handshakeHeaders(key, options));
  handleUpgrade(message, server, Buffer.alloc(0));
  return connect(client, key);
}

/** Calls the controller for a web `Request` in memory, and gives its `Response`. */
export async function injectRequest(request: Request, httpRoutes: HttpRoutes, services: object): Promise<Response> {
  const { server } = MemorySocket.pair();
  const { pathname, search } = new URL(request.url);
  const body = new Uint8Array(await request.arrayBuffer());
  const message = makeRequest(server, request.method, pathname + search, new Headers(request.headers), body);
  return toWebResponse(await httpRoutes.respond(message, services), request.method);
}
