/** Several apps and other `upgrade` listeners on one server: who responds to which handshake, and to other offers. */

import { createServer, type IncomingMessage, type Server } from "node:http";
import { connect, type Socket as RawSocket } from "node:net";
import express from "express";
import { describe, expect, onTestFinished, test } from "vitest";
import { connectTo } from "../../support/app.ts";
import { askInTurn, offers, requestsWith } from "../../support/optional-upgrades.ts";
import { addOther, appOn, listening, plainServer, portOfServer } from "../../support/other-server.ts";
import { type RawClient, rawRequest, statusOf, upgradeRequest } from "../../support/raw-client.ts";
import { StreamClient } from "../../support/stream-client.ts";

type Headers = Record<string, string>;
type ShouldUpgrade = (message: IncomingMessage) => boolean;

/** The types of node:http know the option, but not the member. */
function decides(server: Server): { shouldUpgradeCallback: ShouldUpgrade } {
  return server as Server & { shouldUpgradeCallback: ShouldUpgrade };
}

async function statusAt(server: Server, path: string, headers: Headers = {}): Promise<number> {
  return statusOf(await rawRequest(portOfServer(server), upgradeRequest(path, headers)));
}

function connectWith(server: Server, subprotocols: string | undefined, path: string = "/"): Promise<RawClient> {
  const headers: Headers = subprotocols === undefined ? {} : { "Sec-WebSocket-Protocol": subprotocols };
  return connectTo({ address: server.address() as never }, { path, headers });
}

/** A server of Express, which answers the requests of `requestsWith`. */
function expressServer(): Promise<Server> {
  const site = express();
  site.get("/page", (_req, res) => void res.send("a page"));
  site.post("/echo", express.text(), (req, res) => void res.send(req.body));
  return listening(createServer(site));
}

function addHmr(server: Server): void {
  addOther(server, ({ headers }) => headers["sec-websocket-protocol"] === "vite-hmr");
}

/** An `upgrade` listener that refuses every request. */
function refuse(_message: IncomingMessage, raw: RawSocket): void {
  raw.end("HTTP/1.1 418 Teapot\r\nConnection: close\r\n\r\n");
}

/** An `upgrade` listener that refuses tea, and leaves the rest alone. */
function refuseTea(message: IncomingMessage, raw: RawSocket): void {
  if (message.headers.upgrade === "tea") refuse(message, raw);
}

const ORDERS = [["first", true], ["last", false]] as const;

describe("a request that offers another protocol", () => {
  test.each(offers)("is left to the framework, given the offer of %s", async (_client, offer) => {
    const server = await expressServer();
    for (const path of ["/a", "/b"]) await appOn(server, {}, (app) => app.ws(path, (socket) => void socket.send(path)));
    addHmr(server);
    const client = connect(portOfServer(server), "127.0.0.1");
    onTestFinished(() => void client.destroy());
    expect(await askInTurn(client, requestsWith(offer))).toEqual([
      [200, "a page"],
      [200, "one"],
      [200, "two"],
      [404, expect.any(String)],
    ]);
    expect(await (await StreamClient.connect(client, "/b")).nextMessage()).toBe("/b");
  });

  test("is left to other listeners, if there are any, even at a path of the app", async () => {
    const server = await plainServer((_req, res) => res.writeHead(202, { Connection: "close" }).end());
    await appOn(server, {}, (app) => app.ws("/", () => {}));
    expect(await statusAt(server, "/", { Upgrade: "tea" })).toBe(202);
    server.on("upgrade", refuseTea);
    expect(await statusAt(server, "/", { Upgrade: "tea" })).toBe(418);
    server.off("upgrade", refuseTea);
    expect(await statusAt(server, "/", { Upgrade: "tea" })).toBe(202);
  });

  test.each(["h2c", "TLS/1.2", "h2c-next", "my-h2c"])(
    "is ignored only if its name is one that clients offer with every request: %s",
    async (name) => {
      const server = await plainServer((_req, res) => res.writeHead(202, { Connection: "close" }).end());
      await appOn(server, {}, (app) => app.ws("/", () => {}));
      server.on("upgrade", refuse);
      expect(await statusAt(server, "/", { Upgrade: name })).toBe(name.includes("-") ? 418 : 202);
    },
  );
});

