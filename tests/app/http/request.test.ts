/** The address of a request: its Host header and its target (RFC 9112 §3.2), for every way into an app. */

import { createServer, type IncomingMessage } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect as connectTcp, type Socket as RawSocket } from "node:net";
import type { Duplex } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import { type App, createApp, InjectError } from "../../../mod.ts";
import { HttpRoutes } from "../../../src/app/http/http-routes.ts";
import { MemorySocket } from "../../../src/app/inject/memory-socket.ts";
import { makeRequest } from "../../../src/app/inject/request.ts";
import { attachedApp, listeningApp, portOf, recordingLogger } from "../../support/app.ts";
import { certificate, connectSecurely } from "../../support/certificate.ts";
import { close } from "../../support/frames.ts";
import { headerOf, statusOf, upgradeRequest } from "../../support/raw-client.ts";
import { readToEnd } from "../../support/stream-client.ts";

/** Opens a connection to an app with the given routes. */
type WayIn = (addRoutes: (app: App) => unknown) => Promise<() => Duplex>;

const clear = (port: number) => (): Duplex => {
  const stream = connectTcp(port, "127.0.0.1");
  stream.on("error", () => {});
  onTestFinished(() => void stream.destroy());
  return stream;
};
const secure = (port: number) => (): Duplex => connectSecurely(port);

const listen: WayIn = async (addRoutes) => clear(portOf(await listeningApp({}, addRoutes)));
const listenTls: WayIn = async (addRoutes) => secure(portOf(await listeningApp({ tls: certificate() }, addRoutes)));

const attach: WayIn = async (addRoutes) => clear((await attachedApp(createServer(), addRoutes)).port);

const attachTls: WayIn = async (addRoutes) =>
  secure((await attachedApp(createTlsServer(certificate()), addRoutes)).port);

/**
 * A server whose owner reads the headers first. From then on, the runtimes keep the objects that they have made of the
 * headers.
 */
const handOver: WayIn = async (addRoutes) => {
  const { port } = await attachedApp(createServer(), addRoutes, (app, server) => {
    server.on("upgrade", (message: IncomingMessage, raw: RawSocket, head: Buffer) => {
      if (message.headers.upgrade !== undefined) app.handleUpgrade(message, raw, head);
    });
  });
  return clear(port);
};

const WAYS_IN: readonly (readonly [string, WayIn])[] = [
  ["listen", listen],
  ["listen with TLS", listenTls],
  ["attach", attach],
  ["attach with TLS", attachTls],
  ["handleUpgrade", handOver],
];

async function send(stream: Duplex, request: string): Promise<string> {
  stream.write(Buffer.from(request, "latin1"));
  return await readToEnd(stream);
}

/** Sends a handshake with a Close behind it, so that an accepted connection ends too, and returns the response. */
function shake(stream: Duplex, request: string): Promise<string> {
  return send(stream, request + close(1000).toString("latin1"));
}

function get(stream: Duplex, host: readonly string[], requestLine: string = "GET / HTTP/1.1"): Promise<string> {
  const lines = [requestLine, ...host.map((value) => `Host: ${value}`), "Connection: close", "", ""];
  return send(stream, lines.join("\r\n"));
}

const bodyOf = (response: string): string => response.slice(response.indexOf("\r\n\r\n") + 4);

const WRONG_HOSTS: readonly (readonly [name: string, hosts: readonly string[]])[] = [
  ["two of them", ["localhost", "evil.example"]],
  ["the same twice", ["localhost", "localhost"]],
  ["three of them", ["a", "b", "c"]],
  ["an empty one before another", ["", "localhost"]],
  ["an empty one behind another", ["localhost", ""]],
  ["two in one line", ["localhost, evil.example"]],
  ["an empty one", [""]],
  ["a port alone", [":80"]],
  ["one with a user", ["user@localhost"]],
  ["one with a space", ["local host"]],
  ["one with a path", ["localhost/chat"]],
  ["a whole address", ["http://localhost"]],
  ["a port that is not a number", ["localhost:http"]],
  ["an IPv6 address without brackets", ["::1"]],
  ["octets above ASCII", ["\xfcber"]],
];

