/** Handshakes that an app leaves to the other `upgrade` listeners of a server, and that none of them takes. */

import { once } from "node:events";
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect, type Socket } from "node:net";
import { text as textOf } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import type { App } from "../../../mod.ts";
import { readsWhilePaused } from "../../../src/platform.ts";
import { connectTo } from "../../support/app.ts";
import { certificate, connectSecurely } from "../../support/certificate.ts";
import { text } from "../../support/frames.ts";
import { addOther, appOn, listening, plainServer, portOfServer } from "../../support/other-server.ts";
import { headerOf, rawRequest, statusOf, upgradeRequest } from "../../support/raw-client.ts";

const TIMEOUT_MS = 100;
const SHORT = { handshakeTimeoutMs: TIMEOUT_MS };
const LONG = { handshakeTimeoutMs: 60_000 };

/** An `upgrade` listener that takes nothing. */
function ignore(): void {}

function open(server: Server): Socket {
  const client = connect({ port: portOfServer(server), host: "127.0.0.1", allowHalfOpen: true });
  client.on("error", () => {});
  onTestFinished(() => void client.destroy());
  return client;
}

function handshake(server: Server, path: string, headers = {}): Promise<string> {
  return rawRequest(portOfServer(server), upgradeRequest(path, headers));
}

/** An app with a route at `/`, beside an `upgrade` listener that takes nothing. */
async function besideIgnorant(listener?: RequestListener): Promise<{ server: Server; app: App }> {
  const server = await plainServer(listener);
  server.on("upgrade", ignore);
  return { server, app: await appOn(server, SHORT, (app) => app.ws("/", () => {})) };
}

/** Opens a connection, sends a handshake, and gives the connection's other end when the handshake has arrived. */
async function sendHandshake(server: Server, path: string): Promise<{ client: Socket; raw: Socket }> {
  const arrived = once(server, "upgrade") as Promise<[IncomingMessage, Socket]>;
  const client = open(server);
  client.write(upgradeRequest(path));
  const [, raw] = await arrived;
  return { client, raw };
}

/**
 * Sends a request and a handshake behind it, and gives the response to the request while it is pending. On Bun, such a
 * handshake becomes a request.
 */
async function sendBehindRequest(): Promise<{ server: Server; response: ServerResponse; received: Promise<string> }> {
  const held = Promise.withResolvers<ServerResponse>();
  const { server } = await besideIgnorant(({ url }, res) => {
    if (url === "/held") held.resolve(res);
    else res.writeHead(404, { Connection: "close" }).end();
  });
  const client = open(server);
  client.write(`GET /held HTTP/1.1\r\nHost: a\r\n\r\n${upgradeRequest("/nobody")}`);
  return { server, received: textOf(client), response: await held.promise };
}

/** Waits until the deadline of a handshake that comes now is over, so that those of earlier ones are over too. */
async function outlast(server: Server): Promise<void> {
  expect(statusOf(await handshake(server, "/outlast"))).toBe(404);
}

