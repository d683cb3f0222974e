/** The upgrade hook: what a hook may decide, how long it may take, and that no handshake gets past it. */

import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { HttpError } from "../../../mod.ts";
import {
  connectTo,
  errorEntry,
  listeningApp,
  type LogEntry,
  portOf,
  recordingLogger,
  runScript,
} from "../../support/app.ts";
import { close, text } from "../../support/frames.ts";
import { headerOf, RawClient, rawRequest, statusOf, upgradeRequest } from "../../support/raw-client.ts";
import { StreamClient } from "../../support/stream-client.ts";
import { appWith, bodyOf, handshake, type Headers, type Hook } from "../../support/upgrade-hook.ts";
import { streamFrom } from "../../support/web-stream.ts";

/** A hook that tells when it is called, and waits until the test lets it go on. */
function slowHook(verdict: () => unknown = () => undefined): { hook: Hook; asked: Promise<void>; release(): void } {
  const asked = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const hook: Hook = async () => {
    asked.resolve();
    await released.promise;
    return verdict();
  };
  return { hook, asked: asked.promise, release: () => released.resolve() };
}

describe("the value that a hook returns", () => {
  test.each<[unknown, unknown]>([
    [{ user: "Ada" }, { user: "Ada" }],
    ["text", "text"],
    [0, 0],
    [-1.5, -1.5],
    ["", ""],
    [true, true],
    [["a", null], ["a", null]],
    [undefined, null],
  ])("is socket.data, at once or later: %o", async (data, expected) => {
    for (const hook of [() => data, async () => await nextTurn(data)]) {
      const app = await appWith(hook as Hook);
      expect(JSON.parse(await (await connectTo(app)).nextMessage() as string)).toEqual([expected, ""]);
    }
  });

  test("may be a bigint", async () => {
    const got = Promise.withResolvers<unknown>();
    const app = await listeningApp(
      {},
      (app) => app.ws("/", { upgrade: () => 7n }, (socket) => got.resolve(socket.data)),
    );
    await connectTo(app);
    expect(await got.promise).toBe(7n);
  });

  test("is the same object for the hook and the handler", async () => {
    const data = { name: "Ada" };
    const got = Promise.withResolvers<unknown>();
    const app = await listeningApp(
      {},
      (app) => app.ws("/", { upgrade: () => data }, (socket) => got.resolve(socket.data)),
    );
    await connectTo(app);
    expect(await got.promise).toBe(data);
  });
});

test("a hook gets the request with its address taken apart, headers and all", async () => {
  const got = Promise.withResolvers<unknown>();
  const app = await listeningApp({ services: { clock: { now: () => 42 } } }, (app) =>
    app.ws("/rooms/:room", {
      upgrade: ({ params, path, query, ip, headers }, { clock }) =>
        got.resolve({
          params: { ...params },
          path,
          key: query.get("key"),
          ip,
          cookie: headers.cookie,
          at: clock.now(),
        }),
    }, () => {}));
  await connectTo(app, { path: "/rooms/a%20b?key=1", headers: { Cookie: "sid=7" } });
  const params = { room: "a b" };
  expect(await got.promise).toEqual({
    params,
    path: "/rooms/a%20b",
    key: "1",
    ip: "127.0.0.1",
    cookie: "sid=7",
    at: 42,
  });
});