describe("a server that decides itself what becomes an upgrade", () => {
  test("still decides that, except for handshakes at the paths of an app; without apps it is as before", async () => {
    const decide = ({ url }: IncomingMessage): boolean => url === "/theirs";
    const server = await listening(createServer({ shouldUpgradeCallback: decide }, (_req, res) => {
      res.writeHead(202, { Connection: "close" }).end();
    }));
    addOther(server, ({ url }) => url === "/theirs");
    const [first, second] = [
      await appOn(server, {}, (app) => app.ws("/first", (socket) => void socket.send("first"))),
      await appOn(server, {}, (app) => app.ws("/second", (socket) => void socket.send("second"))),
    ];
    for (const name of ["first", "second", "theirs"]) {
      expect(await (await connectWith(server, undefined, `/${name}`)).nextMessage()).toBe(name);
    }
    expect(await statusAt(server, "/nowhere")).toBe(202);
    await first.close({ timeoutMs: 50 });
    expect(await statusAt(server, "/first")).toBe(202);
    await second.close({ timeoutMs: 50 });
    expect(await statusAt(server, "/second")).toBe(202);
    expect(decides(server).shouldUpgradeCallback).toBe(decide);
  });

  test("keeps a function that was set later, which may call that of the app even after the app has closed", async () => {
    const server = await plainServer((_req, res) => res.writeHead(202, { Connection: "close" }).end());
    const app = await appOn(server, {}, (app) => app.ws("/", (socket) => void socket.send("ours")));
    const ours = decides(server).shouldUpgradeCallback;
    const later = (message: IncomingMessage): boolean => ours.call(server, message);
    decides(server).shouldUpgradeCallback = later;
    expect(await (await connectWith(server, undefined)).nextMessage()).toBe("ours");
    await app.close({ timeoutMs: 50 });
    expect(decides(server).shouldUpgradeCallback).toBe(later);
    expect(await statusAt(server, "/")).toBe(202);
    server.on("upgrade", refuse);
    expect(await statusAt(server, "/", { Upgrade: "tea" })).toBe(418);
  });

  test("may be one of a runtime that knows no such function: the server is then without one again", async () => {
    const server = await plainServer((_req, res) => res.writeHead(202, { Connection: "close" }).end());
    delete (server as Partial<ReturnType<typeof decides>>).shouldUpgradeCallback;
    const app = await appOn(server, {}, (app) => app.ws("/", (socket) => void socket.send("ours")));
    const ours = decides(server).shouldUpgradeCallback;
    server.on("upgrade", refuseTea);
    expect(await (await connectWith(server, undefined)).nextMessage()).toBe("ours");
    expect(await statusAt(server, "/", { Upgrade: "tea" })).toBe(418);
    server.off("upgrade", refuseTea);
    await app.close({ timeoutMs: 50 });
    expect("shouldUpgradeCallback" in server).toBe(false);
    decides(server).shouldUpgradeCallback = ours;
    expect(await statusAt(server, "/")).toBe(202);
  });
});

test("a handshake during which an earlier listener closes the last app is cut, and nothing is uncaught", async () => {
  const server = await plainServer();
  const closed = Promise.withResolvers<unknown>();
  server.once("upgrade", () => closed.resolve(app.close()));
  const app = await appOn(server, {}, (app) => app.ws("/", () => {}));
  expect(await rawRequest(portOfServer(server), upgradeRequest("/"))).toBe("");
  expect(await closed.promise).toEqual({ closed: 0, terminated: 0 });
});

test("a handshake during which an earlier listener closes the last app is still a later listener's", async () => {
  const server = await plainServer();
  const closed = Promise.withResolvers<unknown>();
  server.once("upgrade", () => closed.resolve(app.close()));
  const app = await appOn(server, {}, (app) => app.ws("/", () => {}));
  addOther(server, () => true);
  expect(await (await connectWith(server, undefined)).nextMessage()).toBe("theirs");
  expect(await closed.promise).toEqual({ closed: 0, terminated: 0 });
});

