/** The requests that `app.inject` makes, and the check of its argument. */
import { Buffer } from "node:buffer";
import { IncomingMessage } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { show } from "../common/show.ts";
import type { MemorySocket } from "./memory-socket.ts";

/** Options of `app.inject` for a handshake: the parts of the request that the client may choose. */
export interface InjectOptions {
  /**
   * Headers to add to the request, such as `Origin` or `Cookie`. Default: none. `Host` is `localhost` if it is not set.
   */
  headers?: ConstructorParameters<typeof Headers>[0] | undefined;
  /** The subprotocols that the client offers, in its order of preference (RFC 6455 §1.9). Default: none. */
  subprotocols?: readonly string[] | undefined;
}

/** Makes a request like those that node:http gives to a server. */
export function makeRequest(
  socket: MemorySocket,
  method: string,
  target: string,
  headers: Headers,
  body: Uint8Array = new Uint8Array(0),
): IncomingMessage {
  const message = new IncomingMessage(socket as MemorySocket & RawSocket);
  if (!headers.has("host")) headers.set("host", "localhost");
  const fields = { method, url: target, httpVersion: "1.1", httpVersionMajor: 1, httpVersionMinor: 1, complete: true };
  Object.assign(message, fields);
  for (const [name, value] of headers) message.headers[name] = value;
  if (body.length > 0) message.push(Buffer.from(body));
  message.push(null);
  return message;
}

/** The headers of a valid handshake (RFC 6455 §4.1), with the headers and subprotocols of the options. */
export function handshakeHeaders(key: string, { headers, subprotocols = [] }: InjectOptions): Headers {
  const all = new Headers(headers);
  all.set("upgrade", "websocket");
  all.set("connection", "Upgrade");
  all.set("sec-websocket-version", "13");
  all.set("sec-websocket-key", key);
  if (subprotocols.length > 0) all.set("sec-websocket-protocol", subprotocols.join(", "));
  return all;
}

/** @throws TypeError for a value that is neither a path, which begins with "/", nor a `Request` */
export function checkTarget(target: unknown): void {
  if (target instanceof Request || (typeof target === "string" && target.startsWith("/"))) return;
  throw new TypeError(`inject takes the path of a WebSocket, such as "/chat", or a Request; got ${show(target)}`);
}
