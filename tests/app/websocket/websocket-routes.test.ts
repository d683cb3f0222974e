import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { createApp, HttpError } from "../../../mod.ts";
import { connectTo, eventOf, listeningApp, portOf, recordingLogger } from "../../support/app.ts";
import { close, opcodes, text } from "../../support/frames.ts";
import { headerOf, rawRequest, statusOf, upgradeRequest } from "../../support/raw-client.ts";

describe("a handler", () => {
  test("gets the socket, the request with its address taken apart, and the services", async () => {
    const got: unknown[] = [];
    const app = await listeningApp(
      { services: { chat: { name: "the chat" } } },
      (app) =>
        app.ws("/chat/:room/*", (socket, request, services) => {
          const { params, path, query, ip, method, url, headers } = request;
          got.push({ ...params }, path, [...query], ip, method, url, headers["x-mine"], services.chat.name);
          socket.send("welcome");
        }),
    );
    const client = await connectTo(app, {
      path: "/chat/blue%20room/a/b?x=1&x=2&y=%C3%BC",
      headers: { "X-Mine": "yes" },
    });
    expect(await client.nextMessage()).toBe("welcome");
    expect(got).toEqual([
      { room: "blue room", "*": "a/b" },
      "/chat/blue%20room/a/b",
      [["x", "1"], ["x", "2"], ["y", "ü"]],
      "127.0.0.1",
      "GET",
      "/chat/blue%20room/a/b?x=1&x=2&y=%C3%BC",
      "yes",
      "the chat",
    ]);
  });

  test("is found by a target with scheme and host before the path, as proxies send it", async () => {
    const app = await listeningApp({}, (app) => app.ws("/chat", (socket, { path }) => void socket.send(path)));
    const request = upgradeRequest("/", {}, "GET http://mysite.com:80/chat?x=1 HTTP/1.1");
    const response = await rawRequest(portOf(app), Buffer.concat([Buffer.from(request), close(1000)]));
    expect(statusOf(response)).toBe(101);
    expect(response).toContain("/chat");
  });

  test("runs once for each connection, the routes chained", async () => {
    const calls: string[] = [];
    const app = await listeningApp({}, (app) =>
      app
        .ws("/a", (socket) => (calls.push("a"), socket.send("from a")))
        .ws("/b", (socket) => (calls.push("b"), socket.send("from b"))));
    for (const name of ["a", "b", "a"]) {
      expect(await (await connectTo(app, `/${name}`)).nextMessage()).toBe(`from ${name}`);
    }
    expect(calls).toEqual(["a", "b", "a"]);
    expect(app.stats()).toMatchObject({ connections: 3, accepted: 3, refused: 0 });
  });

  test("may send, close or terminate at once", async () => {
    const app = await listeningApp({}, (app) =>
      app
        .ws("/close", (socket) => {
          socket.send("bye");
          socket.close(4000);
        })
        .ws("/terminate", (socket) => socket.terminate()));
    const closing = await connectTo(app, "/close");
    expect(await closing.nextMessage()).toBe("bye");
    closing.send(close(4000));
    expect((await closing.closed()).code).toBe(4000);
    const terminated = await connectTo(app, "/terminate").then((client) => client.closed(), () => ({ code: 1006 }));
    expect(terminated.code).toBe(1006);
  });
});

