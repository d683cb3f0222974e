/** The guard of connections without a handshake: deadlines, and requests that the HTTP parser refuses. */

import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { type AddressInfo, createServer as createNetServer, type Socket } from "node:net";
import { text as textOf } from "node:stream/consumers";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Socket as WebSocket } from "../../../mod.ts";
import { connectTo, listeningApp, portOf } from "../../support/app.ts";
import { guardedServer, open, respond, TIMEOUT_MS } from "../../support/guarded-server.ts";
import { rawRequest, statusOf, upgradeRequest } from "../../support/raw-client.ts";

/**
 * Waits until the deadline of a new connection is over. All connections have as much time, so the deadlines of older
 * connections are over too.
 */
async function outlast(port: number): Promise<void> {
  const client = open(port);
  // Bun reports a connection once it sends something, or a second later.
  client.write("GET");
  await textOf(client);
  client.end();
}

/** Resolves when a connection is closed, also after an error. */
function closed(raw: Socket): Promise<void> {
  return new Promise((resolve) => raw.once("close", () => resolve()));
}

describe("a connection without a complete request", () => {
  test.each([
    ["says nothing", ""],
    ["says half of its first line", "GET / HT"],
    ["never ends its headers", "GET / HTTP/1.1\r\nHost: localhost\r\n"],
    ["never ends the headers of a handshake", upgradeRequest().slice(0, -2)],
  ])("is cut when its time is up: it %s", async (_name, request) => {
    const { port } = await guardedServer(respond);
    const before = performance.now();
    const client = open(port);
    client.write(request);
    const response = await textOf(client);
    client.end();
    expect(performance.now() - before).toBeGreaterThan(TIMEOUT_MS - 5);
    expect(statusOf(response)).toBe(408);
    expect(response).toContain(`${TIMEOUT_MS} ms`);
  });

  test("is cut even if it sends a byte now and then", async () => {
    const { port } = await guardedServer(respond);
    const client = open(port);
    const trickle = setInterval(() => client.writable && client.write("x"), 10);
    onTestFinished(() => clearInterval(trickle));
    client.write("GET / HTTP/1.1\r\nX-Slow: ");
    expect(statusOf(await textOf(client))).toBe(408);
  });

  test("is cut even if it neither reads the response nor ends its side", async () => {
    const { server, port } = await guardedServer(respond);
    const arrived = once(server, "connection") as Promise<[Socket]>;
    const client = open(port);
    client.write("GET");
    client.pause();
    const [raw] = await arrived;
    await closed(raw);
    expect(raw.destroyed).toBe(true);
  });
});