describe("refusing", () => {
  const later = (make: () => unknown): Hook => async () => {
    await nextTurn();
    return make();
  };

  test("with an HttpError sends its status, message and headers", async () => {
    const make = (): never => {
      throw new HttpError(401, "Sign in first", { "WWW-Authenticate": 'Bearer realm="chat"', "Retry-After": "5" });
    };
    for (const hook of [make, later(make)]) {
      const response = await handshake(await appWith(hook));
      expect(statusOf(response)).toBe(401);
      expect(bodyOf(response)).toBe("Sign in first\n");
      expect(headerOf(response, "WWW-Authenticate")).toBe('Bearer realm="chat"');
      expect(headerOf(response, "Retry-After")).toBe("5");
      expect(headerOf(response, "Connection")).toBe("close");
    }
  });

  test("with a Response sends it as it is: status, headers, cookies, body", async () => {
    const make = (): Response => {
      const response = new Response("Nur für Freunde", { status: 403, headers: { "X-Why": "because" } });
      response.headers.append("Set-Cookie", "a=1");
      response.headers.append("Set-Cookie", "b=2; HttpOnly");
      return response;
    };
    for (const hook of [make, later(make)]) {
      const response = await handshake(await appWith(hook as Hook));
      expect(statusOf(response)).toBe(403);
      expect(Buffer.from(bodyOf(response), "latin1").toString()).toBe("Nur für Freunde");
      expect(headerOf(response, "X-Why")).toBe("because");
      expect(response.match(/^set-cookie: .*$/gim)?.map((line) => line.slice(12))).toEqual(["a=1", "b=2; HttpOnly"]);
    }
  });

  test("with a Response may redirect, have bytes, or stream", async () => {
    const redirect = await handshake(await appWith(() => Response.redirect("https://mysite.com/login?next=%2F", 302)));
    expect([statusOf(redirect), headerOf(redirect, "Location")]).toEqual([302, "https://mysite.com/login?next=%2F"]);
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const binary = await handshake(await appWith(() => new Response(bytes, { status: 400 })));
    expect(Buffer.from(bodyOf(binary), "latin1")).toEqual(Buffer.from(bytes));
    const stream = (): ReadableStream => streamFrom([Buffer.from("one "), Buffer.from("by one")]);
    const streamed = await handshake(await appWith(() => new Response(stream(), { status: 418 })));
    expect([statusOf(streamed), bodyOf(streamed)]).toEqual([418, "one by one"]);
  });

  test("with a Response sends no header of it about lengths and connections, which the server sets itself", async () => {
    const lies = { "Content-Length": "3", Connection: "keep-alive", "Transfer-Encoding": "chunked" };
    const response = await handshake(await appWith(() => new Response("whole", { status: 403, headers: lies })));
    expect(headerOf(response, "Connection")).toBe("close");
    expect(headerOf(response, "Content-Length")).toBe("5");
    expect(response).not.toMatch(/transfer-encoding/i);
    expect(bodyOf(response)).toBe("whole");
  });

  test.each<[string, unknown]>([
    ["an error", new Error("the password is 12345")],
    ["a text", "the password is 12345"],
    ["nothing", undefined],
    ["an object", { status: 200, message: "the password is 12345" }],
  ])("by throwing %s is a 500 without details, logged with them", async (_name, thrown) => {
    const make = (): never => {
      throw thrown;
    };
    for (const hook of [make, later(make)]) {
      const { logger, entries } = recordingLogger();
      const app = await appWith(hook, { logger });
      const response = await handshake(app);
      expect([statusOf(response), bodyOf(response)]).toEqual([500, "The handshake has failed\n"]);
      expect(entries).toEqual([errorEntry("", thrown)]);
      expect(app.stats()).toMatchObject({ connections: 0, accepted: 0, refused: 1 });
    }
  });

  test.each([[false], [null]])("by returning %o is a 403, and not logged", async (verdict) => {
    for (const hook of [() => verdict, later(() => verdict)]) {
      const { logger, entries } = recordingLogger();
      const app = await appWith(hook, { logger });
      const response = await handshake(app);
      expect([statusOf(response), bodyOf(response)]).toEqual([403, "You may not connect here\n"]);
      expect(entries).toEqual([]);
      expect(app.stats()).toMatchObject({ connections: 0, accepted: 0, refused: 1 });
    }
  });

  test("by returning an Error has the same effect as by throwing it", async () => {
    for (const wrap of [(make: () => unknown): Hook => make as Hook, later]) {
      const { logger, entries } = recordingLogger();
      const refused = await handshake(await appWith(wrap(() => new HttpError(401, "Sign in first")), { logger }));
      expect([statusOf(refused), bodyOf(refused), entries]).toEqual([401, "Sign in first\n", []]);
      const error = new TypeError("the password is 12345");
      const failed = await handshake(await appWith(wrap(() => error), { logger }));
      expect([statusOf(failed), bodyOf(failed)]).toEqual([500, "The handshake has failed\n"]);
      expect(entries).toEqual([errorEntry("", error)]);
    }
  });

  test.each<[string, unknown, string]>([
    ["a function", function allow() {}, "the function allow"],
    ["a symbol", Symbol("ok"), "Symbol(ok)"],
    ["NaN", NaN, "NaN"],
  ])("by returning %s is a 500, and the log says what would be right", async (_name, verdict, shown) => {
    for (const hook of [() => verdict, later(() => verdict)]) {
      const { logger, entries } = recordingLogger();
      const app = await appWith(hook as Hook, { logger });
      expect(statusOf(await handshake(app))).toBe(500);
      const [{ args: [error] }] = entries as [LogEntry];
      expect(String(error)).toContain(`: TypeError: `);
      expect(String(error)).toContain(`returned ${shown}: to let the client in, return its data or true; to refuse`);
      expect(app.stats()).toMatchObject({ connections: 0, accepted: 0, refused: 1 });
    }
  });

  test.each<[string, (verdict: unknown) => unknown]>([
    ["an object", (verdict) => ({ then: (resolve: (value: unknown) => void) => resolve(verdict) })],
    [
      "a function",
      (verdict) => Object.assign(() => {}, { then: (resolve: (value: unknown) => void) => resolve(verdict) }),
    ],
    ["one that resolves to another", (verdict) => ({
      then: (resolve: (value: unknown) => void) => resolve(nextTurn(verdict)),
    })],
    ["one that calls back twice", (verdict) => ({
      then: (resolve: (value: unknown) => void) => (resolve(verdict), resolve({ user: "Ada" })),
    })],
  ])("by what can be awaited, but is no promise: %s", async (_name, wrap) => {
    const refused = await handshake(await appWith((() => wrap(new Response("No", { status: 402 }))) as Hook));
    expect([statusOf(refused), bodyOf(refused)]).toEqual([402, "No"]);
    expect(statusOf(await handshake(await appWith((() => wrap(false)) as Hook)))).toBe(403);
    const app = await appWith((() => wrap({ user: "Bo" })) as Hook);
    expect(JSON.parse(await (await connectTo(app)).nextMessage() as string)).toEqual([{ user: "Bo" }, ""]);
  });

  test("with a Response that cannot be sent is a 500 too, and the process lives on", async () => {
    const { exitCode, output } = await runScript(`
      import { createApp, HttpError } from "{root}mod.ts";
      import { connect } from "node:net";
      const app = await createApp({ logger: false, handshakeTimeoutMs: 2000 });
      const failing = () => new Response(new ReadableStream({ pull() { throw new Error("dried up"); } }), { status: 403 });
      const used = () => { const response = new Response("once"); void response.text(); return response; };
      const evil = () => { throw new HttpError(401, "No", { "X-Name": "a\\r\\nX-Evil: 1" }); };
      const hooks = { failing, used, evil };
      for (const [name, hook] of Object.entries(hooks)) {
        app.ws("/" + name, { upgrade: hook }, () => {});
        app.ws("/later/" + name, { upgrade: async () => hook() }, () => {});
      }
      await app.listen({ port: 0, host: "127.0.0.1" });
      for (const path of Object.keys(hooks).flatMap((name) => ["/" + name, "/later/" + name])) {
        const socket = connect(app.address.port, "127.0.0.1");
        socket.write("GET " + path + " HTTP/1.1\\r\\nHost: a\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n" +
          "Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: c3BhY2Vub2RlLWtleS0wMQ==\\r\\n\\r\\n");
        let response = "";
        for await (const chunk of socket) response += chunk;
        console.log(path, response.slice(9, 12), response.includes("X-Evil"));
      }
      await app.close();
    `);
    const paths = ["failing", "used", "evil"].flatMap((name) => [`/${name}`, `/later/${name}`]);
    expect(output.split("\n")).toEqual(paths.map((path) => `${path} 500 false`));
    expect(exitCode).toBe(0);
  });

  test.each<[string, Headers, string, number]>([
    ["a path without a route", {}, "/nowhere", 404],
    ["another origin", { Origin: "https://evil.com" }, "/", 403],
    ["a bad key", { "Sec-WebSocket-Key": "short" }, "/", 400],
    ["another subprotocol", { "Sec-WebSocket-Protocol": "v9" }, "/", 400],
  ])("is not the hook's affair for %s: it is not asked", async (_name, headers, path, status) => {
    let asked = 0;
    const hook = (): void => void asked++;
    const app = await appWith(hook, { wsOrigins: "https://mysite.com" }, { subprotocols: ["v1"] });
    expect(statusOf(await handshake(app, headers, path))).toBe(status);
    expect(asked).toBe(0);
  });
});

