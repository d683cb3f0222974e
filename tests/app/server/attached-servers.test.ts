/** Apps on the port of a server that somebody else has made, which keeps its own routes. */

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect as connectTcp, type Socket as RawSocket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { createAdaptorServer } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocketServer } from "ws";
import { type App, type AppOptions, createApp } from "../../../mod.ts";
import { connectTo, errorEntry, recordingLogger } from "../../support/app.ts";
import { certificate, connectSecurely } from "../../support/certificate.ts";
import { close, text } from "../../support/frames.ts";
import { listening, plainServer, portOfServer } from "../../support/other-server.ts";
import { RawClient, rawRequest, statusOf, upgradeRequest } from "../../support/raw-client.ts";
import { StreamClient } from "../../support/stream-client.ts";

/** An app that echoes at `/chat/:room`, naming the room. */
async function echoApp(options: AppOptions = {}): Promise<App> {
  const app = await createApp({ logger: false, ...options });
  onTestFinished(async () => void await app.close({ timeoutMs: 500 }));
  return app.ws("/chat/:room", (socket, { params }) => {
    socket.on("message", (data) => socket.send(`${params.room}: ${data}`));
  });
}

/** The body of a server's response to a plain request. */
async function get(server: Server, path: string): Promise<[number, string]> {
  const response = await fetch(`http://127.0.0.1:${portOfServer(server)}${path}`, { headers: { Connection: "close" } });
  return [response.status, await response.text()];
}

function connect(server: Server, path: string): Promise<RawClient> {
  return connectTo({ address: server.address() as AddressInfo }, path);
}

async function echo(client: RawClient): Promise<string> {
  client.send(text("hello"));
  return await client.nextMessage() as string;
}

describe("a framework keeps its routes, and the WebSockets of the app share its port", () => {
  const frameworks: [string, () => Promise<Server>][] = [
    ["Express", () => {
      const site = express();
      site.get("/hello/:name", (req, res) => void res.send(`Express greets ${req.params.name}`));
      site.post("/echo", express.json(), (req, res) => void res.json(req.body));
      return listening(createServer(site));
    }],
    ["Fastify", async () => {
      const site = fastify();
      site.get("/hello/:name", (req) => `Fastify greets ${(req.params as { name: string }).name}`);
      site.post("/echo", (req) => req.body);
      await site.listen({ port: 0, host: "127.0.0.1" });
      onTestFinished(() => site.close());
      return site.server;
    }],
    ["Hono", () => {
      const site = new Hono();
      site.get("/hello/:name", (context) => context.text(`Hono greets ${context.req.param("name")}`));
      site.post("/echo", async (context) => context.json(await context.req.json()));
      return listening(createAdaptorServer({ fetch: site.fetch }) as Server);
    }],
  ];

  test.each(frameworks)("%s", async (name, start) => {
    const server = await start();
    const app = (await echoApp()).attach(server);
    const clients = [await connect(server, "/chat/tea"), await connect(server, "/chat/a%20b")];
    expect(await get(server, "/hello/Ada")).toEqual([200, `${name} greets Ada`]);
    expect([await echo(clients[0]), await echo(clients[1])]).toEqual(["tea: hello", "a b: hello"]);
    const posted = await fetch(`http://127.0.0.1:${portOfServer(server)}/echo`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Connection: "close" },
      body: '{"a":1}',
    });
    expect(await posted.json()).toEqual({ a: 1 });
    // At a path without a route, the framework responds to requests, and the app to handshakes.
    expect((await get(server, "/nowhere"))[0]).toBe(404);
    expect(statusOf(await rawRequest(portOfServer(server), upgradeRequest("/nowhere")))).toBe(404);
    expect(app.sockets.size).toBe(2);

    const closing = app.close();
    for (const client of clients) {
      expect((await client.nextFrame()).payload.readUInt16BE(0)).toBe(1001);
      client.send(close(1001));
    }
    expect(await closing).toEqual({ closed: 2, terminated: 0 });
    expect(await get(server, "/hello/Bob")).toEqual([200, `${name} greets Bob`]);
  });
});