describe.each(WAYS_IN)("by %s, a handshake", (_name, wayIn) => {
  test.each(WRONG_HOSTS)("with a wrong Host is refused with 400: %s", async (_name, hosts) => {
    let handled = 0;
    const open = await wayIn((app) => app.ws("/", () => void handled++));
    const response = await shake(open(), upgradeRequest("/", { Host: hosts }));
    expect(statusOf(response), response).toBe(400);
    expect(bodyOf(response)).toBe("The Host header must be one host, with a port or without\n");
    expect(handled).toBe(0);
  });

  test.each(["localhost", "example.com:8080", "[::1]:3000", "127.0.0.1"])(
    "with the Host %s is accepted",
    async (host) => {
      const open = await wayIn((app) => app.ws("/", () => {}));
      expect(statusOf(await shake(open(), upgradeRequest("/", { Host: host })))).toBe(101);
      const written = upgradeRequest("/", { Host: undefined, hOsT: host });
      expect(statusOf(await shake(open(), written))).toBe(101);
    },
  );

  test.each([
    "GET * HTTP/1.1",
    "GET http:// HTTP/1.1",
    "GET http:///chat HTTP/1.1",
    "GET http://user@localhost/ HTTP/1.1",
    "GET http://a,b/ HTTP/1.1",
    "GET http://localhost:x/ HTTP/1.1",
    "GET ftp://localhost/ HTTP/1.1",
    "GET ws://localhost/ HTTP/1.1",
    "GET /#fragment HTTP/1.1",
    "GET /?query#fragment HTTP/1.1",
    "GET http://localhost/#fragment HTTP/1.1",
  ])("with a target that is not valid is refused with 400: %s", async (requestLine) => {
    let handled = 0;
    const open = await wayIn((app) => app.ws("/", () => void handled++).ws("/*", () => void handled++));
    const response = await shake(open(), upgradeRequest("/", {}, requestLine));
    expect(statusOf(response), response).toBe(400);
    expect(handled).toBe(0);
  });
});

describe.each(WAYS_IN.slice(0, 2))("by %s, a request", (_name, wayIn) => {
  test.each(WRONG_HOSTS)("with a wrong Host is refused with 400: %s", async (_name, hosts) => {
    let handled = 0;
    const open = await wayIn((app) => app.get("/", () => void handled++));
    for (const version of ["1.1", "1.0"]) {
      const response = await get(open(), hosts, `GET / HTTP/${version}`);
      expect(statusOf(response), response).toBe(400);
    }
    expect(handled).toBe(0);
  });

  test("needs a Host header in HTTP/1.1, and none in HTTP/1.0", async () => {
    const open = await wayIn((app) => app.get("/", () => "a page"));
    expect(statusOf(await get(open(), []))).toBe(400);
    const response = await get(open(), [], "GET / HTTP/1.0");
    expect([statusOf(response), bodyOf(response)]).toEqual([200, "a page"]);
  });

  test.each([
    "GET * HTTP/1.1",
    "POST * HTTP/1.1",
    "HEAD * HTTP/1.1",
    "GET http:// HTTP/1.1",
    "GET http://user@localhost/ HTTP/1.1",
    "GET ftp://localhost/ HTTP/1.1",
    "GET /#fragment HTTP/1.1",
  ])("with a target that is not valid is refused with 400: %s", async (requestLine) => {
    let handled = 0;
    const count = (): void => void handled++;
    const open = await wayIn((app) => app.get("/", count).get("/*", count).post("/", count).post("/*", count));
    const response = await get(open(), ["localhost"], requestLine);
    expect(statusOf(response), response).toBe(400);
    expect(handled).toBe(0);
  });

  test("with the method CONNECT reaches no controller", async () => {
    let handled = 0;
    const open = await wayIn((app) => app.get("/*", () => void handled++));
    expect(await get(open(), ["localhost:80"], "CONNECT localhost:80 HTTP/1.1")).not.toMatch(/^HTTP\/1\.1 [123]/);
    expect(handled).toBe(0);
  });

  test.each<[string, string, string]>([
    ["/a/../b", "/a/../b", "a/../b"],
    ["/../../etc/passwd", "/../../etc/passwd", "../../etc/passwd"],
    ["/a/..%2f..%2Fb", "/a/..%2f..%2Fb", "a/../../b"],
    ["/a%2Fb/c", "/a%2Fb/c", "a/b/c"],
    ["//host/path", "//host/path", "/host/path"],
    ["/./", "/./", "./"],
    ["/%2e%2e/b?x=/../", "/%2e%2e/b", "../b"],
    ["http://localhost//b", "//b", "/b"],
    ["http://localhost:80?x=1", "/", ""],
    ["HTTPS://[::1]:443/b", "/b", "b"],
  ])("for %s has its path as the client wrote it", async (target, path, rest) => {
    const open = await wayIn((app) => app.get("/*", (req) => [req.path, req.params["*"]]));
    expect(JSON.parse(bodyOf(await get(open(), ["localhost"], `GET ${target} HTTP/1.1`)))).toEqual([path, rest]);
  });

  test.each(["//b", "/a/../b", "/./b", "/%2fb", "/b/", "/b/.", "/B"])(
    "for %s is not a request for /b: the path is not normalised",
    async (target) => {
      const open = await wayIn((app) => app.get("/b", () => "b"));
      expect(statusOf(await get(open(), ["localhost"], `GET ${target} HTTP/1.1`))).toBe(404);
    },
  );
});

