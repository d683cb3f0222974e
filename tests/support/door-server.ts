/**
 * A program for tests of clients that misbehave before, in and after a handshake: a server with every way in, each at a
 * port of its own. The process has no handler of uncaught exceptions, so that an exception that a client causes ends
 * the process. Over TCP the timers of the apps are so slow that none of them tidies up within a test. The program
 * prints its ports as one line of JSON.
 *
 *     KEY=… CERT=… door-server.ts
 */

import type { Buffer } from "node:buffer";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket as RawSocket } from "node:net";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { type App, createApp, HttpError, type Socket } from "../../mod.ts";

/** How a connection comes to an app. */
export type Way = "listen" | "attach" | "attach beside another" | "handleUpgrade" | "handleUpgrade later";

/** What the server prints when it is ready. */
export interface DoorPorts {
  /** The port of an HTTP server whose only response is {@link DoorState} as JSON. */
  readonly control: number;
  readonly tcp: Record<Way, number>;
  readonly tls: Record<Way, number>;
}

/** What the server keeps of its clients at this moment, summed over all ways in. */
export interface DoorState {
  /** Open connections of the servers that the apps have not made themselves. */
  readonly open: number;
  /** The sum of `app.sockets.size`. */
  readonly sockets: number;
  /** The sums of `connections`, `accepted` and `topics` in `app.stats()`. */
  readonly connections: number;
  readonly accepted: number;
  readonly topics: number;
  /** The number of calls of handlers, and of `close` events. */
  readonly opened: number;
  readonly closed: number;
  /** The number of hooks, handlers and controllers that are still at work. */
  readonly busy: number;
}

type Tls = { readonly key: string; readonly cert: string };

const BUSY_MS = 20;
const SLOW_TIMER_MS = 600_000;

/**
 * Over TLS the timers are quick. When the peer ends its side while a write is under way, Node 22 to 26 report neither
 * the end of that write nor the end of the connection, not even on a bare server of node:https: only a timer ends such
 * a connection.
 */
const TLS_TIMER_MS = 2_000;

const host = "127.0.0.1";
const apps: App[] = [];
const servers: Server[] = [];
let opened = 0;
let closed = 0;
let busy = 0;

/** Resolves with `result` after a while, and counts as busy until then. */
async function work<Result>(result: Result, times: number = 1): Promise<Result> {
  busy++;
  await delay(times * BUSY_MS);
  busy--;
  return result;
}

/** Makes an app whose routes accept, refuse, respond, send and close in every way, at once or later. */
async function doorApp(isTls: boolean, tls?: Tls): Promise<App> {
  const timerMs = isTls ? TLS_TIMER_MS : SLOW_TIMER_MS;
  const app = await createApp({
    tls,
    services: { database: () => work({}) },
    wsOrigins: () => true,
    compression: true,
    maxMessageBytes: 100_000,
    handshakeTimeoutMs: timerMs,
    closeTimeoutMs: timerMs,
    messageTimeoutMs: SLOW_TIMER_MS,
    heartbeat: false,
  });
  const count = (socket: Socket): void => {
    opened++;
    socket.on("close", () => closed++);
  };
  app.ws("/", (socket) => {
    count(socket);
    socket.on("message", (data) => socket.send(data));
  });
  app.ws("/topic", (socket) => {
    count(socket);
    socket.subscribe("all", { presence: true });
    socket.on("message", (data) => void app.publish("all", data));
  });
  app.ws("/much", (socket) => {
    count(socket);
    socket.send("much ".repeat(60_000));
  });
  app.ws("/bye", (socket) => {
    count(socket);
    socket.close(1000, "bye");
  });
  app.ws("/iterated", async (socket) => {
    count(socket);
    for await (const data of socket) socket.send(data);
  });
  app.ws("/late-handler", async (socket) => {
    count(socket);
    await work(undefined);
    socket.send("late");
  });
  app.ws("/hook", { upgrade: () => "data" }, count);
  app.ws("/late-hook", { upgrade: () => work("data") }, count);
  app.ws("/later-hook", { upgrade: () => work("data", 3) }, count);
  app.ws("/refusal", { upgrade: () => new Response("no", { status: 401 }) }, count);
  app.ws("/late-refusal", { upgrade: () => work(new Response("no", { status: 401 })) }, count);
  app.ws("/error", { upgrade: () => Promise.reject(new HttpError(403, "no")) }, count);
  app.ws("/late-error", { upgrade: () => work("").then(() => Promise.reject(new HttpError(403, "no"))) }, count);
  app.get("/plain", () => "plain");
  app.get("/late", () => work("late"));
  app.get("/stream", () => new Response(slowStream()));
  app.post("/body", async (request) => (await request.bytes()).length);
  app.post("/unread", () => "unread");
  apps.push(app);
  return app;
}