describe("attach", () => {
  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["a port", 3000],
    ["an Express app", express()],
    ["an object", {}],
    ["an object that only has listeners", { on() {} }],
    ["an object that only counts listeners", { listenerCount: () => 0 }],
  ])("takes a server and nothing else: %s is a TypeError", async (_name, server) => {
    const app = await echoApp();
    expect(() => app.attach(server as Server)).toThrow(TypeError);
    expect(() => app.attach(server as Server)).toThrow(/attach takes a server of node:http or node:https; got /);
  });

  test("is chainable, before the server listens or after, and on several servers at once", async () => {
    const servers = [createServer(), await plainServer()];
    const app = await echoApp();
    expect(app.attach(servers[0]).attach(servers[1])).toBe(app);
    await listening(servers[0]);
    for (const server of servers) expect(await echo(await connect(server, "/chat/x"))).toBe("x: hello");
    expect(app.sockets.size).toBe(2);
    // The app itself does not listen, but could do so besides.
    expect([app.address, app.url]).toEqual([undefined, ""]);
    await app.listen({ port: 0, host: "127.0.0.1" });
    expect(await echo(await connectTo(app, "/chat/own"))).toBe("own: hello");
  });

  test("serves https as well", async () => {
    const server = await listening(createTlsServer(certificate(), (_req, res) => res.end("theirs")));
    (await echoApp()).attach(server);
    const client = await StreamClient.connect(connectSecurely(portOfServer(server)), "/chat/tls");
    client.send(text("hello"));
    expect(await client.nextMessage()).toBe("tls: hello");
    client.send(close(1000));
    expect((await client.closed()).code).toBe(1000);
  });

  test("makes the services at the first handshake, which waits for them", async () => {
    const database = Promise.withResolvers<{ name: string }>();
    const begun = Promise.withResolvers<void>();
    let made = 0;
    const seen: unknown[] = [];
    const server = await plainServer();
    const app = await createApp({
      logger: false,
      services: {
        database: () => {
          made++;
          begun.resolve();
          return database.promise;
        },
      },
    });
    onTestFinished(async () => void await app.close({ timeoutMs: 500 }));
    app.ws("/", (socket, _req, services) => {
      seen.push(services);
      socket.on("message", (data) => socket.send(`${services.database.name} ${data}`));
    }).attach(server);
    await nextTurn();
    expect(made).toBe(0);
    const connecting = [0, 1].map(() => RawClient.connect(portOfServer(server), { early: text("early") }));
    await begun.promise;
    expect([made, seen.length]).toEqual([1, 0]);
    database.resolve({ name: "db" });
    for (const client of await Promise.all(connecting)) {
      onTestFinished(() => client.terminate());
      expect(await client.nextMessage()).toBe("db early");
    }
    expect(seen[0]).toBe(seen[1]);
    expect(made).toBe(1);
  });

  test("with a service that cannot be made refuses with 500, logs that, and leaves the routes of the server alone", async () => {
    const { logger, entries } = recordingLogger();
    const server = await plainServer();
    const failure = new Error("no database");
    const app = await createApp({ logger, services: { database: () => Promise.reject(failure) } });
    app.ws("/", () => {}).attach(server);
    const response = await rawRequest(portOfServer(server), upgradeRequest("/"));
    expect(statusOf(response)).toBe(500);
    expect(response).not.toContain("no database");
    expect(entries).toEqual([errorEntry("", failure)]);
    expect(await get(server, "/")).toEqual([200, "theirs"]);
    await app.close();
  });

  test("limits the time of an upgrade hook to handshakeTimeoutMs too", async () => {
    const server = await plainServer();
    const app = await createApp({ logger: false, handshakeTimeoutMs: 100 });
    onTestFinished(async () => void await app.close({ timeoutMs: 500 }));
    app.ws("/", { upgrade: () => new Promise(() => {}) }, () => {}).attach(server);
    expect(statusOf(await rawRequest(portOfServer(server), upgradeRequest("/")))).toBe(408);
    expect(app.stats().timeouts.handshake).toBe(1);
  });

  test("after close is an error", async () => {
    const app = await echoApp();
    await app.close();
    expect(() => app.attach(createServer())).toThrow(/has been closed: create another/);
  });
});

