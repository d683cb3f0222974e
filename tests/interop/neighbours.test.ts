// What other parties do on a server that an app shares with them, and what to write instead (docs/share-a-server.md).

import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket as RawSocket } from "node:net";
import fastify, { type FastifyInstance } from "fastify";
import { expect, onTestFinished, test } from "vitest";
import { WebSocketServer } from "ws";
import { type App, createApp } from "../../mod.ts";
import { attachedApp, connectTo } from "../support/app.ts";
import { close, text } from "../support/frames.ts";
import { type RawClient, rawRequest, statusOf, upgradeRequest } from "../support/raw-client.ts";

/** Adds a route whose sockets say that they belong to the app. */
const addRoutes = (app: App): App => app.ws("/ours", (socket) => void socket.send("ours"));

/** Fastify, a client of the app on its port, and a promise that resolves when Fastify begins to close. */
interface Beside {
  readonly site: FastifyInstance;
  readonly client: RawClient;
  readonly closing: Promise<void>;
}

/** Lets the `ws` package say of its sockets that they belong to it. */
function greet(theirs: WebSocketServer): WebSocketServer {
  onTestFinished(() => theirs.close());
  return theirs.on("connection", (socket) => socket.send("theirs"));
}

test.each([
  ["before the app", true],
  ["after the app", false],
])("ws with { server, path } that is added %s spoils handshakes at the paths of the app", async (_name, isFirst) => {
  const addTheirs = (server: Server): unknown => greet(new WebSocketServer({ server, path: "/theirs" }));
  const attached = await attachedApp(createServer(), addRoutes, (app, server) => {
    if (isFirst) addTheirs(server);
    app.attach(server);
    if (!isFirst) addTheirs(server);
  });
  expect(await (await connectTo(attached, "/theirs")).nextMessage()).toBe("theirs");
  // When the app has written its 101 already, the 400 comes behind it.
  for (let round = 0; round < 3; round++) {
    expect(await rawRequest(attached.port, upgradeRequest("/ours"))).toContain("HTTP/1.1 400 Bad Request\r\n");
  }
});

test("ws with { server } answers the handshakes of the app", async () => {
  const attached = await attachedApp(createServer(), addRoutes, (app, server) => {
    greet(new WebSocketServer({ server }));
    app.attach(server);
  });
  expect(await (await connectTo(attached, "/ours")).nextMessage()).toBe("theirs");
});

test("ws with { noServer } and one listener that decides leaves to the app what is not at its path", async () => {
  const theirs = greet(new WebSocketServer({ noServer: true }));
  const attached = await attachedApp(createServer(), addRoutes, (app, server) => {
    server.on("upgrade", (req, socket, head) => {
      if (req.url!.split("?")[0] === "/theirs") {
        theirs.handleUpgrade(req, socket, head, (webSocket) => theirs.emit("connection", webSocket, req));
      } else app.handleUpgrade(req, socket as RawSocket, head);
    });
  });
  for (let round = 0; round < 3; round++) {
    expect(await (await connectTo(attached, "/theirs?a=b")).nextMessage()).toBe("theirs");
    expect(await (await connectTo(attached, "/ours")).nextMessage()).toBe("ours");
  }
  expect(statusOf(await rawRequest(attached.port, upgradeRequest("/nobody")))).toBe(404);
});

/** An app on the port of Fastify, with one client. `log` gets the names of the hooks that run. */
async function besideFastify(log: string[], onPreClose?: (app: App) => unknown): Promise<Beside> {
  const site = fastify();
  const app = await createApp({ logger: false });
  const closing = Promise.withResolvers<void>();
  app.ws("/ours", (socket) => {
    socket.on("message", (data) => socket.send(data));
    socket.send("ours");
  }).attach(site.server);
  site.addHook("preClose", async () => {
    log.push("preClose");
    closing.resolve();
    await onPreClose?.(app);
  });
  site.addHook("onClose", async () => {
    log.push("onClose");
    await app.close();
  });
  await site.listen({ port: 0, host: "127.0.0.1" });
  const client = await connectTo({ address: site.server.address() as AddressInfo }, "/ours");
  expect(await client.nextMessage()).toBe("ours");
  return { site, client, closing: closing.promise };
}

test("Fastify runs its onClose hooks when all sockets have ended, so an app.close() there comes too late", async () => {
  const log: string[] = [];
  const { site, client, closing } = await besideFastify(log);
  const closed = site.close();
  await closing;
  for (const message of ["one", "two", "three"]) {
    client.send(text(message));
    expect(await client.nextMessage()).toBe(message);
  }
  log.push("the client leaves");
  client.send(close(1000));
  await closed;
  expect(log).toEqual(["preClose", "the client leaves", "onClose"]);
});

test("Fastify closes the sockets of an app by app.close() in a preClose hook", async () => {
  const log: string[] = [];
  const { site, client } = await besideFastify(log, (app) => app.close());
  const closed = site.close();
  expect((await client.nextFrame()).payload.readUInt16BE(0)).toBe(1001);
  client.send(close(1001));
  await closed;
  expect(log).toEqual(["preClose", "onClose"]);
});
