/** What the channels of `node:diagnostics_channel` tell, in which order, and what runs inside of them. */

import { AsyncLocalStorage } from "node:async_hooks";
import { type Channel, channel, tracingChannel } from "node:diagnostics_channel";
import { createServer } from "node:http";
import { connect, type Socket as RawSocket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { createApp, type DiagnosticsMessages, HttpError, type Socket } from "../../../mod.ts";
import { attachedApp, connectTo, listeningApp, portOf, until } from "../../support/app.ts";
import { close, text } from "../../support/frames.ts";
import { rawRequest, upgradeRequest } from "../../support/raw-client.ts";

// What has come is read before an item falls due. Here nothing comes, so that everything is due at its moment.
vi.mock(import("../../../src/platform.ts"), async (original) => ({
  ...await original(),
  afterReading: (task) => task(),
}));

afterEach(() => void vi.useRealTimers());

type Name = Exclude<keyof DiagnosticsMessages, "spacenode:handshake">;
type Trace = DiagnosticsMessages["spacenode:handshake"];

const EVENTS = ["start", "end", "asyncStart", "asyncEnd", "error"] as const;

/** A hook that tells when it is called, and waits until the test lets it go on. */
function slowHook(): { upgrade: () => Promise<void>; asked: Promise<void>; decide: () => void } {
  const asked = Promise.withResolvers<void>();
  const decided = Promise.withResolvers<void>();
  const upgrade = (): Promise<void> => {
    asked.resolve();
    return decided.promise;
  };
  return { upgrade, asked: asked.promise, decide: decided.resolve };
}

/** Listens to a channel until the test ends. */
function listen<Named extends Name>(name: Named, listener: (message: DiagnosticsMessages[Named]) => void): void {
  subscribe(channel(name), (message) => listener(message as DiagnosticsMessages[Named]));
}

function subscribe(to: Channel, listener: (message: unknown) => void): void {
  to.subscribe(listener);
  onTestFinished(() => void to.unsubscribe(listener));
}

/** The events of all handshakes from now on, each with what its message says at that moment. */
function recordHandshakes(): { events: unknown[][]; traces: Set<Trace> } {
  const events: unknown[][] = [];
  const traces = new Set<Trace>();
  for (const event of EVENTS) {
    subscribe(tracingChannel("spacenode:handshake")[event] as Channel, (message) => {
      const trace = message as Trace;
      traces.add(trace);
      events.push([event, trace.route, trace.status, ...trace.error === undefined ? [] : [String(trace.error)]]);
    });
  }
  return { events, traces };
}

/** The events of a handshake that is refused before its route is known. */
function wholeRefusal(status: number, message: string): unknown[][] {
  const error = `HandshakeError: ${message}`;
  return [
    ["start", undefined, undefined],
    ["error", undefined, status, error],
    ["asyncStart", undefined, status, error],
    ["asyncEnd", undefined, status, error],
    ["end", undefined, status, error],
  ];
}

describe("the channels open, message, close and error", () => {
  test("tell of a socket in their order, in front of its handler and its listeners", async () => {
    const seen: unknown[] = [];
    const sockets = new Set<Socket>();
    listen("spacenode:open", ({ socket, request, route }) => {
      sockets.add(socket);
      seen.push(["open", route, request.params, request.headers["user-agent"]]);
    });
    listen("spacenode:message", ({ socket, data, isBinary }) => {
      sockets.add(socket);
      seen.push(["message", String(data), isBinary]);
    });
    listen("spacenode:error", ({ socket, error }) => {
      sockets.add(socket);
      seen.push(["error", error.message]);
    });
    listen("spacenode:close", ({ socket, code, reason, wasClean }) => {
      sockets.add(socket);
      seen.push(["close", code, reason, wasClean, socket.readyState]);
    });
    const app = await listeningApp({}, (app) =>
      app.ws("/chat/:room", (socket) => {
        seen.push("handler");
        socket.on("message", (data) => {
          seen.push("listener");
          if (data === "fail") throw new Error("as told");
        });
        socket.on("error", () => seen.push("error listener"));
        socket.on("close", () => seen.push("close listener"));
      }));
    const client = await connectTo(app, { path: "/chat/tea", headers: { "User-Agent": "a test" } });
    client.send(text("hello"), text("fail"));
    while (client.closeFrame === undefined) await client.nextFrame();
    client.send(close(1011, "so be it"));
    await until(() => app.sockets.size === 0);
    expect(seen).toEqual([
      ["open", "/chat/:room", { room: "tea" }, "a test"],
      "handler",
      ["message", "hello", false],
      "listener",
      ["message", "fail", false],
      "listener",
      ["error", "as told"],
      "error listener",
      ["close", 1011, "so be it", true, 3],
      "close listener",
    ]);
    expect(sockets.size).toBe(1);
  });

  test("tell of a fault of the client", async () => {
    const errors: string[] = [];
    listen("spacenode:error", ({ error }) => errors.push(error.message));
    const app = await listeningApp({}, (app) => app.ws("/", (socket) => void socket.on("message", () => {})));
    const client = await connectTo(app);
    client.send(text("unmasked", { maskingKey: false }));
    await client.closed();
    expect(errors).toEqual([expect.stringMatching(/mask/)]);
  });

  test("put the stores that are bound to them in force for the handler and the listeners", async () => {
    const [opened, received] = [new AsyncLocalStorage<string>(), new AsyncLocalStorage<string>()];
    const bind = <Message>(
      to: Channel,
      store: AsyncLocalStorage<string>,
      value: (message: Message) => string,
    ): void => {
      to.bindStore(store, (message) => value(message as Message));
      onTestFinished(() => void to.unbindStore(store));
    };
    bind<DiagnosticsMessages["spacenode:open"]>(channel("spacenode:open"), opened, ({ route }) => `at ${route}`);
    bind<DiagnosticsMessages["spacenode:message"]>(channel("spacenode:message"), received, ({ data }) => `of ${data}`);
    const app = await listeningApp({}, (app) =>
      app.ws("/", async (socket) => {
        socket.on("message", async () => {
          const before = received.getStore();
          await Promise.resolve();
          socket.send(`${before}, ${received.getStore()}`);
        });
        await Promise.resolve();
        socket.send(String(opened.getStore()));
      }));
    const client = await connectTo(app);
    expect(await client.nextMessage()).toBe("at /");
    client.send(Buffer.concat([text("one"), text("two")]));
    expect([await client.nextMessage(), await client.nextMessage()]).toEqual(["of one, of one", "of two, of two"]);
    expect([opened.getStore(), received.getStore()]).toEqual([undefined, undefined]);
  });

  test("say nothing any more to who has gone", async () => {
    const listener = vi.fn();
    channel("spacenode:message").subscribe(listener);
    const app = await listeningApp({}, (app) =>
      app.ws("/", (socket) => {
        socket.on("message", (data) => socket.send(data));
      }));
    const client = await connectTo(app);
    client.send(text("one"));
    await client.nextMessage();
    channel("spacenode:message").unsubscribe(listener);
    client.send(text("two"));
    expect(await client.nextMessage()).toBe("two");
    expect(listener).toHaveBeenCalledOnce();
  });
});

describe("the tracing channel of handshakes", () => {
  test("tells of one that is accepted at once", async () => {
    const { events, traces } = recordHandshakes();
    const app = await listeningApp({}, (app) => app.ws("/chat/:room", () => {}));
    await connectTo(app, "/chat/tea");
    await until(() => app.sockets.size === 1);
    expect(events).toEqual([
      ["start", undefined, undefined],
      ["asyncStart", "/chat/:room", 101],
      ["asyncEnd", "/chat/:room", 101],
      ["end", "/chat/:room", 101],
    ]);
    expect([...traces].map(({ request }) => request.url)).toEqual(["/chat/tea"]);
  });

  test("tells of one whose hook takes its time", async () => {
    const { events } = recordHandshakes();
    const app = await listeningApp({}, (app) => app.ws("/", { upgrade: () => Promise.resolve() }, () => {}));
    await connectTo(app);
    expect(events).toEqual([
      ["start", undefined, undefined],
      ["end", "/", undefined],
      ["asyncStart", "/", 101],
      ["asyncEnd", "/", 101],
    ]);
  });

  test.each<[string, string, unknown[][]]>([
    ["with an error of the app", "/nowhere", [
      ["error", undefined, 404, "HandshakeError: There is no WebSocket at this path"],
      ["asyncEnd", undefined, 404, "HandshakeError: There is no WebSocket at this path"],
    ]],
    ["with an error of its hook", "/private", [
      ["error", "/private", 401, "HandshakeError: Please log in"],
      ["asyncEnd", "/private", 401, "HandshakeError: Please log in"],
    ]],
    ["with a Response of its hook", "/teapot", [["asyncEnd", "/teapot", 418]]],
  ])("tells of one that is refused %s", async (_name, path, expected) => {
    const { events } = recordHandshakes();
    const app = await listeningApp({}, (app) =>
      app.ws("/private", {
        upgrade: () => {
          throw new HttpError(401, "Please log in");
        },
      }, () => {}).ws("/teapot", { upgrade: () => new Response("no", { status: 418 }) }, () => {}));
    await rawRequest(portOf(app), upgradeRequest(path));
    expect(events.filter(([event]) => event === "error" || event === "asyncEnd")).toEqual(expected);
  });

  test("tells of one that is refused because the services cannot be made", async () => {
    const { events } = recordHandshakes();
    const make = (): never => {
      throw new Error("no database");
    };
    const { port } = await attachedApp(createServer(), (app) => app.service("make", make).ws("/", () => {}));
    await rawRequest(port, upgradeRequest("/"));
    expect(events).toEqual(wholeRefusal(500, "The handshake has failed"));
  });

  test("tells of one that all listeners of a server have left to others", async () => {
    const { events } = recordHandshakes();
    const server = createServer();
    server.on("upgrade", () => {});
    const app = await createApp({ logger: false, handshakeTimeoutMs: 100 });
    const { port } = await attachedApp(server, () => app.ws("/", () => {}), () => app.attach(server));
    onTestFinished(async () => void await app.close());
    expect(await rawRequest(port, upgradeRequest("/nowhere"))).toMatch(/^HTTP\/1.1 404 /);
    expect(events).toEqual(wholeRefusal(404, "There is no WebSocket at this path"));
  });

  test("tells once of the end of one whose time is over before its hook has decided", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const { events } = recordHandshakes();
    const { upgrade, asked, decide } = slowHook();
    const app = await listeningApp({ handshakeTimeoutMs: 1_000 }, (app) => app.ws("/", { upgrade }, () => {}));
    const response = rawRequest(portOf(app), upgradeRequest("/"));
    await asked;
    vi.advanceTimersByTime(1_100);
    expect(await response).toMatch(/^HTTP\/1.1 408 /);
    await until(() => events.length === 4);
    expect(events.at(-1)).toEqual(["asyncEnd", "/", undefined]);
    decide();
    await nextTurn();
    expect(events.length).toBe(4);
  });

  test("tells of the end of one that another listener has taken, while its connection goes on", async () => {
    const { events } = recordHandshakes();
    const { upgrade, asked, decide } = slowHook();
    const server = createServer();
    const { app, port } = await attachedApp(server, (app) => app.ws("/", { upgrade }, () => {}));
    // The services are made, so that the hook is asked before the other listener responds.
    await app.inject(new Request("http://app/"));
    const taken = Promise.withResolvers<RawSocket>();
    server.on("upgrade", (_request, raw: RawSocket) => {
      raw.write("HTTP/1.1 101 Switching Protocols\r\n\r\n");
      taken.resolve(raw);
    });
    const client = connect(port, "127.0.0.1");
    onTestFinished(() => void client.destroy());
    client.write(upgradeRequest("/"));
    const [raw] = await Promise.all([taken.promise, asked]);
    decide();
    await until(() => events.length === 4);
    expect([events.at(-1), raw.destroyed]).toEqual([["asyncEnd", "/", undefined], false]);
  });

  test("puts a store that is bound to its start in force for the hook and the handler", async () => {
    const store = new AsyncLocalStorage<string>();
    const start = tracingChannel("spacenode:handshake").start as Channel;
    start.bindStore(store, (message) => `from ${(message as Trace).request.headers["x-name"]}`);
    onTestFinished(() => void start.unbindStore(store));
    const app = await listeningApp(
      {},
      (app) =>
        app.ws("/", { upgrade: async () => ({ before: await Promise.resolve(store.getStore()) }) }, (socket) => {
          socket.send(`${socket.data.before}, ${store.getStore()}`);
        }),
    );
    const client = await connectTo(app, { headers: { "X-Name": "Ada" } });
    expect(await client.nextMessage()).toBe("from Ada, from Ada");
  });
});
