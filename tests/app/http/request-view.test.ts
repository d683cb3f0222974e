/** The request object of handlers, over messages of node:http, of other frameworks, and of an application's classes. */

import { once } from "node:events";
import { createServer, IncomingMessage, ServerResponse } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { PassThrough, Readable } from "node:stream";
import { text as textOf } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import express, { type Request as ExpressRequest, Router } from "express";
import fastify from "fastify";
import { describe, expect, test } from "vitest";
import { type AppRequest, createApp } from "../../../mod.ts";
import { RequestView } from "../../../src/app/http/request-view.ts";
import { MemorySocket } from "../../../src/app/inject/memory-socket.ts";
import { ask, attachedApp, connectTo, listeningApp, recordingLogger } from "../../support/app.ts";
import { rawRequest, statusOf, upgradeRequest } from "../../support/raw-client.ts";

const NAMES = ["path", "query"];

function newMessage(Class: typeof IncomingMessage = IncomingMessage): IncomingMessage {
  return new Class(MemorySocket.pair().server as RawSocket);
}

/** A view that shows `path` and `query`. */
function viewOf(message: IncomingMessage, path: string = "ours"): RequestView<{ path: string; query: string }> {
  return new RequestView(message, { path, query: "ours" }, NAMES);
}

describe("a view", () => {
  test("shows its parts, and all the rest as it is on the message, which stays as it was", () => {
    const message = newMessage();
    const names = Reflect.ownKeys(message);
    message.url = "/chat";
    const { request } = viewOf(message);
    expect([request.path, request.query, request.url, request.socket]).toEqual([
      "ours",
      "ours",
      "/chat",
      message.socket,
    ]);
    expect(["path" in request, "url" in request, "other" in request]).toEqual([true, true, false]);
    expect(request).toBeInstanceOf(IncomingMessage);
    expect(request.constructor).toBe(IncomingMessage);
    expect(Reflect.ownKeys(message)).toEqual(names);
    expect(Object.getPrototypeOf(message)).toBe(IncomingMessage.prototype);
    expect(Object.keys(request)).toEqual(Object.keys(message));
  });

  test("sets properties on the message, and its own parts only on itself", () => {
    const message = newMessage() as IncomingMessage & { user?: string; path?: string };
    const { request } = viewOf(message);
    Object.assign(request, { user: "Ada", path: "another" });
    expect([message.user, request.path]).toEqual(["Ada", "another"]);
    expect("path" in message).toBe(false);
  });

  test("lets an object inherit from it, which then has properties of its own", () => {
    const message = newMessage() as IncomingMessage & { user?: string };
    const heir = Object.create(viewOf(message).request);
    heir.user = "Ada";
    heir.path = "its own";
    expect([heir.user, heir.path, heir.query, message.user]).toEqual(["Ada", "its own", "ours", undefined]);
    expect(heir.headers).toBe(message.headers);
  });

  test("runs methods and getters of a class on the message, so that they may use private fields", () => {
    class Own extends IncomingMessage {
      #secret = 7;
      get path(): string {
        return `theirs ${this.#secret}`;
      }
      get asTheySee(): string {
        return this.path;
      }
      secret(): number {
        return this.#secret;
      }
      itself(): this {
        return this;
      }
    }
    const message = newMessage(Own) as Own;
    const request = viewOf(message).request as unknown as Own;
    expect([request.path, request.asTheySee, request.secret()]).toEqual(["ours", "theirs 7", 7]);
    expect(request.itself()).toBe(request);
    expect(message.path).toBe("theirs 7");
  });

  test("never calls a getter of the message that has the name of a part", () => {
    class Throwing extends IncomingMessage {
      get path(): string {
        throw new Error("not here");
      }
    }
    const { request } = viewOf(newMessage(Throwing));
    request.path = "another";
    expect(request.path).toBe("another");
  });

  test.each([
    ["frozen", Object.freeze],
    ["sealed", Object.seal],
    ["not extensible", Object.preventExtensions],
  ])("shows its parts over a message that is %s", (_name, close) => {
    for (const own of [{}, { path: "theirs" }]) {
      const message = close(Object.assign(newMessage(), own)) as IncomingMessage & { path?: string };
      const { request } = viewOf(message);
      expect([request.path, request.socket]).toEqual(["ours", message.socket]);
      expect(request).toBeInstanceOf(IncomingMessage);
      request.path = "another";
      expect([request.path, message.path]).toEqual(["another", own.path]);
    }
  });

  test("is one of several over the same message, each with its own parts", () => {
    const message = newMessage();
    const views = ["one", "two"].map((path) => viewOf(message, path).request);
    views[0].path = "three";
    expect(views.map(({ path }) => path)).toEqual(["three", "two"]);
  });

  test("leaves to the message what a framework defines or brings by a prototype, until the parts are restored", () => {
    const message = newMessage();
    const view = viewOf(message);
    const { request } = view;
    Object.setPrototypeOf(request, Object.create(IncomingMessage.prototype, { path: { get: () => "theirs" } }));
    expect([request.path, request.query]).toEqual(["theirs", "ours"]);
    Object.defineProperty(request, "query", { get: () => "theirs", configurable: true });
    expect([request.path, request.query]).toEqual(["theirs", "theirs"]);
    view.restore([]);
    expect([request.path, request.query]).toEqual(["ours", "ours"]);
    expect(message).toMatchObject({ path: "theirs", query: "theirs" });
  });

  test("restores a part that was assigned, unless the part is excepted", () => {
    const view = viewOf(newMessage());
    Object.assign(view.request, { path: "another", query: "another" });
    view.restore(["query"]);
    expect([view.request.path, view.request.query]).toEqual(["ours", "another"]);
  });
});

