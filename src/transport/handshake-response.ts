/**
 * Writes the response to an opening handshake: the 101, or an HTTP response that refuses the handshake.
 */
import { Buffer } from "node:buffer";
import { STATUS_CODES } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { acceptKey, hasPeerEnded } from "../platform.ts";
import type { HandshakeError } from "../protocol/errors.ts";
import {
  encodeHandshakeResponse,
  encodeHeaders,
  type HandshakeResponse,
  type UpgradeOffer,
} from "../protocol/handshake.ts";

/** The parts of the 101 response that depend on the application. */
export type UpgradeExtras = Omit<HandshakeResponse, "accept">;

/**
 * Accepts a handshake with the 101 response of RFC 6455 §4.2.2.
 *
 * @throws TypeError for a header that would break out of its line; nothing has been written then
 */
export function acceptUpgrade(raw: RawSocket, offer: UpgradeOffer, extras: UpgradeExtras): void {
  raw.write(encodeHandshakeResponse({ accept: acceptKey(offer.key), ...extras }), "latin1");
}

/**
 * Refuses a handshake with an HTTP response that says why. The connection ends with it, because the bytes that a client
 * sends after a handshake are not HTTP. Reading goes on until the client ends its side, since a reset could overtake
 * the response; the caller bounds that time.
 */
export function refuseUpgrade(raw: RawSocket, { status, message, headers }: HandshakeError): void {
  writeRefusal(raw, status, message, Object.entries(headers));
}

/**
 * Writes a whole HTTP response where no `ServerResponse` exists, and ends the connection as `refuseUpgrade` does. A
 * string as body is sent as plain text with a line break behind it.
 */
export function writeRefusal(
  raw: RawSocket,
  status: number,
  body: string | Uint8Array,
  headers: Iterable<readonly [name: string, value: string]> = [],
): void {
  if (!raw.writable) return void raw.destroy();
  const bytes = typeof body === "string" ? Buffer.from(`${body}\n`) : body;
  const type = typeof body === "string" ? "Content-Type: text/plain; charset=utf-8\r\n" : "";
  const own = [...headers].filter(([name]) => !FRAMING.test(name));
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Refused"}\r\nConnection: close\r\n${type}` +
    `Content-Length: ${bytes.length}\r\n${encodeHeaders(own)}\r\n`;
  raw.end(Buffer.concat([Buffer.from(head, "latin1"), bytes]));
  // An `end` that was emitted before is not emitted again.
  if (hasPeerEnded(raw)) return destroyAfterWrites(raw);
  raw.once("end", () => destroyAfterWrites(raw));
  raw.resume();
}

/**
 * Ends a connection, and destroys it once all that was written to it is out. `destroySoon` of `net.Socket` would do the
 * same, but the stream that Node 26 hands out for a handshake with a body is no `net.Socket` and does not have it.
 */
export function destroyAfterWrites(raw: RawSocket): void {
  if (!raw.writableEnded) raw.end();
  if (raw.writableFinished) raw.destroy();
  else raw.once("finish", () => raw.destroy());
}

/**
 * The headers that only `writeRefusal` itself sets: the length of the response, and that the connection ends with it.
 */
const FRAMING = /^(?:connection|content-length|transfer-encoding)$/i;
