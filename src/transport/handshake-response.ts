import { Buffer } from "node:buffer";
import { STATUS_CODES } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { acceptKey, hasPeerEnded } from "../platform.ts";
import type { HandshakeError } from "../protocol/errors.ts";
import { encodeHandshakeResponse, encodeHeaders, type UpgradeOffer } from "../protocol/handshake.ts";

/** What an application adds to the 101 answer. */
export interface UpgradeExtras {
  readonly subprotocol?: string | undefined;
  readonly extensions?: string | undefined;
  readonly headers?: Iterable<readonly [name: string, value: string]> | undefined;
}

/**
 * Accepts a handshake: the 101 answer of RFC 6455 §4.2.2.
 *
 * @throws TypeError for a header that would break out of its line; nothing has been written then
 */
export function acceptUpgrade(raw: RawSocket, offer: UpgradeOffer, extras: UpgradeExtras): void {
  raw.write(encodeHandshakeResponse({ accept: acceptKey(offer.key), ...extras }), "latin1");
}

/**
 * Refuses a handshake with an HTTP answer that says why. The connection ends with it: what a client sends after a handshake is no
 * HTTP. Reading goes on until the client ends its side, since a reset could overtake the answer; the caller's clock bounds that.
 */
export function refuseUpgrade(raw: RawSocket, { status, message, headers }: HandshakeError): void {
  writeRefusal(raw, status, message, Object.entries(headers));
}

/** Writes a whole HTTP answer where no `ServerResponse` exists. A string is sent as plain text, a line of its own. */
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
  // An `end` that has come already comes no second time.
  if (hasPeerEnded(raw)) return destroyAfterWrites(raw);
  raw.once("end", () => destroyAfterWrites(raw));
  raw.resume();
}

/**
 * Cuts a connection once all that was written to it is out. `destroySoon` would do the same, but what Node hands out for a handshake that has a body
 * is no `net.Socket` and has none.
 */
export function destroyAfterWrites(raw: RawSocket): void {
  if (!raw.writableEnded) raw.end();
  if (raw.writableFinished) raw.destroy();
  else raw.once("finish", () => raw.destroy());
}

/** How long the answer is, and that the connection ends with it, is said here and nowhere else. */
const FRAMING = /^(?:connection|content-length|transfer-encoding)$/i;
