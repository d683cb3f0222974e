/** Apps, sockets and their raw ends for one test each; what a test has opened is taken down when it ends. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request as startRequest } from "node:http";
import type { AddressInfo, Socket as RawSocket } from "node:net";
import { text as textOf } from "node:stream/consumers";
import { setImmediate as nextTurn } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { type App, type AppOptions, createApp, type Logger, type Socket, type SocketEvents } from "../../mod.ts";
import { acceptUpgrade } from "../../src/transport/handshake-response.ts";
import { type ConnectOptions, RawClient } from "./raw-client.ts";
import { actualRuntime } from "./runtime.ts";

/** All that a client needs to know of an app. */
type Listening = Pick<App, "address">;

/** An app on a free port of 127.0.0.1. */
export async function listeningApp<Services extends object = object>(
  options: AppOptions<Services>,
  addRoutes: (app: App<Services>) => unknown,
): Promise<App<Services>> {
  const app = await createApp({ logger: false, ...options });
  addRoutes(app);
  await app.listen({ port: 0, host: "127.0.0.1" });
  onTestFinished(async () => void await app.close({ timeoutMs: 500 }));
  return app;
}

/** An app whose handler has got its socket, which has `arrived`, and is not ready yet. */
export async function waitingApp(): Promise<{ app: App; arrived: Promise<Socket>; ready: () => void }> {
  const arrived = Promise.withResolvers<Socket>();
  const ready = Promise.withResolvers<void>();
  const app = await listeningApp({}, (app) =>
    app.ws("/", async (socket) => {
      arrived.resolve(socket);
      await ready.promise;
    }));
  return { app, arrived: arrived.promise, ready: ready.resolve };
}

export async function connectTo(app: Listening, options: ConnectOptions | string = {}): Promise<RawClient> {
  const client = await RawClient.connect(portOf(app), typeof options === "string" ? { path: options } : options);
  onTestFinished(() => client.terminate());
  return client;
}

export function portOf(app: Listening): number {
  return app.address!.port;
}

/** What a socket of the server has reported. */
export interface Seen {
  readonly messages: (string | Buffer)[];
  readonly errors: Error[];
  readonly closes: SocketEvents["close"][];
  /** The first `close`. */
  readonly closed: Promise<SocketEvents["close"]>;
}

/** Listens to everything, which begins the reading. */
export function watch(socket: Socket): Seen {
  const closed = eventOf(socket, "close");
  const seen: Seen = { messages: [], errors: [], closes: [], closed };
  socket.on("message", (data) => seen.messages.push(data));
  socket.on("error", (error) => seen.errors.push(error));
  socket.on("close", (...args) => seen.closes.push(args));
  return seen;
}

export interface Pair {
  readonly app: App;
  readonly client: RawClient;
  /** The server's end. */
  readonly socket: Socket;
  readonly seen: Seen;
}

/** One connection, with both of its ends. `prepare` runs first in the handler. */
export async function connectPair(
  options: AppOptions = {},
  prepare: (socket: Socket) => void = () => {},
): Promise<Pair> {
  const arrived = Promise.withResolvers<{ socket: Socket; seen: Seen }>();
  const app = await listeningApp(options, (app) =>
    app.ws("/", (socket) => {
      prepare(socket);
      arrived.resolve({ socket, seen: watch(socket) });
    }));
  const client = await connectTo(app);
  return { app, client, ...await arrived.promise };
}

/** The arguments of a socket's next event of that name. */
export function eventOf<Event extends keyof SocketEvents>(socket: Socket, event: Event): Promise<SocketEvents[Event]> {
  return new Promise((resolve) => socket.once(event, (...args: SocketEvents[Event]) => resolve(args)));
}

const UNTIL_MS = 10_000;

/** Lets the loop turn until something holds, for what is told by no event. The clock of `Date` is never faked. */
export async function until(holds: () => boolean): Promise<void> {
  for (const endMs = Date.now() + UNTIL_MS; !holds(); await nextTurn()) {
    if (Date.now() > endMs) throw new Error(`Not so within ${UNTIL_MS} ms: ${holds}`);
  }
}

export interface LogEntry {
  readonly level: keyof Logger;
  readonly args: readonly unknown[];
}

/** A logger that keeps what it is told. */
export function recordingLogger(): { readonly logger: Logger; readonly entries: LogEntry[] } {
  const entries: LogEntry[] = [];
  const record = (level: keyof Logger) => (...args: unknown[]): void => void entries.push({ level, args });
  const logger: Logger = {
    debug: record("debug"),
    info: record("info"),
    warn: record("warn"),
    error: record("error"),
  };
  return { logger, entries };
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** An HTTP request on a connection of its own. */
export async function ask(app: Listening, path: string, method: string = "GET", body?: string): Promise<HttpAnswer> {
  const request = startRequest({ host: "127.0.0.1", port: portOf(app), path, method, agent: false });
  request.end(body);
  const [response] = await once(request, "response") as [IncomingMessage];
  return { status: response.statusCode!, headers: response.headers, body: await textOf(response) };
}

export interface Upgraded {
  /** The server's raw end, as it comes out of the `upgrade` event. */
  readonly raw: RawSocket;
  readonly head: Buffer;
  readonly client: RawClient;
}

export interface UpgradeServer {
  readonly port: number;
  connect(options?: ConnectOptions): Promise<Upgraded>;
}

type HandshakeAnswer = (raw: RawSocket, request: IncomingMessage, head: Buffer) => void;

const accept: HandshakeAnswer = (raw, { headers }) => {
  acceptUpgrade(raw, { key: headers["sec-websocket-key"]!, subprotocols: [], extensions: [] }, {});
};

/** A bare server that answers every handshake, with 101 if not told otherwise: no app, and nobody who reads. */
export async function upgradeServer(answer: HandshakeAnswer = accept): Promise<UpgradeServer> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  server.on("upgrade", (request: IncomingMessage, raw: RawSocket, head: Buffer) => {
    raw.on("error", () => {});
    onTestFinished(() => void raw.destroy());
    answer(raw, request, head);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async connect(options = {}) {
      const arrived = once(server, "upgrade") as Promise<[IncomingMessage, RawSocket, Buffer]>;
      const client = await RawClient.connect(port, options);
      onTestFinished(() => client.terminate());
      const [, raw, head] = await arrived;
      return { raw, head, client };
    },
  };
}

export interface ScriptResult {
  readonly exitCode: number | null;
  readonly output: string;
}

/** Runs a module's source in a process of its own on this runtime; `{src}` in it stands for the source folder's URL. */
export async function runScript(source: string): Promise<ScriptResult> {
  const run: Record<string, string[]> = { node: ["--input-type=module", "-e"], deno: ["eval"], bun: ["-e"] };
  const [name] = actualRuntime().split("@");
  const root = new URL("../../", import.meta.url);
  const code = source.replaceAll("{src}", new URL("src", root).href).replaceAll("{root}", root.href);
  const child = spawn(process.execPath, [...run[name], code], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const exited = once(child, "close");
  const [stdout, stderr] = await Promise.all([textOf(child.stdout), textOf(child.stderr)]);
  const [exitCode] = await exited as [number | null];
  return { exitCode, output: `${stdout}${exitCode === 0 ? "" : stderr}`.trim() };
}
