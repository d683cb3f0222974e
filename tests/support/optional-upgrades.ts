/** Requests that offer another protocol than WebSocket, as some HTTP clients do by themselves. */

import { once } from "node:events";
import type { Duplex } from "node:stream";
import { headerOf, statusOf } from "./raw-client.ts";

/** The header lines by which clients offer another protocol. */
export const offers: readonly (readonly [client: string, lines: string])[] = [
  ["curl", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"],
  ["the JDK", "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\nUpgrade: h2c\r\n"],
  ["Apache's client", "Upgrade: TLS/1.2\r\nConnection: Upgrade\r\n"],
];

/** A request for a page, one with a body of known length, one with a body in chunks, and one for nothing. */
export function requestsWith(offer: string): string[] {
  const post = `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n${offer}`;
  return [
    `GET /page HTTP/1.1\r\nHost: a\r\n${offer}\r\n`,
    `${post}Content-Length: 3\r\n\r\none`,
    `${post}Transfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n`,
    `GET /nowhere HTTP/1.1\r\nHost: a\r\n${offer}\r\n`,
  ];
}

/** The status and the body of a response. */
export type Answer = [status: number, body: string];

/** Sends requests one after another on the same connection, each when the response to the one before is complete. */
export async function askInTurn(stream: Duplex, requests: readonly string[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const request of requests) {
    stream.write(request);
    answers.push(await readAnswer(stream));
  }
  return answers;
}

/** Reads one response with a Content-Length. */
async function readAnswer(stream: Duplex): Promise<Answer> {
  let received = "";
  for (;;) {
    const [bytes] = await once(stream, "data") as [Buffer];
    received += bytes.toString("latin1");
    const bodyAt = received.indexOf("\r\n\r\n") + 4;
    if (bodyAt > 3 && received.length - bodyAt >= Number(headerOf(received, "Content-Length"))) {
      return [statusOf(received), received.slice(bodyAt)];
    }
  }
}