describe("the body of a request is read as from any stream", () => {
  const through = async (send: (target: PassThrough) => unknown): Promise<string> => {
    const target = new PassThrough();
    const text = textOf(target);
    await send(target);
    return await text;
  };

  test.each<[string, (req: AppRequest) => unknown]>([
    ["for await", async (req) => {
      let text = "";
      for await (const chunk of req) text += chunk;
      return text;
    }],
    ["listeners", async (req) => {
      let text = "";
      await once(req.on("data", (chunk) => text += chunk), "end");
      return text;
    }],
    ["setEncoding", async (req) => (await req.setEncoding("utf8").toArray()).join("")],
    ["pipe", (req) => through((target) => req.pipe(target))],
    ["pipeline", (req) => through((target) => pipeline(req, target))],
    ["toArray", async (req) => Buffer.concat(await req.toArray()).toString()],
    ["a web stream", (req) => new Response(Readable.toWeb(req) as ReadableStream).text()],
    ["node:stream/consumers", (req) => textOf(req)],
  ])("with %s", async (_name, read) => {
    const app = await listeningApp({}, (app) => app.post("/", (req) => read(req)));
    const body = "hello ".repeat(20_000);
    const reply = await ask(app, "/", "POST", body);
    expect([reply.status, reply.body === body]).toEqual([200, true]);
  });

  test("and a destroyed request cuts its connection", async () => {
    const app = await listeningApp({}, (app) => app.post("/", (req) => void req.destroy()));
    await expect(ask(app, "/", "POST", "hello")).rejects.toThrow();
  });
});

/** An Express request with the user that a middleware has found. */
type WithUser = ExpressRequest & { user?: unknown };