describe("a connection with a complete request", () => {
  test("is not cut while the server works on the response, and has its whole time again afterwards", async () => {
    const held = Promise.withResolvers<ServerResponse>();
    const { port } = await guardedServer((_request, response) => held.resolve(response));
    const client = open(port);
    client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const response = await held.promise;
    await outlast(port);
    expect(client.closed).toBe(false);
    const respondedMs = performance.now();
    response.end("late");
    expect(await textOf(client)).toContain("\r\n\r\nlate");
    expect(performance.now() - respondedMs).toBeGreaterThan(TIMEOUT_MS - 5);
  });

  test("has no more than its time for the next request", async () => {
    const { port } = await guardedServer(respond);
    const client = open(port);
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(client, "data");
    client.write("GET / HTTP/1.1\r\nX-Slow: ");
    expect(statusOf(await textOf(client))).toBe(408);
  });

  test("is not cut while the server works on the second of two pipelined requests", async () => {
    const second = Promise.withResolvers<ServerResponse>();
    const { port } = await guardedServer((request, response) => {
      if (request.url === "/1") response.end("first");
      else second.resolve(response);
    });
    const client = open(port);
    client.write("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const response = await second.promise;
    await outlast(port);
    response.end("second");
    expect(await textOf(client)).toMatch(/first[^]+second$/);
  });

  test("has no deadline after its handshake", async () => {
    const arrived = Promise.withResolvers<WebSocket>();
    const app = await listeningApp({ handshakeTimeoutMs: TIMEOUT_MS }, (app) => app.ws("/", arrived.resolve));
    const client = await connectTo(app);
    const socket = await arrived.promise;
    await outlast(portOf(app));
    expect(socket.readyState).toBe(socket.OPEN);
    socket.send("still here");
    expect(await client.nextMessage()).toBe("still here");
  });
});

describe("a connection whose response is not read", () => {
  const large = Buffer.alloc(30_000_000, "x");
  const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

  test("is cut when its time is up after the client has ended its side", async () => {
    const responded = Promise.withResolvers<void>();
    const { server } = await guardedServer((_request, response) => {
      response.end(large);
      responded.resolve();
    });
    // Bun does not report that a client has ended its side of a connection that Bun's own HTTP server has accepted.
    const front = createNetServer({ allowHalfOpen: true }, (raw) => server.emit("connection", raw));
    front.listen(0, "127.0.0.1");
    await once(front, "listening");
    onTestFinished(() => void front.close());
    const arrived = once(front, "connection") as Promise<[Socket]>;
    const client = open((front.address() as AddressInfo).port);
    client.pause();
    client.write(request);
    const [raw] = await arrived;
    const ended = closed(raw);
    await responded.promise;
    client.end();
    await ended;
    expect(raw.destroyed).toBe(true);
  });

  test("is cut when its time is up after the client has sent bytes that are not HTTP, and gets nothing besides the response", async () => {
    const held = Promise.withResolvers<ServerResponse>();
    const { server, port } = await guardedServer((_request, response) => held.resolve(response));
    const arrived = once(server, "connection") as Promise<[Socket]>;
    const client = open(port);
    client.write(request);
    const [raw] = await arrived;
    const ended = closed(raw);
    await held.promise;
    client.write("@@ this is no HTTP\r\n\r\n");
    await ended;
    expect(await textOf(client)).not.toContain("408");
  });
});

describe("a request that is not HTTP", () => {
  test.each([
    ["noise", "\x00\x01\x02\x03 noise\r\n\r\n", 400],
    ["a TLS hello", Buffer.from("16030100c8010000c40303", "hex"), 400],
    ["a header without a name", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400],
    ["two different lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400],
    ["a header of 100 KB", `GET / HTTP/1.1\r\nHost: a\r\nX-Long: ${"x".repeat(100_000)}\r\n\r\n`, 431],
  ])("is refused: %s", async (_name, request, status) => {
    const { port } = await guardedServer(respond);
    const response = await rawRequest(port, request);
    expect(statusOf(response)).toBe(status);
  });

  test("is refused with 408 when the runtime itself finds it too slow", async () => {
    const { server, port } = await guardedServer(respond);
    const arrived = once(server, "connection") as Promise<[Socket]>;
    const client = open(port);
    client.write("GET");
    const [raw] = await arrived;
    server.emit("clientError", Object.assign(new Error("too slow"), { code: "ERR_HTTP_REQUEST_TIMEOUT" }), raw);
    expect(await textOf(client)).toMatch(/^HTTP\/1\.1 408 [^]+The request took too long\n$/);
  });

  test("does not harm the server when it ends in a reset", async () => {
    const { server, port } = await guardedServer(respond);
    const arrived = once(server, "connection") as Promise<[Socket]>;
    const client = open(port);
    client.write("GET / HTTP/1.1\r\n");
    const [raw] = await arrived;
    client.resetAndDestroy();
    await closed(raw);
    expect(await rawRequest(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).toContain("hello");
  });

  test("has an error listener on its connection from the first moment", async () => {
    const { server, port } = await guardedServer(respond);
    const counted = new Promise<number>((resolve) => {
      server.on("connection", (raw: Socket) => resolve(raw.listenerCount("error")));
    });
    open(port).write("GET");
    expect(await counted).toBeGreaterThan(0);
  });
});

test("a request with more headers than the runtime gives to the server is refused, as a handshake and as a plain request", async () => {
  const app = await listeningApp({}, (app) => app.ws("/", () => {}).get("/plain", () => "hello"));
  const many = Object.fromEntries(Array.from({ length: 1_500 }, (_, i) => [`X-${i}`, `${i}`]));
  expect(statusOf(await rawRequest(portOf(app), upgradeRequest("/", many)))).toBe(431);
  expect(statusOf(await rawRequest(portOf(app), upgradeRequest("/", { ...many, Upgrade: undefined })))).toBe(431);
});

test("stop leaves the connections alone, and no timer runs any more", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const { guard, server, port } = await guardedServer(respond);
  const arrived = once(server, "connection");
  const client = open(port);
  client.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
  await arrived;
  expect(vi.getTimerCount()).toBe(1);
  guard.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(10 * TIMEOUT_MS);
  client.write("\r\n");
  expect(await textOf(client)).toContain("hello");
});