describe("a client that offers subprotocols at the path of a route", () => {
  test.each(ORDERS)(
    "gets the other listener if only that one speaks one of them, when the app comes %s",
    async (_name, isFirst) => {
      const server = await plainServer();
      if (!isFirst) addHmr(server);
      const app = await appOn(server, {}, (app) => app.ws("/", (socket) => void socket.send("ours")));
      if (isFirst) addHmr(server);
      // In the second round the services of the app have been made, so that it can respond at once.
      for (let round = 1; round <= 2; round++) {
        const hmr = await connectWith(server, "vite-hmr");
        expect(await hmr.nextMessage()).toBe("theirs");
        expect(hmr.response).toContain("Sec-WebSocket-Protocol: vite-hmr");
        expect(await (await connectWith(server, undefined)).nextMessage()).toBe("ours");
        expect(app.stats()).toMatchObject({ accepted: round, refused: 0 });
        expect(hmr.frames).toHaveLength(1);
      }
    },
  );

  test.each(ORDERS)("gets the app that speaks one of them, when that app comes %s", async (_name, isFirst) => {
    const server = await plainServer();
    const names = isFirst ? ["v2", "v1"] : ["v1", "v2"];
    for (const name of names) {
      await appOn(server, {}, (app) => app.ws("/", { subprotocols: [name] }, (socket) => void socket.send(name)));
    }
    expect(await (await connectWith(server, "v9, v2")).nextMessage()).toBe("v2");
    expect(await (await connectWith(server, "v1")).nextMessage()).toBe("v1");
    expect(await statusAt(server, "/", { "Sec-WebSocket-Protocol": "v9" })).toBe(400);
  });

  test.each(ORDERS)(
    "gets the hook that may choose one, unless another listener responds before, when the app comes %s",
    async (_name, isFirst) => {
      const server = await plainServer();
      if (!isFirst) addHmr(server);
      const asked: unknown[] = [];
      await appOn(server, {}, (app) =>
        app.ws("/", {
          upgrade: ({ headers }, _services, answer) => {
            asked.push(headers["sec-websocket-protocol"]);
            answer.subprotocol = answer.offered.find((name) => name === "token");
          },
        }, (socket) => void socket.send("ours")));
      if (isFirst) addHmr(server);
      for (let round = 1; round <= 2; round++) {
        expect(await (await connectWith(server, "vite-hmr")).nextMessage()).toBe("theirs");
        const client = await connectWith(server, "token, abc");
        expect(await client.nextMessage()).toBe("ours");
        expect(client.response).toContain("Sec-WebSocket-Protocol: token");
      }
      expect(asked).toEqual(["token, abc", "token, abc"]);
    },
  );

  test.each(ORDERS)(
    "gets the app that has the route and not one without, also to be refused, when that app comes %s",
    async (_name, isFirst) => {
      const server = await plainServer();
      const addFitting = (): Promise<unknown> =>
        appOn(server, {}, (app) =>
          app
            .ws("/fixed", { subprotocols: ["v1"] }, () => {})
            .ws("/hook", {
              upgrade: (_req, _services, answer) => void (answer.subprotocol = answer.offered[0]),
            }, (socket) => void socket.send("ours")));
      if (isFirst) await addFitting();
      await appOn(server, {}, (app) => app.ws("/elsewhere", () => {}));
      if (!isFirst) await addFitting();
      expect(await statusAt(server, "/fixed", { "Sec-WebSocket-Protocol": "v9" })).toBe(400);
      expect(await (await connectWith(server, "token", "/hook")).nextMessage()).toBe("ours");
    },
  );

  test("gets the app as ever if there is no other listener", async () => {
    const server = await plainServer();
    await appOn(server, {}, (app) => app.ws("/", (socket) => void socket.send(socket.protocol)));
    expect(await (await connectWith(server, "vite-hmr")).nextMessage()).toBe("");
  });
});
