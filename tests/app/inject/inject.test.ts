/** `app.inject` with a path: the real handshake, engine and handlers, in memory and without a port. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { type App, type AppOptions, createApp, HttpError, InjectError, type Socket } from "../../../mod.ts";
import { eventOf, listeningApp, recordingLogger } from "../../support/app.ts";

/** An app that never listens. */
async function silentApp<Services extends object = object>(
  options: AppOptions<Services>,
  addRoutes: (app: App<Services>) => unknown,
): Promise<App<Services>> {
  const app = await createApp({ logger: false, ...options });
  addRoutes(app);
  onTestFinished(async () => void await app.close({ timeoutMs: 500 }));
  return app;
}

const echo = (socket: Socket): void => void socket.on("message", (data) => socket.send(data));

async function refusalOf(injecting: Promise<unknown>): Promise<InjectError> {
  return await injecting.then(() => expect.unreachable("It was accepted"), (error) => error);
}

describe("a WebSocket in memory", () => {
  test("sends and receives texts and bytes of every kind, and ends with the closing handshake", async () => {
    const app = await silentApp({}, (app) => app.ws("/echo", echo));
    const client = await app.inject("/echo");
    expect(app.sockets.size).toBe(1);
    const [socket] = app.sockets;
    const closed = eventOf(socket, "close");
    client.send("grüße 🌍");
    client.send("");
    client.send(Buffer.from([1, 2]));
    client.send(new Uint16Array([0x0403]).buffer);
    client.send(new DataView(new ArrayBuffer(3)));
    expect(await client.next()).toBe("grüße 🌍");
    expect(await client.next()).toBe("");
    expect(await client.next()).toEqual(Buffer.from([1, 2]));
    expect(await client.next()).toEqual(Buffer.from([3, 4]));
    expect(await client.next()).toEqual(Buffer.alloc(3));
    expect(await client.close(4000, "grüße")).toEqual({ code: 4000, reason: "grüße" });
    expect(await closed).toEqual([4000, "grüße", true]);
    expect(app.sockets.size).toBe(0);
    expect(app.address).toBeUndefined();
  });

  test("keeps 20,000 messages of many sizes in order, both ways", async () => {
    const app = await silentApp({}, (app) => app.ws("/echo", echo));
    const client = await app.inject("/echo");
    const messages = Array.from({ length: 20_000 }, (_, i) => `${i} ${"x".repeat((i * 37) % 300)}`);
    for (const message of messages) client.send(message);
    const echoed: unknown[] = [];
    while (echoed.length < messages.length) echoed.push(await client.next());
    expect(echoed).toEqual(messages);
    await client.close();
  });

  test.each([[125], [126], [65_535], [65_536], [1_000_000], [16_000_000]])(
    "carries messages of %i bytes",
    async (length) => {
      const app = await silentApp({ maxMessageBytes: 20_000_000 }, (app) => app.ws("/echo", echo));
      const client = await app.inject("/echo");
      const bytes = Buffer.alloc(length, "spacenode");
      client.send(bytes);
      expect(bytes.equals(await client.next() as Buffer)).toBe(true);
      client.send("x".repeat(length));
      expect((await client.next()).length).toBe(length);
      await client.close();
    },
  );

  test("can be iterated over, to its end", async () => {
    const app = await silentApp({}, (app) =>
      app.ws("/count", (socket) => {
        for (let i = 0; i < 5; i++) socket.send(String(i));
        socket.close(1000);
      }));
    const messages: unknown[] = [];
    for await (const message of await app.inject("/count")) messages.push(message);
    expect(messages).toEqual(["0", "1", "2", "3", "4"]);
  });

  test("ends as over a port: by close, by terminate, by a fault, and by a handler that throws", async () => {
    const app = await silentApp({ maxMessageBytes: 10 }, (app) =>
      app
        .ws("/close", (socket) => socket.close(4001, "not today"))
        .ws("/terminate", (socket) => socket.terminate())
        .ws("/throw", () => {
          throw new Error("oh");
        })
        .ws("/echo", echo));
    expect(await (await app.inject("/close")).closed).toEqual({ code: 4001, reason: "not today" });
    expect(await (await app.inject("/terminate")).closed).toEqual({ code: 1006, reason: "" });
    expect((await (await app.inject("/throw")).closed).code).toBe(1011);
    const client = await app.inject("/echo");
    client.send("x".repeat(11));
    expect((await client.closed).code).toBe(1009);
    await expect(client.next()).rejects.toThrow(/ended with 1009/);
    await expect((await app.inject("/close")).next()).rejects.toThrow("ended with 4001 (not today)");
    expect(app.sockets.size).toBe(0);
  });

  test("can be cut by its client: 1006 on both sides", async () => {
    const app = await silentApp({}, (app) => app.ws("/echo", echo));
    const client = await app.inject("/echo");
    const closed = eventOf([...app.sockets][0], "close");
    client.terminate();
    expect(await closed).toEqual([1006, "", false]);
    expect(await client.closed).toEqual({ code: 1006, reason: "" });
    client.send("too late");
    await expect(client.next()).rejects.toThrow(/1006/);
  });

  test("answers Pings, those of the heartbeat too", async () => {
    const app = await silentApp({ heartbeat: { intervalMs: 20, timeoutMs: 100 } }, (app) => app.ws("/echo", echo));
    const client = await app.inject("/echo");
    const [socket] = app.sockets;
    socket.ping("are you there?");
    expect(String((await eventOf(socket, "pong"))[0])).toBe("are you there?");
    await eventOf(socket, "pong");
    client.send("alive");
    expect(await client.next()).toBe("alive");
  });

  test("waits while the server has paused, loses nothing, and lets a producer wait for drained()", async () => {
    const app = await silentApp({}, (app) =>
      app
        .ws("/paused", (socket) => {
          echo(socket);
          socket.pause();
        })
        .ws("/much", async (socket) => {
          // The memory of a message may be used again once the message has been sent.
          const block = Buffer.alloc(64 * 1024);
          for (let i = 0; i < 200; i++) if (!socket.send(block.fill(i))) await socket.drained();
        }));
    const paused = await app.inject("/paused");
    for (let i = 0; i < 100; i++) paused.send(String(i));
    await nextTurn();
    for (const socket of app.sockets) socket.resume();
    for (let i = 0; i < 100; i++) expect(await paused.next()).toBe(String(i));
    const much = await app.inject("/much");
    for (let i = 0; i < 200; i++) {
      expect(Buffer.alloc(64 * 1024, i).equals(await much.next() as Buffer), String(i)).toBe(true);
    }
  });

  test("holds nobody up when a handler sends without end, and ends the handler with the connection", async () => {
    const ended = Promise.withResolvers<unknown>();
    const app = await silentApp({}, (app) =>
      app.ws("/endless", async (socket) => {
        try {
          while (true) if (!socket.send("x".repeat(100_000))) await socket.drained();
        } catch (error) {
          ended.resolve(error);
        }
      }));
    const client = await app.inject("/endless");
    expect((await client.next() as string).length).toBe(100_000);
    client.close();
    expect(await ended.promise).toEqual(new Error("The socket has ended"));
  });

  test("shares a room with connections over the wire: a hundred in memory talk in it", async () => {
    const app = await listeningApp({}, (app) =>
      app.ws("/room", (socket) => {
        socket.on("message", (data) => {
          for (const other of app.sockets) other.send(data);
        });
      }));
    const clients = await Promise.all(Array.from({ length: 100 }, () => app.inject("/room")));
    const browser = new WebSocket(`${app.url.replace("http", "ws")}/room`);
    onTestFinished(() => browser.close());
    const heard = new Promise((resolve) => browser.onmessage = ({ data }) => resolve(data));
    await new Promise((resolve) => browser.onopen = resolve);
    clients[42].send("hello, everybody");
    for (const client of clients) expect(await client.next()).toBe("hello, everybody");
    expect(await heard).toBe("hello, everybody");
    expect(app.stats()).toMatchObject({ connections: 101, accepted: 101 });
  });

  test("gets its 1001 when the app closes, behind all that was sent", async () => {
    const app = await silentApp({}, (app) => app.ws("/", (socket) => void socket.send("welcome")));
    const clients = [await app.inject("/"), await app.inject("/")];
    const closing = app.close({ reason: "bye" });
    for (const client of clients) {
      expect(await client.next()).toBe("welcome");
      expect(await client.closed).toEqual({ code: 1001, reason: "bye" });
    }
    expect(await closing).toEqual({ closed: 2, terminated: 0 });
    await expect(app.inject("/")).rejects.toThrow(/has been closed/);
  });
});