describe("OPTIONS *", () => {
  test("lists the methods of all paths of the server", async () => {
    const limits = { maxBodyBytes: 1, messageTimeoutMs: 1, logger: recordingLogger().logger };
    const http = new HttpRoutes(limits, () => false);
    http.addRoute("GET", "/", () => "a");
    http.addRoute("DELETE", "/b", () => {});
    // Bun itself responds with 400, so the request is made without a port.
    const message = makeRequest(MemorySocket.pair().server, "OPTIONS", "*", new Headers());
    expect(await http.respond(message, {})).toEqual({
      status: 204,
      headers: [["Allow", "GET, DELETE, HEAD, OPTIONS"]],
      body: undefined,
    });
  });

  test("reaches no route, as a request or as a handshake", async () => {
    let handled = 0;
    const open = await listen((app) => app.ws("/", () => void handled++).ws("/*", () => void handled++));
    expect(statusOf(await shake(open(), upgradeRequest("/", {}, "OPTIONS * HTTP/1.1")))).toBeGreaterThanOrEqual(400);
    // This app has no controllers.
    expect(headerOf(await get(open(), ["localhost"], "OPTIONS * HTTP/1.1"), "Allow") ?? "OPTIONS").toBe("OPTIONS");
    expect(handled).toBe(0);
  });
});

describe("a target that is a whole URL", () => {
  test("replaces the Host header by its own host (RFC 9112 §3.2.2), so that the same origin is accepted", async () => {
    const hosts: unknown[] = [];
    const app = await listeningApp(
      { wsOrigins: "same-origin" },
      (app) => app.ws("/", (_socket, req) => void hosts.push(req.headers.host)),
    );
    const open = clear(portOf(app));
    const ask = (origin: string): Promise<string> =>
      shake(open(), upgradeRequest("/", { Host: "b.example", Origin: origin }, "GET http://a.example/ HTTP/1.1"));
    expect(statusOf(await ask("http://a.example"))).toBe(101);
    expect(statusOf(await ask("http://b.example"))).toBe(403);
    expect(hosts).toEqual(["a.example"]);
  });
});

test("the requests of another listener are not changed", async () => {
  const seen = Promise.withResolvers<IncomingMessage>();
  const addRoutes = (app: App): unknown => app.ws("/ours", () => {});
  const { port } = await attachedApp(createServer(), addRoutes, (app, server) => {
    app.attach(server);
    server.on("upgrade", (message: IncomingMessage, raw: RawSocket) => {
      if (message.url !== "http://a.example/theirs") return;
      seen.resolve(message);
      raw.end("HTTP/1.1 418 Mine\r\nConnection: close\r\n\r\n");
    });
  });
  const request = upgradeRequest("/", { Host: "b.example" }, "GET http://a.example/theirs HTTP/1.1");
  expect(statusOf(await shake(clear(port)(), request))).toBe(418);
  const { headers, ...rest } = await seen.promise;
  expect(headers.host).toBe("b.example");
  expect(["params", "path", "query", "ip"].filter((name) => Object.hasOwn(rest, name))).toEqual([]);
});

test("inject refuses a wrong Host or target as a port does", async () => {
  const app = await createApp({ logger: false });
  app.ws("/*", () => {});
  const statusFor = (path: string, host: string): Promise<unknown> =>
    app.inject(path, { headers: { Host: host } }).then((client) => (client.terminate(), 101), (error: InjectError) => {
      expect(error).toBeInstanceOf(InjectError);
      return error.response.status;
    });
  expect(await statusFor("/chat", "localhost")).toBe(101);
  expect(await statusFor("/chat", "a, b")).toBe(400);
  expect(await statusFor("/chat#fragment", "localhost")).toBe(400);
  await app.close();
});

test("handlers see both values of a header that may occur only once, on all runtimes", async () => {
  const open = await listen((app) => app.get("/", (req) => req.headers.authorization));
  const lines = ["GET / HTTP/1.1", "Host: a", "Authorization: one", "Authorization: two", "Connection: close", "", ""];
  expect(bodyOf(await send(open(), lines.join("\r\n")))).toBe("one, two");
});
