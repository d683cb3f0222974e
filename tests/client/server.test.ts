/** The client and the server together: restarts, tokens, dead connections, and messages that were missed. */
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket as WebSocketOfWs } from "ws";
import type { App, Socket } from "../../mod.ts";
import {
  type ClientOptions,
  connect,
  type ReconnectingSocket,
  type ReconnectingSocketEvents,
} from "../../src/client/client.ts";
import { listeningApp, portOf, until } from "../support/app.ts";
import { recordEvents, type Told } from "../support/client.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

/** The next event of a socket. */
function next<Type extends keyof ReconnectingSocketEvents>(
  socket: ReconnectingSocket,
  type: Type,
): Promise<ReconnectingSocketEvents[Type]> {
  return new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }));
}

/** A client whose pauses are short, and its events. */
function start(
  url: Parameters<typeof connect>[0],
  options: ClientOptions = {},
): { socket: ReconnectingSocket; told: Told[] } {
  const socket = connect(url, { maxRetryMs: 20, ...options });
  const told = recordEvents(socket);
  onTestFinished(async () => {
    if (socket.readyState === 3) return;
    const closed = next(socket, "close");
    socket.close();
    await closed;
  });
  return { socket, told };
}

const dataOf = (told: readonly Told[]): unknown[] =>
  told.filter(({ type }) => type === "message").map(({ data }) => data);

const echo = (app: App): unknown => app.ws("/echo", (socket) => void socket.on("message", (data) => socket.send(data)));

describe.each<[string, ClientOptions]>([
  ["the WebSocket of the runtime", {}],
  ["the WebSocket of ws", { WebSocket: WebSocketOfWs }],
])("with %s,", (_name, options) => {
  test("a server that ends and starts again, and what was sent meanwhile", async () => {
    let app = await listeningApp({}, echo);
    const { socket, told } = start(() => `${app.url}/echo`, options);
    socket.send("1");
    socket.send(new Uint8Array([1, 2]));
    await until(() => dataOf(told).length === 2);
    const away = next(socket, "retry");
    await app.close();
    expect(await away).toMatchObject({ code: 1001, attempt: 1 });
    socket.send("2");
    expect(socket.readyState).toBe(0);
    app = await listeningApp({}, echo);
    await next(socket, "message");
    expect(dataOf(told)).toEqual(["1", new Uint8Array([1, 2]).buffer, "2"]);
    const closed = next(socket, "close");
    socket.close(4000, "Enough");
    expect(await closed).toMatchObject({ code: 4000, reason: "Enough" });
  });

  test("connections that are cut without a Close", async () => {
    const sockets: Socket[] = [];
    const app = await listeningApp({}, (app) => app.ws("/", (socket) => void sockets.push(socket)));
    const { socket, told } = start(app.url, options);
    for (let count = 1; count <= 3; count++) {
      await until(() => sockets.length === count && socket.readyState === 1);
      sockets.at(-1)!.terminate();
      await next(socket, "retry");
    }
    expect(told.filter(({ type }) => type === "retry").map(({ code, attempt }) => [code, attempt])).toEqual([
      [1006, 1],
      [1006, 2],
      [1006, 3],
    ]);
  });

  test("a handshake that is refused is retried, since a page cannot see the status", async () => {
    let refusals = 0;
    const app = await listeningApp(
      {},
      (app) => app.ws("/", { upgrade: () => ++refusals > 2 }, (socket) => void socket.send("hello")),
    );
    const { socket, told } = start(app.url, options);
    await next(socket, "message");
    expect(told.map(({ type, code }) => [type, code])).toEqual([
      ["retry", 1006],
      ["retry", 1006],
      ["open", undefined],
      ["message", undefined],
    ]);
  });

  test("the subprotocol that the server has chosen", async () => {
    const app = await listeningApp(
      {},
      (app) => app.ws("/", { subprotocols: ["v2"] }, (socket) => void socket.on("message", () => {})),
    );
    const { socket } = start(app.url, { ...options, protocols: () => ["v1", "v2"] });
    await next(socket, "open");
    expect(socket.protocol).toBe("v2");
  });

  test("a dead connection is found by the heartbeat, and one that is alive stays", async () => {
    const seen: unknown[] = [];
    const app = await listeningApp(
      {},
      (app) => app.ws("/", { textHeartbeat: true }, (socket) => void socket.on("message", (data) => seen.push(data))),
    );
    const proxy = await TcpProxy.start(portOf(app));
    onTestFinished(() => proxy.dispose());
    const heartbeat = { intervalMs: 30, timeoutMs: 1_000 };
    const { socket, told } = start(`ws://127.0.0.1:${proxy.port}/`, { ...options, heartbeat });
    await next(socket, "open");
    await until(() => app.stats().routes["/"]!.receivedMessages >= 5);
    expect(told.map(({ type }) => type)).toEqual(["open"]);
    proxy.isMute = true;
    expect(await next(socket, "retry")).toMatchObject({ code: 1006, reason: "No heartbeat" });
    proxy.isMute = false;
    await next(socket, "open");
    socket.send("still there");
    await until(() => seen.length === 1);
    expect(seen).toEqual(["still there"]);
  });
});