describe("a handshake that nobody takes", () => {
  test.each([
    ["404 at a path without a route", "/nobody", {}, 404],
    ["404 at a path that is not valid", "/%zz", {}, 404],
    ["400 if the route does not speak its subprotocols", "/", { "Sec-WebSocket-Protocol": "v9" }, 400],
    ["404 if it has a body", "/nobody", { "Content-Length": "5" }, 404],
    ["400 if it is for another protocol than WebSocket", "/", { Upgrade: "tea" }, 400],
  ])("is refused when its time is up, with %s", async (_name, path, headers, status) => {
    const { server, app } = await besideIgnorant();
    const beforeMs = performance.now();
    const response = await handshake(server, path, headers);
    expect(performance.now() - beforeMs).toBeGreaterThan(TIMEOUT_MS - 5);
    expect([statusOf(response), headerOf(response, "Connection")]).toEqual([status, "close"]);
    expect(app.stats()).toMatchObject({ accepted: 0, refused: 1 });
  });

  test("is refused over TLS too", async () => {
    const server = await listening(createTlsServer(certificate(), ignore));
    server.on("upgrade", ignore);
    await appOn(server, SHORT, (app) => app.ws("/", () => {}));
    const client = connectSecurely(portOfServer(server));
    client.write(upgradeRequest("/nobody"));
    expect(statusOf(await textOf(client))).toBe(404);
  });

  test("and whose client sends on over TLS fills no memory, even where the runtime reads a paused connection", async () => {
    const server = await listening(createTlsServer(certificate(), ignore));
    server.on("upgrade", ignore);
    // The deadline may end the connection only where nothing else has to.
    const options = readsWhilePaused({ encrypted: true } as unknown as Socket) ? LONG : SHORT;
    await appOn(server, options, (app) => app.ws("/", () => {}));
    const arrived = once(server, "upgrade") as Promise<[IncomingMessage, Socket]>;
    const client = connectSecurely(portOfServer(server));
    client.write(upgradeRequest("/nobody"));
    const [, raw] = await arrived;
    const closed = new Promise<void>((resolve) => raw.once("close", () => resolve()));
    const chunk = Buffer.alloc(256 * 1024);
    const sendOn = (): void => void (client.writable && client.write(chunk, sendOn));
    sendOn();
    await closed;
    expect(raw.bytesRead).toBeLessThan(32 * 1024 * 1024);
  });

  test("is refused once and at once by one of several apps, if only apps listen", async () => {
    const server = await plainServer();
    const apps = [
      await appOn(server, LONG, (app) => app.ws("/a", () => {})),
      await appOn(server, LONG, (app) => app.ws("/b", () => {})),
    ];
    const response = await handshake(server, "/nobody");
    expect(response.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 404"]);
    expect(apps.map((app) => app.stats().refused)).toEqual([1, 0]);
  });

  test("is refused once by apps that do not know each other, as those of two copies of the package", async () => {
    const server = await plainServer();
    await appOn(server, SHORT, (app) => app.ws("/a", () => {}));
    const other = await plainServer();
    await appOn(other, SHORT, (app) => app.ws("/b", () => {}));
    // The apps of another server do not know those of this one.
    server.on("upgrade", (...args) => void other.emit("upgrade", ...args));
    other.on("upgrade", ignore);
    expect((await handshake(server, "/nobody")).match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 404"]);
  });

  test("does not keep its server from closing, even if its client neither reads nor ends its side", async () => {
    const { server } = await besideIgnorant();
    const arrived = once(server, "upgrade");
    const client = open(server);
    client.pause();
    client.write(upgradeRequest("/nobody"));
    await arrived;
    const closed = once(server, "close");
    server.close();
    await closed;
    expect(server.listening).toBe(false);
  });

  test("is refused although its app has closed meanwhile, without waiting for it", async () => {
    const { server, app } = await besideIgnorant();
    const arrived = once(server, "upgrade");
    const response = handshake(server, "/nobody");
    await arrived;
    expect(await app.close({ timeoutMs: 60_000 })).toEqual({ closed: 0, terminated: 0 });
    expect(statusOf(await response)).toBe(404);
  });

  test("causes no uncaught exception when its client resets the connection", async () => {
    const { server } = await besideIgnorant();
    const { client, raw } = await sendHandshake(server, "/nobody");
    const closed = new Promise<void>((resolve) => raw.once("close", () => resolve()));
    client.resetAndDestroy();
    await closed;
    await outlast(server);
  });

  test("behind a request whose response is pending is cut, and gets nothing into that response", async () => {
    const { server, response, received } = await sendBehindRequest();
    await outlast(server);
    response.end("late");
    expect(await received).not.toContain("There is no WebSocket");
  });

  test("behind a request whose response comes meanwhile is refused behind that response", async () => {
    const { response, received } = await sendBehindRequest();
    response.end("first");
    expect(await received).toMatch(/^HTTP\/1.1 200 [^]+first[^]*HTTP\/1.1 404 /);
  });
});

describe("a handshake that another listener takes", () => {
  test("late, but in time, is not refused any more", async () => {
    const server = await plainServer();
    const taken = Promise.withResolvers<void>();
    server.on("upgrade", ({ url }, raw) => {
      if (url !== "/theirs") return;
      void taken.promise.then(() => raw.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"));
    });
    const app = await appOn(server, SHORT, (app) => app.ws("/", () => {}));
    const { client, raw } = await sendHandshake(server, "/theirs");
    taken.resolve();
    const [bytes] = await once(client, "data") as [Buffer];
    expect(statusOf(bytes.toString("latin1"))).toBe(101);
    await outlast(server);
    raw.end("theirs");
    expect(await textOf(client)).toBe("theirs");
    expect(app.stats().refused).toBe(1);
  });

  test("by reading from it, as a proxy whose target takes its time, keeps its connection", async () => {
    const server = await plainServer();
    const early: string[] = [];
    server.on("upgrade", ({ url }, raw) => url === "/proxied" && raw.on("data", (bytes) => early.push(`${bytes}`)));
    await appOn(server, SHORT, (app) => app.ws("/", () => {}));
    const { client, raw } = await sendHandshake(server, "/proxied");
    await outlast(server);
    raw.end("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    expect(statusOf(await textOf(client))).toBe(101);
  });

  test("has no deadline, and is left alone when the app closes", async () => {
    const server = await plainServer();
    addOther(server, ({ url }) => url === "/theirs");
    const app = await appOn(server, SHORT, (app) => app.ws("/", () => {}));
    const client = await connectTo({ address: server.address() as never }, "/theirs");
    expect(await client.nextMessage()).toBe("theirs");
    await outlast(server);
    await app.close({ timeoutMs: 60_000 });
    client.send(text("still here"));
    expect(await client.nextMessage()).toBe("ws: still here");
  });
});