describe("other upgrade listeners", () => {
  /** The `ws` package at `/theirs`, beside whatever else listens. */
  function addTheirs(server: Server): void {
    const theirs = new WebSocketServer({ noServer: true });
    onTestFinished(() => theirs.close());
    theirs.on("connection", (socket) => socket.on("message", (data) => socket.send(`ws: ${data}`)));
    server.on("upgrade", (request, raw, head) => {
      if (request.url !== "/theirs") return;
      theirs.handleUpgrade(request, raw, head, (socket) => theirs.emit("connection", socket, request));
    });
  }

  test.each([["first", true], ["second", false]])(
    "get the handshakes at their paths, and the app those at its own, if the app was attached %s",
    async (_name, areFirst) => {
      const server = await plainServer();
      const app = await echoApp();
      if (areFirst) app.attach(server);
      addTheirs(server);
      if (!areFirst) app.attach(server);
      for (let round = 0; round < 3; round++) {
        expect(await echo(await connect(server, "/theirs"))).toBe("ws: hello");
        expect(await echo(await connect(server, "/chat/ours"))).toBe("ours: hello");
      }
      expect(await get(server, "/")).toEqual([200, "theirs"]);
      expect(app.stats()).toMatchObject({ connections: 3, accepted: 3, refused: 0 });
    },
  );

  test("get every handshake that is not for the app, even one with a wrong path or wrong headers; without them the app refuses it", async () => {
    const server = await plainServer();
    const app = (await echoApp()).attach(server);
    const seen: string[] = [];
    const other = (request: IncomingMessage, raw: RawSocket): void => {
      if (request.url!.startsWith("/chat")) return;
      seen.push(request.url!);
      raw.end("HTTP/1.1 418 Teapot\r\nConnection: close\r\n\r\n");
    };
    server.on("upgrade", other);
    const statusAt = async (path: string, headers = {}): Promise<number> =>
      statusOf(await rawRequest(portOfServer(server), upgradeRequest(path, headers)));
    expect(await statusAt("/nowhere")).toBe(418);
    expect(await statusAt("/%zz")).toBe(418);
    expect(await statusAt("/other", { Upgrade: "tea" })).toBe(418);
    expect(await statusAt("/chat/x", { "Sec-WebSocket-Key": "short" })).toBe(400);
    expect(seen).toEqual(["/nowhere", "/%zz", "/other"]);

    server.off("upgrade", other);
    expect(await statusAt("/nowhere")).toBe(404);
    expect(await statusAt("/%zz")).toBe(400);
    expect(app.stats()).toMatchObject({ accepted: 0, refused: 3 });
  });

  test("that respond while the hook of the app is still thinking keep the connection: no 408 lands in it", async () => {
    const server = await plainServer();
    const [asked, taken] = [Promise.withResolvers<void>(), Promise.withResolvers<RawSocket>()];
    const app = await createApp({ logger: false, handshakeTimeoutMs: 100 });
    onTestFinished(async () => void await app.close({ timeoutMs: 500 }));
    const upgrade = (): Promise<never> => {
      asked.resolve();
      return new Promise(() => {});
    };
    app.ws("/", { upgrade }, () => {}).attach(server);
    server.on("upgrade", async (request: IncomingMessage, raw: RawSocket) => {
      if (request.headers.host !== "theirs.example") return;
      await asked.promise;
      raw.write("HTTP/1.1 101 Theirs\r\n\r\n");
      taken.resolve(raw);
    });
    const received = rawRequest(portOfServer(server), upgradeRequest("/", { Host: "theirs.example" }));
    const raw = await taken.promise;
    // The deadline of a handshake that comes later is over, so that of theirs would be over too.
    expect(statusOf(await rawRequest(portOfServer(server), upgradeRequest("/")))).toBe(408);
    raw.end("still theirs");
    expect(await received).toBe("HTTP/1.1 101 Theirs\r\n\r\nstill theirs");
  });

  test("may be those of another app: each app has its paths", async () => {
    const server = await plainServer();
    const [first, second] = [await createApp({ logger: false }), await createApp({ logger: false })];
    first.ws("/first", (socket) => void socket.send("first")).attach(server);
    second.ws("/second", (socket) => void socket.send("second")).attach(server);
    expect(await (await connect(server, "/first")).nextMessage()).toBe("first");
    expect(await (await connect(server, "/second")).nextMessage()).toBe("second");
    await first.close({ timeoutMs: 50 });
    expect(await (await connect(server, "/second")).nextMessage()).toBe("second");
    expect(statusOf(await rawRequest(portOfServer(server), upgradeRequest("/first")))).toBe(404);
    await second.close({ timeoutMs: 50 });
  });
});