/** Stops the clock until the test ends, or calls `vi.useRealTimers`. */
function stopTheClock(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
}

describe("a hook that takes its time", () => {
  afterEach(() => void vi.useRealTimers());

  test("and never settles is refused with 408 after handshakeTimeoutMs", async () => {
    const app = await appWith(() => new Promise(() => {}), { handshakeTimeoutMs: 200 });
    const startedAt = performance.now();
    const response = await handshake(app);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(195);
    expect([statusOf(response), bodyOf(response)]).toEqual([408, "The handshake was not complete after 200 ms\n"]);
  });

  test("and settles too late changes nothing, whatever it decides", async () => {
    const { logger, entries } = recordingLogger();
    let handled = 0;
    const verdicts: (() => unknown)[] = [() => undefined, () => new Response("No", { status: 403 }), () => {
      throw new HttpError(401, "No");
    }];
    for (const verdict of verdicts) {
      const { hook, release } = slowHook(verdict);
      const app = await listeningApp(
        { handshakeTimeoutMs: 100, logger },
        (app) => app.ws("/", { upgrade: hook }, () => void handled++),
      );
      expect(statusOf(await handshake(app))).toBe(408);
      release();
      await nextTurn();
      await nextTurn();
      expect(app.stats()).toMatchObject({ connections: 0, accepted: 0 });
    }
    expect(handled).toBe(0);
    expect(entries).toEqual([]);
  });

  test("has a deadline, but a connection that was accepted has none", async () => {
    stopTheClock();
    const { hook, asked, release } = slowHook();
    const app = await listeningApp(
      { handshakeTimeoutMs: 100, heartbeat: false },
      (app) =>
        app.ws("/", { upgrade: hook }, (socket) => {
          socket.on("message", (data) => socket.send(data));
        }),
    );
    const connecting = connectTo(app);
    await asked;
    vi.advanceTimersByTime(50);
    release();
    const client = await connecting;
    vi.advanceTimersByTime(60_000);
    client.send(text("still here"));
    expect(await client.nextMessage()).toBe("still here");
  });

  test("may accept on a connection that had requests before: the 101 comes, and there is no deadline after it", async () => {
    stopTheClock();
    const app = await listeningApp(
      { handshakeTimeoutMs: 200, heartbeat: false },
      (app) =>
        app.get("/", () => "a page").ws("/", { upgrade: () => nextTurn() }, (socket) => {
          socket.on("message", (data) => socket.send(data));
        }),
    );
    const stream = connectTcp(portOf(app), "127.0.0.1");
    onTestFinished(() => void stream.destroy());
    stream.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const [page] = await once(stream, "data");
    expect(String(page)).toContain("a page");
    const client = await StreamClient.connect(stream);
    vi.advanceTimersByTime(60_000);
    client.send(text("still here"));
    expect(await client.nextMessage()).toBe("still here");
  });

  test("is refused behind a request that has no response yet, because the 101 would overtake that response", async () => {
    const arrived = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<string>();
    const app = await listeningApp({ handshakeTimeoutMs: 200 }, (app) =>
      app
        .get("/", () => {
          arrived.resolve();
          return answer.promise;
        })
        .ws("/", () => {}));
    const responding = rawRequest(portOf(app), `GET / HTTP/1.1\r\nHost: a\r\n\r\n${upgradeRequest("/")}`);
    await arrived.promise;
    // Once a later client has its response, the server has seen the handshake, too.
    expect(statusOf(await handshake(app, {}, "/nowhere"))).toBe(404);
    answer.resolve("the answer");
    const response = await responding;
    expect(response).not.toContain("101 Switching Protocols");
    expect(app.stats().accepted).toBe(0);
  });

  test("loses none of the messages that the client sends meanwhile", async () => {
    const { hook, asked, release } = slowHook();
    const app = await listeningApp({}, (app) =>
      app.ws("/", { upgrade: hook }, (socket) => {
        socket.on("message", (data) => socket.send(data));
      }));
    const large = "x".repeat(300_000);
    const connecting = RawClient.connect(portOf(app), { early: Buffer.concat([text("1"), text(large)]) });
    await asked;
    // Once a later client has its response, the messages have arrived, too.
    expect(statusOf(await handshake(app, {}, "/nowhere"))).toBe(404);
    release();
    const client = await connecting;
    client.send(text("3"), close(1000));
    expect([await client.nextMessage(), await client.nextMessage(), await client.nextMessage()]).toEqual([
      "1",
      large,
      "3",
    ]);
    expect((await client.closed()).code).toBe(1000);
  });

  test("leaves nothing behind when its client has gone meanwhile", async () => {
    const { hook, asked, release } = slowHook();
    const closes: unknown[] = [];
    const app = await listeningApp({}, (app) =>
      app
        .ws("/", { upgrade: hook }, (socket) => void socket.on("close", (...args) => closes.push(args)))
        .ws("/other", () => {}));
    const gone = connectTcp(portOf(app), "127.0.0.1");
    gone.write(upgradeRequest("/"));
    await asked;
    gone.resetAndDestroy();
    // Another client comes and goes as usual. When it has gone, the server knows that the first one has gone too.
    const other = await connectTo(app, "/other");
    other.send(close(1000));
    await other.closed();
    release();
    const { terminated } = await app.close({ timeoutMs: 2_000 });
    expect(terminated).toBe(0);
    expect(app.sockets.size).toBe(0);
    // If a handler has run for the first client, it has been told of the close.
    expect(app.stats().accepted - 1).toBe(closes.length);
  });

  test("has its Response cancelled when its client has gone meanwhile", async () => {
    const [asked, released, cancelled] = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
    const { logger, entries } = recordingLogger();
    const refusal = new Response(new ReadableStream({ cancel: () => cancelled.resolve() }), { status: 403 });
    const app = await listeningApp(
      { logger },
      (app) =>
        app.ws("/", { upgrade: async () => (asked.resolve(), await released.promise, refusal) }, () => {})
          .ws("/other", () => {}),
    );
    const gone = connectTcp(portOf(app), "127.0.0.1");
    gone.write(upgradeRequest("/"));
    await asked.promise;
    gone.resetAndDestroy();
    // When another client has come and gone, the server knows that the first one has gone too.
    const other = await connectTo(app, "/other");
    other.send(close(1000));
    await other.closed();
    released.resolve();
    await cancelled.promise;
    expect(entries).toEqual([]);
  });

  test("refuses its client with 503 when the app begins to close meanwhile", async () => {
    const { hook, asked, release } = slowHook();
    const app = await appWith(hook);
    const response = handshake(app);
    await asked;
    const closing = app.close({ timeoutMs: 5_000 });
    release();
    expect(statusOf(await response)).toBe(503);
    expect(await closing).toEqual({ closed: 0, terminated: 0 });
  });

  test.each([
    ["maxConnections", { maxConnections: 1 }, 503],
    ["maxConnectionsPerIp", { maxConnectionsPerIp: 1 }, 429],
  ])("does not let more in than %s allows", async (_name, options, status) => {
    const hooks = [slowHook(), slowHook()];
    const app = await listeningApp(options, (app) =>
      app
        .ws("/0", { upgrade: hooks[0].hook }, () => {})
        .ws("/1", { upgrade: hooks[1].hook }, () => {}));
    const first = RawClient.connect(portOf(app), { path: "/0" });
    const second = handshake(app, {}, "/1");
    await Promise.all(hooks.map(({ asked }) => asked));
    hooks[0].release();
    const client = await first;
    hooks[1].release();
    expect(statusOf(await second)).toBe(status);
    expect(app.sockets.size).toBe(1);
    client.send(close(1000));
    await client.closed();
  });
});
