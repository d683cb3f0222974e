/** A client that looks at a running server.mjs from outside. */

import { once } from "node:events";
import { expect } from "vitest";
import WebSocket from "ws";
import { certificate } from "../support/certificate.ts";
import { Program } from "../support/program.ts";

/** The server begins to listen within this time, also on a machine that is busy. */
const START_TIMEOUT_MS = 45_000;

/** The arguments with which server.mjs speaks TLS. */
export function tlsArguments(): string[] {
  const { key, cert } = certificate();
  return [key, cert];
}

/** Starts server.mjs with a command, has messages echoed, plain and compressed, and ends the server with a signal. */
export async function visit(command: readonly string[], isSecure: boolean): Promise<void> {
  const server = Program.command([...command, ...isSecure ? tlsArguments() : []], {}, START_TIMEOUT_MS);
  const [url] = await server.line(/^https?:\/\/.+/, START_TIMEOUT_MS);
  const client = new WebSocket(`${url.replace("http", "ws")}/echo`, { ca: certificate().cert });
  await once(client, "open");
  const echoes: unknown[] = [];
  for (const message of ["hello", "hello ".repeat(10_000)]) {
    client.send(message);
    const [data] = await once(client, "message");
    echoes.push([client.extensions, String(data) === message]);
  }
  const closed = once(client, "close");
  server.kill("SIGTERM");
  const [code] = await closed;
  const ended = { url: new URL(url).protocol, echoes, code, exit: await server.exited, errors: server.errors };
  expect(ended).toEqual({
    url: isSecure ? "https:" : "http:",
    echoes: [["permessage-deflate", true], ["permessage-deflate", true]],
    code: 1001,
    exit: { code: 0, signal: null },
    errors: expect.not.stringMatching(/error|denied|restricted/i),
  });
}
