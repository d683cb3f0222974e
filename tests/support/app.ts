/**
 * Apps, sockets and raw connections for one test each. Everything that a test has opened is closed when the test ends.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as startRequest,
  type Server,
} from "node:http";
import type { AddressInfo, Socket as RawSocket } from "node:net";
import { text as textOf } from "node:stream/consumers";
import { setImmediate as nextTurn } from "node:timers/promises";
import { inspect } from "node:util";
import { expect, onTestFinished } from "vitest";
import { type App, type AppOptions, createApp, type Logger, type Socket, type SocketEvents } from "../../mod.ts";
import { isError } from "../../src/app/common/validate.ts";
import { acceptUpgrade } from "../../src/transport/handshake-response.ts";
import { type ConnectOptions, RawClient } from "./raw-client.ts";
import { actualRuntime } from "./runtime.ts";

/** The member of an app that a client needs: where the app listens. */
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

/** An app on the port of a server that somebody else has made. */
export interface AttachedApp extends Listening {
  readonly app: App;
  readonly port: number;
}

/**
 * Lets a server listen on a free port of 127.0.0.1, with an app that gets its handshakes: by `attach`, or as `join`
 * says.
 */
export async function attachedApp(
  server: Server,
  addRoutes: (app: App) => unknown,
  join: (app: App, server: Server) => unknown = (app, server) => app.attach(server),
): Promise<AttachedApp> {
  const app = await createApp({ logger: false });
  addRoutes(app);
  join(app, server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await app.close({ timeoutMs: 500 });
  });
  const address = server.address() as AddressInfo;
  return { app, address, port: address.port };
}

/** An app whose handler gives its socket to `arrived`, and is not ready before `ready` is called. */
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

/** A client of an app, at the path `/` if none is given. */
export async function connectTo(app: Listening, options: ConnectOptions | string = {}): Promise<RawClient> {
  const client = await RawClient.connect(portOf(app), typeof options === "string" ? { path: options } : options);
  onTestFinished(() => client.terminate());
  return client;
}

/** The port at which an app listens. */
export function portOf(app: Listening): number {
  return app.address!.port;
}

/** The events that a socket of the server has emitted. */
export interface Seen {
  readonly messages: (string | Buffer)[];
  readonly errors: Error[];
  readonly closes: SocketEvents["close"][];
  /** Resolves with the first `close`. */
  readonly closed: Promise<SocketEvents["close"]>;
}

/** Listens to messages, errors and closes. The message listener starts the reading. */
export function watch(socket: Socket): Seen {
  const closed = eventOf(socket, "close");
  const seen: Seen = { messages: [], errors: [], closes: [], closed };
  socket.on("message", (data) => seen.messages.push(data));
  socket.on("error", (error) => seen.errors.push(error));
  socket.on("close", (...args) => seen.closes.push(args));
  return seen;
}

/** Both ends of one connection. */
export interface Pair {
  readonly app: App;
  readonly client: RawClient;
  /** The server's end. */
  readonly socket: Socket;
  readonly seen: Seen;
}

/** Connects a client to an app, and gives both ends. `prepare` runs first in the handler. */
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

/** Resolves with the arguments of a socket's next event of this name. */
export function eventOf<Event extends keyof SocketEvents>(socket: Socket, event: Event): Promise<SocketEvents[Event]> {
  return new Promise((resolve) => socket.once(event, (...args: SocketEvents[Event]) => resolve(args)));
}

const UNTIL_MS = 10_000;

/** Lets the event loop turn until a condition holds, where no event tells of it. No test fakes the clock of `Date`. */
export async function until(holds: () => boolean): Promise<void> {
  for (const endMs = Date.now() + UNTIL_MS; !holds(); await nextTurn()) {
    if (Date.now() > endMs) throw new Error(`Not so within ${UNTIL_MS} ms: ${holds}`);
  }
}

/** One call of a logger. */
export interface LogEntry {
  readonly level: keyof Logger;
  readonly args: readonly unknown[];
}

/** A logger that records its calls. */
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

/**
 * The entry that `recordingLogger` has of an error, for `expect(entries).toEqual(…)`.
 *
 * @param text a part of the text about what has failed
 * @param error the value that was thrown: the entry tells it to its end, and an Error with its stack
 */
export function errorEntry(text: string, error: unknown): LogEntry {
  const [reason, frames] = isError(error)
    ? [String(error), error.stack!.slice(error.stack!.indexOf("\n    at "))]
    : [inspect(error), ""];
  const pattern = (end: string): RegExp => new RegExp(`^(Error: )?SpaceNode: .*${escape(text)}.*: ${escape(end)}$`);
  const [message, stack] = [reason, reason + frames].map((end): string => expect.stringMatching(pattern(end)));
  return { level: "error", args: [expect.objectContaining({ message, stack })] };
}

function escape(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** A response to an HTTP request. */
export interface HttpReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Sends an HTTP request on a connection of its own. */
export async function ask(app: Listening, path: string, method: string = "GET", body?: string): Promise<HttpReply> {
  const request = startRequest({ host: "127.0.0.1", port: portOf(app), path, method, agent: false });
  request.end(body);
  const [response] = await once(request, "response") as [IncomingMessage];
  return { status: response.statusCode!, headers: response.headers, body: await textOf(response) };
}

/** Both ends of a connection whose handshake is done. */
export interface Upgraded {
  /** The server's raw socket, as the `upgrade` event has given it. */
  readonly raw: RawSocket;
  readonly head: Buffer;
  readonly client: RawClient;
}

/** A server that accepts handshakes, without an app. */
export interface UpgradeServer {
  readonly port: number;
  connect(options?: ConnectOptions): Promise<Upgraded>;
}

/** Responds to a handshake. */
type Respond = (raw: RawSocket, request: IncomingMessage, head: Buffer) => void;

const accept: Respond = (raw, { headers }) => {
  acceptUpgrade(raw, { key: headers["sec-websocket-key"]!, subprotocols: [], extensions: [] }, {});
};

/**
 * A bare server that responds to every handshake, with 101 by default. There is no app, and the connections are not
 * read.
 */
export async function upgradeServer(respond: Respond = accept): Promise<UpgradeServer> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  server.on("upgrade", (request: IncomingMessage, raw: RawSocket, head: Buffer) => {
    raw.on("error", () => {});
    onTestFinished(() => void raw.destroy());
    respond(raw, request, head);
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

/** The result of a script that has run in a process of its own. */
export interface ScriptResult {
  readonly exitCode: number | null;
  readonly output: string;
}

/**
 * Runs the source of a module in a process of its own on this runtime. `{src}` in the source stands for the URL of the
 * source folder, `{root}` for that of the package.
 */
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
