/** What the guard keeps of connections below TLS: one for each, for as long as it is open and TLS has not begun. */

import { EventEmitter, once } from "node:events";
import { connect as connectTcp, type Socket as RawSocket } from "node:net";
import { connect as connectTls } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { HandshakeGuard } from "../../../src/app/server/handshake-guard.ts";
import { listeningApp, portOf } from "../../support/app.ts";
import { certificate } from "../../support/certificate.ts";
import { Census } from "../../support/memory.ts";
import { readToEnd } from "../../support/stream-client.ts";

test("a client on which TLS never begins is cut, though another one begins TLS behind it", async () => {
  const app = await listeningApp({ tls: certificate(), handshakeTimeoutMs: 300 }, (app) => app.ws("/", () => {}));
  const open = async (): Promise<RawSocket> => {
    const client = connectTcp({ port: portOf(app), host: "127.0.0.1" });
    onTestFinished(() => void client.destroy());
    await once(client, "connect");
    return client;
  };
  const speaking = await open();
  const silent = await open();
  const secure = connectTls({ socket: speaking, rejectUnauthorized: false });
  await once(secure, "secureConnect");
  expect(await readToEnd(silent)).toBe("");
  // The deadline of TLS began with it, and its client can read the refusal.
  expect(await readToEnd(secure)).toMatch(/^HTTP\/1\.1 408 /);
});

test("nothing is kept of connections that have ended before TLS began", async () => {
  const guard = new HandshakeGuard(60_000);
  const census = new Census();
  for (let port = 0; port < 100; port++) {
    const raw = Object.assign(new EventEmitter(), { remoteAddress: "127.0.0.1", remotePort: port });
    census.track(raw);
    guard.watchBelowTls(raw as unknown as RawSocket);
    raw.emit("close");
  }
  expect(await census.countBelow(10)).toBeLessThan(10);
  guard.stop();
});