describe("a token that expires", () => {
  const app = (code: number): Promise<App> =>
    listeningApp({}, (app) =>
      app.ws("/", (socket, req) => {
        const token = Number(req.query.get("token"));
        if (token < 2) socket.close(code, "The token has expired");
        else socket.send(`token ${token}`);
      }));

  test("with a code that lets the client come back: it asks for another one", async () => {
    const { url } = await app(4001);
    let token = 0;
    const { socket, told } = start(() => Promise.resolve(`${url}?token=${token++}`));
    await next(socket, "message");
    expect(told.filter(({ type }) => type !== "open").map(({ type, code, data }) => [type, code ?? data])).toEqual([
      ["retry", 4001],
      ["retry", 4001],
      ["message", "token 2"],
    ]);
  });

  test("with 4401: the client gives up, and the application decides", async () => {
    const { url } = await app(4401);
    let token = 0;
    const { socket } = start(() => `${url}?token=${token++}`);
    expect(await next(socket, "close")).toMatchObject({ code: 4401, reason: "The token has expired" });
    expect([token, socket.readyState]).toEqual([1, 3]);
  });
});

describe("a topic with a history", () => {
  const history = { size: 100, maxAgeMs: 60_000 };
  const rooms = (sockets: Socket[] = []) => (app: App): void => {
    app.topic("room/*", { history });
    app.ws("/rooms/:room", (socket, req) => {
      sockets.push(socket);
      return socket.follow(`room/${req.params.room}`, { since: req.query.get("since") }).then(() => {});
    });
  };

  test("a client that is cut again and again gets every message once and in order", async () => {
    const sockets: Socket[] = [];
    const app = await listeningApp({}, rooms(sockets));
    const { socket, told } = start(`${app.url}/rooms/tea`, { recover: true });
    await next(socket, "open");
    await until(() => socket.since("room/tea") !== undefined);
    const sent: string[] = [];
    for (let round = 0; round < 8; round++) {
      for (let count = 0; count < 5; count++) {
        sent.push(`${round}.${count}`);
        await app.append("room/tea", sent.at(-1)!);
        if (count === round % 5) sockets.at(-1)!.terminate();
      }
      await next(socket, "open");
    }
    await until(() => dataOf(told).length === sent.length);
    expect(dataOf(told)).toEqual(sent);
    expect(told.filter(({ type }) => type === "gap")).toEqual([]);
    expect(told.find(({ type }) => type === "message")).toMatchObject({
      topic: "room/tea",
      id: expect.stringMatching(/\.1$/),
    });
  });

  test("bytes come back as bytes", async () => {
    const app = await listeningApp({}, rooms());
    const { socket, told } = start(`${app.url}/rooms/tea?since=`, { recover: true });
    await next(socket, "open");
    await app.append("room/tea", new Uint8Array([0, 200, 255]));
    await next(socket, "message");
    expect(dataOf(told)).toEqual([new Uint8Array([0, 200, 255]).buffer]);
  });

  test("when the history is lost, the client says so, loads anew, and goes on from there", async () => {
    let app = await listeningApp({}, rooms());
    const shown: unknown[] = [];
    const load = async (): Promise<string> => {
      const { messages, id } = await app.history("room/tea", { limit: 50 });
      shown.splice(0, Infinity, ...messages.map(({ data }) => data));
      return id;
    };
    await app.append("room/tea", "one");
    const { socket, told } = start(() => `${app.url}/rooms/tea`, { recover: load });
    socket.addEventListener("message", ({ data }) => shown.push(data));
    await next(socket, "open");
    await app.append("room/tea", "two");
    await until(() => shown.length === 2);
    expect(shown).toEqual(["one", "two"]);

    const gap = next(socket, "gap");
    await app.close();
    const second = await listeningApp({}, rooms());
    await second.append("room/tea", "another life");
    app = second;
    expect(await gap).toMatchObject({ topic: "room/tea" });
    await until(() => shown.length === 1);
    await until(() => told.filter(({ type }) => type === "open").length === 3);
    await app.append("room/tea", "goes on");
    await until(() => shown.length === 2);
    expect(shown).toEqual(["another life", "goes on"]);
    expect(told.filter(({ type }) => type === "gap")).toHaveLength(1);
  });
});

test("a thousand clients that a restart has cut come back spread over a second", async () => {
  const count = 1_000;
  const arrivals: number[] = [];
  const accept = (app: App): unknown => app.ws("/", () => void arrivals.push(performance.now()));
  let app = await listeningApp({}, accept);
  const clients = Array.from({ length: count }, () => start(() => app.url, { maxRetryMs: 30_000 }));
  await until(() => arrivals.length === count);
  arrivals.length = 0;
  const [closing, restarted] = [app.close(), listeningApp({}, accept)];
  app = await restarted;
  await closing;
  await until(() => arrivals.length === count);

  const tenths = new Map<number, number>();
  for (const arrival of arrivals) {
    const tenth = Math.floor((arrival - arrivals[0]!) / 100);
    tenths.set(tenth, (tenths.get(tenth) ?? 0) + 1);
  }
  // Chance puts a hundred into each tenth of a second. A machine that is busy may hold up some, and they come together.
  expect(Math.max(...tenths.values())).toBeLessThan(count / 2);
  expect(tenths.size).toBeGreaterThanOrEqual(8);
  expect(clients.flatMap(({ told }) => told).filter(({ type, attempt }) => type === "retry" && attempt === 1))
    .toHaveLength(count);
});