/** The paths of the WebSocket routes of an app: those without a hook, and those with one. */
const PATHS_WITHOUT_HOOK = /^\/(?:topic|much|bye|iterated|late-handler)?(?:\?|$)/;
const PATHS_WITH_HOOK = /^\/(?:late-|later-)?(?:hook|refusal|error)(?:\?|$)/;

/**
 * Tells whether a handshake belongs to the other `upgrade` listener of a server: the client offers another protocol, or
 * only subprotocols that no route speaks, or the path has no route. A hook could choose one of the subprotocols.
 */
function belongsToOther({ url = "", headers }: IncomingMessage): boolean {
  if (!/(?:^|,)[\t ]*websocket[\t ]*(?:,|$)/i.test(headers.upgrade ?? "websocket")) return true;
  if (PATHS_WITHOUT_HOOK.test(url)) return /[^\t ,]/.test(headers["sec-websocket-protocol"] ?? "");
  return !PATHS_WITH_HOOK.test(url);
}

/** A body that comes in four pieces, with a pause before each. */
function slowStream(): ReadableStream<Uint8Array> {
  let left = 4;
  return new ReadableStream({
    async pull(controller) {
      await work(undefined, 0.25);
      if (left-- > 0) controller.enqueue(new Uint8Array(10_000));
      else controller.close();
    },
  });
}

/** Responds as an HTTP server that the app shares its port with. */
const respondAsOther: RequestListener = async (request, response) => {
  request.resume();
  if (request.url === "/late") await work(undefined);
  response.end("theirs");
};

async function otherServer(tls?: Tls): Promise<Server> {
  const server = tls === undefined ? createServer(respondAsOther) : createTlsServer(tls, respondAsOther);
  if (tls !== undefined) server.timeout = TLS_TIMER_MS;
  servers.push(server);
  await once(server.listen(0, host), "listening");
  return server;
}

const ways: Record<Way, (tls?: Tls) => Promise<number>> = {
  async listen(tls) {
    const app = await doorApp(tls !== undefined, tls);
    await app.listen({ port: 0, host });
    return app.address!.port;
  },
  async attach(tls) {
    const server = await otherServer(tls);
    (await doorApp(tls !== undefined)).attach(server);
    return portOf(server);
  },
  async "attach beside another"(tls) {
    const server = await otherServer(tls);
    (await doorApp(tls !== undefined)).attach(server);
    // This listener handles no errors of the raw socket: while it works, only the app can.
    server.on("upgrade", async (request: IncomingMessage, raw: RawSocket) => {
      if (!belongsToOther(request)) return;
      await work(undefined);
      raw.destroy();
    });
    return portOf(server);
  },
  async handleUpgrade(tls) {
    const server = await otherServer(tls);
    const app = await doorApp(tls !== undefined);
    server.on("upgrade", (request: IncomingMessage, raw: RawSocket, head: Buffer) => {
      app.handleUpgrade(request, raw, head);
    });
    return portOf(server);
  },
  async "handleUpgrade later"(tls) {
    const server = await otherServer(tls);
    const app = await doorApp(tls !== undefined);
    server.on("upgrade", async (request: IncomingMessage, raw: RawSocket, head: Buffer) => {
      // Node's documentation asks every `upgrade` listener that keeps the raw socket to handle its errors.
      raw.on("error", () => {});
      await work(undefined);
      app.handleUpgrade(request, raw, head);
    });
    return portOf(server);
  },
};

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

function sum(of: (app: App) => number): number {
  return apps.reduce((total, app) => total + of(app), 0);
}

async function connectionsOf(server: Server): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  server.getConnections((_error, count) => resolve(count));
  return await promise;
}

async function state(): Promise<DoorState> {
  const counts = await Promise.all(servers.map(connectionsOf));
  return {
    open: counts.reduce((total, count) => total + count, 0),
    sockets: sum((app) => app.sockets.size),
    connections: sum((app) => app.stats().connections),
    accepted: sum((app) => app.stats().accepted),
    topics: sum((app) => app.stats().topics),
    opened,
    closed,
    busy,
  };
}

async function portsOf(tls?: Tls): Promise<Record<Way, number>> {
  const ports = await Promise.all(Object.entries(ways).map(async ([way, open]) => [way, await open(tls)]));
  return Object.fromEntries(ports);
}

const { KEY: key, CERT: cert } = process.env as { KEY: string; CERT: string };
const control = createServer(async (_request, response) => {
  response.setHeader("Connection", "close");
  response.end(JSON.stringify(await state()));
});
await once(control.listen(0, host), "listening");
const ports: DoorPorts = { control: portOf(control), tcp: await portsOf(), tls: await portsOf({ key, cert }) };
console.log(JSON.stringify(ports));