describe("a handshake is refused", () => {
  const app = (): ReturnType<typeof listeningApp> =>
    listeningApp({}, (app) => app.ws("/chat", () => {}).get("/plain", () => "hello"));

  test.each<[string, string, number]>([
    ["at a path without a route", upgradeRequest("/nowhere"), 404],
    ["at a path that has a controller only", upgradeRequest("/plain"), 404],
    ["at a path with a bad percent-encoding", upgradeRequest("/chat%zz"), 400],
    ["at another case of the path", upgradeRequest("/Chat"), 404],
    ["with another version", upgradeRequest("/chat", { "Sec-WebSocket-Version": "8" }), 426],
    ["without a key", upgradeRequest("/chat", { "Sec-WebSocket-Key": undefined }), 400],
    ["by POST", upgradeRequest("/chat", {}, "POST /chat HTTP/1.1"), 405],
  ])("%s", async (_name, request, status) => {
    const server = await app();
    const response = await rawRequest(portOf(server), request);
    expect(statusOf(response)).toBe(status);
    expect(headerOf(response, "Connection")).toBe("close");
    expect(response.split("\r\n\r\n")[1]).toMatch(/^\S.*\n$/);
    expect(server.stats()).toMatchObject({ connections: 0, accepted: 0, refused: 1, droppedMessages: 0, topics: 0 });
  });

  test("with 426 when it is a plain request, and the response says how to connect", async () => {
    const request = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    const response = await rawRequest(portOf(await app()), request);
    expect(statusOf(response)).toBe(426);
    expect(headerOf(response, "Upgrade")).toBe("websocket");
    expect(headerOf(response, "Sec-WebSocket-Version")).toBe("13");
  });

  test.each<[string, () => unknown, number]>([
    ["an HttpError", () => {
      throw new HttpError(401, "Who are you?", { "WWW-Authenticate": "Bearer" });
    }, 401],
    ["an HttpError whose header no response may have", () => {
      throw new HttpError(401, "Who are you?", { "X-Name": "€\r\nX-Evil: 1" });
    }, 500],
    ["any other error", () => {
      throw new Error("secret");
    }, 500],
    ["a Response", () => new Response("Go away", { status: 403 }), 403],
    ["a Response whose body has been read", () => {
      const response = new Response("once", { status: 403 });
      void response.text();
      return response;
    }, 500],
  ])("by its upgrade hook with %s, at once or later, and the server lives on", async (_name, hook, status) => {
    const { logger } = recordingLogger();
    const app = await listeningApp({ logger }, (app) =>
      app
        .ws("/sync", { upgrade: hook }, () => {})
        .ws("/async", {
          upgrade: async () => {
            await nextTurn();
            return hook();
          },
        }, () => {})
        .ws("/works", (socket) => void socket.send("welcome")));
    for (const path of ["/sync", "/async"]) {
      const response = await rawRequest(portOf(app), upgradeRequest(path));
      expect(statusOf(response), path).toBe(status);
      expect(response).not.toContain("secret");
      expect(response).not.toContain("X-Evil");
    }
    expect(await (await connectTo(app, "/works")).nextMessage()).toBe("welcome");
  });
});

test("app.sockets is a live view of all sockets, and cannot be changed", async () => {
  const app = await listeningApp({}, (app) => app.ws("/", () => {}));
  const { sockets } = app;
  expect([sockets.size, [...sockets]]).toEqual([0, []]);
  const clients = [await connectTo(app), await connectTo(app)];
  expect(app.sockets).toBe(sockets);
  expect(sockets.size).toBe(2);
  const [first, second] = sockets;
  expect([sockets.has(first), sockets.has(second)]).toEqual([true, true]);
  for (const socket of sockets) socket.send("to everyone");
  for (const client of clients) expect(await client.nextMessage()).toBe("to everyone");

  const closed = eventOf(first, "close");
  const inside = new Promise<boolean>((resolve) => first.on("close", () => resolve(sockets.has(first))));
  first.terminate();
  await closed;
  await nextTurn();
  expect(await inside).toBe(true);
  expect([...sockets]).toEqual([second]);
  expect(sockets.has(first)).toBe(false);
  expect(Object.isFrozen(sockets)).toBe(true);
  expect("add" in sockets || "delete" in sockets).toBe(false);
});

test("an app may have no options and no routes", async () => {
  const app = await createApp();
  expect(app.stats()).toMatchObject({ connections: 0, accepted: 0, refused: 0, droppedMessages: 0, topics: 0 });
  expect([app.url, app.address, app.sockets.size]).toEqual(["", undefined, 0]);
  expect(await app.close()).toEqual({ closed: 0, terminated: 0 });
});

test("a message to many sockets reaches each of them, in the handlers' own loop", async () => {
  const app = await listeningApp({}, (app) =>
    app.ws("/", (socket) => {
      socket.on("message", (data) => {
        for (const each of app.sockets) each.send(data);
      });
    }));
  const clients = [];
  for (let i = 0; i < 10; i++) clients.push(await connectTo(app));
  clients[0].send(Buffer.concat(Array.from({ length: 16 }, (_, i) => text(`${i}`))));
  for (const client of clients) {
    for (let i = 0; i < 16; i++) expect(await client.nextMessage()).toBe(`${i}`);
    expect(client.frames.every(({ opcode }) => opcode === opcodes.text)).toBe(true);
  }
});