describe("close", () => {
  test("detaches and leaves the server running, with its listeners and its routes as before", async () => {
    const server = await plainServer();
    const others = ["upgrade", "connection", "request", "error", "close", "clientError"] as const;
    const before = others.map((event) => server.listenerCount(event));
    const app = (await echoApp()).attach(server);
    expect(server.listenerCount("upgrade")).toBeGreaterThan(0);
    const client = await connect(server, "/chat/x");
    const closing = app.close();
    expect((await client.nextFrame()).payload.readUInt16BE(0)).toBe(1001);
    client.send(close(1001));
    await closing;
    expect(others.map((event) => server.listenerCount(event))).toEqual(before);
    expect([server.listening, await get(server, "/")]).toEqual([true, [200, "theirs"]]);

    const successor = (await echoApp()).attach(server);
    expect(await echo(await connect(server, "/chat/again"))).toBe("again: hello");
    expect(successor.sockets.size).toBe(1);
  });

  test("refuses a handshake whose hook has not decided yet with 503", async () => {
    const server = await plainServer();
    const asked = Promise.withResolvers<void>();
    const app = await createApp({ logger: false });
    app.ws("/", {
      upgrade: () => {
        asked.resolve();
        return new Promise(() => {});
      },
    }, () => {}).attach(server);
    const response = rawRequest(portOfServer(server), upgradeRequest("/"));
    await asked.promise;
    expect(await app.close({ timeoutMs: 1_000 })).toEqual({ closed: 0, terminated: 0 });
    expect(statusOf(await response)).toBe(503);
  });

  test("cuts a refused client that does not end its side after timeoutMs, together with the sockets", async () => {
    const server = await plainServer();
    const asked = Promise.withResolvers<void>();
    const app = await createApp({ logger: false, handshakeTimeoutMs: 60_000 });
    app.ws("/", () => {}).ws("/slow", {
      upgrade: () => {
        asked.resolve();
        return new Promise(() => {});
      },
    }, () => {}).attach(server);
    await connect(server, "/");
    const arrived = once(server, "upgrade") as Promise<[IncomingMessage, RawSocket]>;
    const client = connectTcp({ port: portOfServer(server), host: "127.0.0.1", allowHalfOpen: true });
    onTestFinished(() => void client.destroy());
    client.on("error", () => {}).resume().write(upgradeRequest("/slow"));
    const [, raw] = await arrived;
    const cut = new Promise((resolve) => raw.once("close", resolve));
    await asked.promise;
    expect(await app.close({ timeoutMs: 100 })).toEqual({ closed: 0, terminated: 1 });
    await cut;
  });

  test("cuts a refused client that does not end its side after handshakeTimeoutMs", async () => {
    const server = await plainServer();
    const accepted = new Promise<RawSocket>((resolve) => server.once("connection", resolve));
    const asked = Promise.withResolvers<void>();
    const app = await createApp({ logger: false, handshakeTimeoutMs: 300 });
    app.ws("/", {
      upgrade: () => {
        asked.resolve();
        return new Promise(() => {});
      },
    }, () => {}).attach(server);
    const client = connectTcp({ port: portOfServer(server), host: "127.0.0.1", allowHalfOpen: true });
    onTestFinished(() => void client.destroy());
    client.write(upgradeRequest("/"));
    const raw = await accepted;
    const cut = new Promise((resolve) => raw.once("close", resolve));
    await asked.promise;
    const hasEnded = once(client.resume(), "end");
    await app.close({ timeoutMs: 1_000 });
    await hasEnded;
    expect(client.writable).toBe(true);
    await cut;
    expect(app.stats().timeouts.handshake).toBe(0);
  });
});