describe("the handshake in memory", () => {
  test("carries path, query, params, headers and address", async () => {
    const got = Promise.withResolvers<unknown>();
    const app = await silentApp(
      { services: { clock: () => 42 } },
      (app) =>
        app.ws("/rooms/:room", (_socket, { params, query, path, ip, headers, method }, { clock }) => {
          const { cookie, host } = headers;
          got.resolve({ params: { ...params }, key: query.get("key"), path, ip, cookie, host, method, clock });
        }),
    );
    await app.inject("/rooms/a%20b?key=1", { headers: { Cookie: "sid=7", Host: "mysite.com" } });
    expect(await got.promise).toEqual({
      params: { room: "a b" },
      key: "1",
      path: "/rooms/a%20b",
      ip: "127.0.0.1",
      cookie: "sid=7",
      host: "mysite.com",
      method: "GET",
      clock: 42,
    });
  });

  test("agrees on a subprotocol", async () => {
    const app = await silentApp(
      {},
      (app) => app.ws("/", { subprotocols: ["v2", "v1"] }, (socket) => void socket.send(socket.protocol)),
    );
    for (const [subprotocols, agreed] of [[["v1", "v2"], "v2"], [["v1"], "v1"], [[], ""]] as const) {
      const client = await app.inject("/", { subprotocols });
      expect([client.protocol, await client.next()]).toEqual([agreed, agreed]);
    }
    expect((await refusalOf(app.inject("/", { subprotocols: ["v3"] }))).response.status).toBe(400);
  });

  test("goes through the upgrade hook: data, headers and cookies of the 101", async () => {
    const app = await silentApp({}, (app) =>
      app.ws("/", {
        upgrade: async (req, _services, { headers }) => {
          await nextTurn();
          headers.set("X-Server", "mine");
          headers.append("Set-Cookie", "a=1");
          headers.append("Set-Cookie", "b=2");
          return { user: req.headers.cookie };
        },
      }, (socket) => void socket.send(socket.data.user!)));
    const client = await app.inject("/", { headers: { Cookie: "Ada" } });
    expect(await client.next()).toBe("Ada");
    expect(client.headers.get("x-server")).toBe("mine");
    expect(client.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
  });

  test.each<[string, string, object, number, RegExp]>([
    ["a path without a route", "/nowhere", {}, 404, /no WebSocket at this path/],
    ["a path with a bad percent-encoding", "/%zz", {}, 400, /bad percent-encoding/],
    ["another origin", "/origin", { headers: { Origin: "https://evil.com" } }, 403, /origin may not connect/],
    ["an HttpError of the hook", "/http-error", {}, 401, /^Sign in first$/],
    ["a Response of the hook", "/response", {}, 302, /^$/],
    ["a hook that throws", "/throws", {}, 500, /^The handshake has failed$/],
    ["a hook that never settles", "/never", {}, 408, /not complete after 200 ms/],
    ["no room", "/full", {}, 503, /no room/],
  ])("is refused as over the wire, with an InjectError that has the response: %s", async (
    _name,
    path,
    options,
    status,
    body,
  ) => {
    const { logger } = recordingLogger();
    const isFull = path === "/full";
    const app = await silentApp({ logger, handshakeTimeoutMs: 200, ...(isFull && { maxConnections: 1 }) }, (app) =>
      app
        .ws("/origin", { wsOrigins: "https://mysite.com" }, () => {})
        .ws("/http-error", {
          upgrade: () => {
            throw new HttpError(401, "Sign in first", { "WWW-Authenticate": "Bearer" });
          },
        }, () => {})
        .ws("/response", { upgrade: () => Response.redirect("https://mysite.com/login", 302) }, () => {})
        .ws("/throws", {
          upgrade: () => {
            throw new Error("secret");
          },
        }, () => {})
        .ws("/never", { upgrade: () => new Promise(() => {}) }, () => {})
        .ws("/full", () => {}));
    if (isFull) await app.inject("/full");
    const error = await refusalOf(app.inject(path, options));
    expect(error).toBeInstanceOf(InjectError);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe("InjectError");
    expect(error.message).toContain(String(status));
    expect(error.response).toBeInstanceOf(Response);
    expect(error.response.status).toBe(status);
    expect(await error.response.text()).toMatch(body);
    if (status === 401) expect(error.response.headers.get("www-authenticate")).toBe("Bearer");
    if (status === 302) expect(error.response.headers.get("location")).toBe("https://mysite.com/login");
  });

  test("a handshake with an allowed Origin is accepted, and so is one without an Origin", async () => {
    const app = await silentApp({ wsOrigins: "https://mysite.com" }, (app) => app.ws("/", echo));
    for (const headers of [{ Origin: "https://mysite.com" }, {}]) await (await app.inject("/", { headers })).close();
    expect(app.stats()).toMatchObject({ accepted: 2, refused: 0 });
  });

  test.each<[string, unknown]>([
    ["a path without its slash", "chat"],
    ["a URL", "ws://localhost/chat"],
    ["nothing", undefined],
    ["a URL object", new URL("http://localhost/")],
  ])("takes a path or a Request and nothing else: %s is a TypeError", async (_name, target) => {
    const app = await silentApp({}, () => {});
    await expect(app.inject(target as string)).rejects.toThrow(TypeError);
    await expect(app.inject(target as string)).rejects.toThrow(
      /inject takes the path of a WebSocket.*or a Request; got/,
    );
  });

  test("500 of them take no port and little time", async () => {
    const app = await silentApp({}, (app) => app.ws("/echo", echo));
    const startedAt = performance.now();
    for (let i = 0; i < 500; i++) {
      const client = await app.inject("/echo");
      client.send("ping");
      expect(await client.next()).toBe("ping");
      await client.close();
    }
    expect((performance.now() - startedAt) / 500).toBeLessThan(10);
    expect(app.stats()).toMatchObject({ connections: 0, accepted: 500 });
  });
});