describe("Express", () => {
  test("has handled a request before the app gets it: both have their own members", async () => {
    const seen: unknown[] = [];
    const ownRequests: unknown[] = [];
    const site = express();
    site.use((req: WithUser, _res, next) => {
      req.user = "Ada";
      next();
    });
    const { port } = await attachedApp(createServer(), (app) =>
      app.ws("/:room", {
        upgrade: (req) => {
          seen.push([req.params, req.path, req.query.get("token"), req.ip]);
          return (req as unknown as WithUser).user as string;
        },
      }, (socket, req) => {
        socket.send(`${socket.data} in ${req.params.room}`);
      }), (app, server) =>
      server.on("upgrade", (message, raw, head) => {
        const own = message as WithUser;
        site(own, new ServerResponse(message) as never, () => {
          app.handleUpgrade(message, raw as RawSocket, head);
          ownRequests.push(own);
        });
      }));
    const client = await connectTo({ address: { port } as never }, "/chat?token=t");
    expect(await client.nextMessage()).toBe("Ada in chat");
    expect(seen).toEqual([[{ room: "chat" }, "/chat", "t", "127.0.0.1"]]);
    expect(ownRequests).toMatchObject([{ path: "/chat", query: { token: "t" }, ip: "127.0.0.1" }]);
    expect(ownRequests[0]).toHaveProperty("params", undefined);
  });

  test.each<["calls next" | "decides at once"]>([["calls next"], ["decides at once"]])(
    "reads its own members when a hook hands the request on and a route %s; the handler reads those of the app",
    async (way) => {
      const seen: unknown[] = [];
      const decided: ((user: unknown) => void)[] = [];
      const site = express();
      site.use(
        "/api",
        Router().use("/:anything", (req: WithUser, _res, next) => {
          seen.push([req.path, req.baseUrl, req.query.token, req.ip, req.params, req.app === site, req.get("host")]);
          req.user = req.query.token;
          if (way === "calls next") next();
          else decided[0](req.user);
        }),
      );
      const app = await listeningApp({}, (app) =>
        app.ws("/api/:room", {
          upgrade: (req) =>
            new Promise<unknown>((resolve, reject) => {
              decided.push(resolve);
              const own = req as unknown as WithUser;
              site(own as never, new ServerResponse(req) as never, (error: unknown) => {
                if (error) reject(error);
                else resolve(own.user);
              });
            }),
        }, (socket, req) => {
          socket.send(JSON.stringify([socket.data, req.params, req.path, req.query.get("token"), req.ip]));
        }));
      const client = await connectTo(app, { path: "/api/chat?token=t", headers: { Host: "mysite.com" } });
      expect(JSON.parse(await client.nextMessage() as string)).toEqual(
        ["t", { room: "chat" }, "/api/chat", "t", "127.0.0.1"],
      );
      expect(seen).toEqual([["/", "/api/chat", "t", "127.0.0.1", { anything: "chat" }, true, "mysite.com"]]);
    },
  );
});

test("Fastify answers a request that a hook hands on", async () => {
  const site = fastify();
  site.get("/:room", (request) => [request.params, request.query, request.ip]);
  await site.ready();
  const app = await listeningApp({}, (app) =>
    app.ws("/:room", {
      upgrade: (req) =>
        new Promise<string>((resolve) => {
          const response = new ServerResponse(req);
          response.end = (payload: unknown) => {
            resolve(String(payload));
            return response;
          };
          site.routing(req, response);
        }),
    }, (socket, req) => {
      socket.send(JSON.stringify([JSON.parse(socket.data), req.params, req.query.get("token")]));
    }));
  const client = await connectTo(app, "/chat?token=t");
  expect(JSON.parse(await client.nextMessage() as string)).toEqual(
    [[{ room: "chat" }, { token: "t" }, "127.0.0.1"], { room: "chat" }, "t"],
  );
  await site.close();
});

test("what a hook sets on the request, the handler finds there, and both get the same object", async () => {
  const requests: AppRequest[] = [];
  const app = await listeningApp({}, (app) =>
    app.ws("/", {
      upgrade: (req) => {
        requests.push(Object.assign(req, { user: "Ada", ip: "192.0.2.1" }));
      },
    }, (socket, req) => {
      requests.push(req);
      socket.send(`${(req as AppRequest & { user?: string }).user} ${req.ip}`);
    }));
  expect(await (await connectTo(app)).nextMessage()).toBe("Ada 192.0.2.1");
  expect(requests[0]).toBe(requests[1]);
});

test.each(["url", "headers", "socket"])("a message whose %s throws gets 500, and the caller no error", async (name) => {
  const { logger, entries } = recordingLogger();
  const app = await createApp({ logger });
  app.ws("/", () => {});
  const server = createServer();
  server.on("upgrade", (message, raw, head) => {
    const fault = (): never => {
      throw new Error("not here");
    };
    Object.defineProperty(message, name, { get: fault });
    app.handleUpgrade(message, raw as RawSocket, head);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  expect(statusOf(await rawRequest(port, upgradeRequest("/")))).toBe(500);
  const message = expect.stringMatching(/^SpaceNode: a handshake has failed: Error: not here$/);
  expect(entries).toEqual([{ level: "error", args: [expect.objectContaining({ message })] }]);
  server.close();
  await app.close();
});