describe("handleUpgrade", () => {
  test("lets an application dispatch handshakes itself: to two apps by host name, and to one by path", async () => {
    const apps = new Map<string, App>();
    for (const name of ["tea", "coffee"]) {
      const app = await createApp({ logger: false });
      onTestFinished(async () => void await app.close({ timeoutMs: 500 }));
      apps.set(name, app.ws("/", (socket) => void socket.send(`a pot of ${name}`)));
    }
    const server = await plainServer();
    server.on("upgrade", (request: IncomingMessage, raw: RawSocket, head: Buffer) => {
      const app = apps.get(request.headers.host!.split(".")[0]);
      if (app === undefined) raw.destroy();
      else app.handleUpgrade(request, raw, head);
    });
    for (const [name, app] of apps) {
      const client = await RawClient.connect(portOfServer(server), { headers: { Host: `${name}.example` } });
      onTestFinished(() => client.terminate());
      expect(await client.nextMessage()).toBe(`a pot of ${name}`);
      expect(app.sockets.size).toBe(1);
    }
    expect(statusOf(await rawRequest(portOfServer(server), upgradeRequest("/x", { Host: "tea.example" })))).toBe(404);
    await expect(RawClient.connect(portOfServer(server), { headers: { Host: "milk.example" } })).rejects.toThrow();
  });

  test("takes the bytes that came along with the handshake", async () => {
    const server = await plainServer();
    const app = await echoApp();
    server.on("upgrade", (request, raw, head) => app.handleUpgrade(request, raw as RawSocket, head));
    const client = await RawClient.connect(portOfServer(server), { path: "/chat/early", early: text("bird") });
    onTestFinished(() => client.terminate());
    expect(await client.nextMessage()).toBe("early: bird");
  });

  test("cuts a connection that cannot be set up after its 101, and logs why", async () => {
    const { logger, entries } = recordingLogger();
    const server = await plainServer();
    const app = await echoApp({ logger });
    const error = new Error("no socket of the operating system");
    const setNoDelay = (): never => {
      throw error;
    };
    server.on("upgrade", (request, raw, head) => {
      app.handleUpgrade(request, Object.assign(raw as RawSocket, { setNoDelay }), head);
    });
    const response = await rawRequest(portOfServer(server), upgradeRequest("/chat/x"));
    expect([statusOf(response), response.split("\r\n\r\n")[1]]).toEqual([101, ""]);
    expect(entries).toEqual([errorEntry("a connection could not be set up", error)]);
    expect(app.sockets.size).toBe(0);
  });

  test("after close refuses with 503", async () => {
    const server = await plainServer();
    const app = await echoApp();
    server.on("upgrade", (request, raw, head) => app.handleUpgrade(request, raw as RawSocket, head));
    await app.close();
    expect(statusOf(await rawRequest(portOfServer(server), upgradeRequest("/chat/x")))).toBe(503);
  });
});
