/**
 * The server of the chaos, a process of its own without any handler of uncaught exceptions. The query of a handshake
 * has the plan of its connection. Every few milliseconds, and for each message, the server sends numbered messages of
 * its own. It prints its two ports, and writes its report when the process ends, which it has to do by itself.
 *
 *     SETTING=… TIMEOUT_MS=… REPORT=… KEY=… CERT=… server.ts
 *
 * The second port is that of its control: `/state` shows its figures, and `/close?at=N` closes the app as soon as N
 * messages in all have come from clients that are counted.
 */

import type { Buffer } from "node:buffer";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket as RawSocket } from "node:net";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { type AppOptions, createApp, type Logger, type Socket } from "../../mod.ts";
import { floodLabel, labelOf, messageOf, serverLabel, topicLabel } from "./messages.ts";
import type { ConnectionPlan, Setting } from "./plan.ts";
import type { ServerRecord, ServerReport, ServerState } from "./records.ts";

/** In each tick, one in so many visitors gets a message. */
const TICK_STEP = 4;
const TICK_MS = 10;
/** Together they are more than the operating system takes for a road that waits. */
const FLOOD = 48;
const PAUSE_MS = 15;
const LATE_MS = 10;
const TOPICS = ["red", "green", "blue"];
const host = "127.0.0.1";

const { SETTING = "", TIMEOUT_MS = "", REPORT = "", KEY: key = "", CERT: cert = "" } = process.env;
const setting = JSON.parse(SETTING) as Setting;

/** One connection: what is reported of it, and what only the server needs. */
interface Visitor {
  readonly record: ServerRecord;
  readonly plan: ConnectionPlan;
  readonly socket: Socket;
  /** The topics in which the visitor should be, by what it has asked for. */
  readonly topics: Set<string>;
}

const visitors: Visitor[] = [];
const complaints: string[] = [];
const published = new Map(TOPICS.map((topic) => [topic, 0]));
let messages = 0;
let busy = 0;
let closesAt = Infinity;
let isAppClosing = false;
let closingFromMs = 0;
let closedAtMs = 0;
let result: ServerReport["result"];

const complain = (...args: readonly unknown[]): void => void complaints.push(args.map(String).join(" "));
const logger: Logger = { debug() {}, info() {}, warn: complain, error: complain };

const options: AppOptions = {
  logger,
  // Nobody is a slow consumer here, whatever waits for a frozen client.
  maxBufferedBytes: 128 * 2 ** 20,
  heartbeat: { intervalMs: 200, timeoutMs: 60_000 },
  compression: setting.compression !== undefined && {
    threshold: 200,
    contextTakeover: setting.compression === "context takeover",
  },
};
if (setting.isSecure && !setting.isAttached) options.tls = { key, cert };
const app = await createApp(options);

app.ws("/", {
  upgrade(request) {
    // JSON has no Infinity and writes null instead.
    const plan = JSON.parse(request.query.get("plan")!, (_key, value) => value ?? Infinity) as ConnectionPlan;
    return plan.hookMs === 0 ? plan : atWork(delay(plan.hookMs, plan));
  },
}, (socket) => {
  const plan = socket.data as ConnectionPlan;
  const record: ServerRecord = { id: plan.id, received: [], sent: [], closes: [], errors: [] };
  const visitor: Visitor = { record, plan, socket, topics: new Set() };
  visitors.push(visitor);
  socket.on("close", (code, reason, wasClean) => record.closes.push({ code, reason, wasClean, isAppClosing }));
  socket.on("error", (error) => record.errors.push(String(error)));
  send(visitor);
  return atWork(read(visitor));
});

async function atWork<Result>(work: Promise<Result>): Promise<Result> {
  busy++;
  try {
    return await work;
  } finally {
    busy--;
  }
}

async function read(visitor: Visitor): Promise<void> {
  const { socket, plan: { reading } } = visitor;
  if (reading === "loop") { for await (const data of socket) receive(visitor, data); }
  if (reading === "late listener") await delay(LATE_MS);
  if (reading !== "loop") socket.on("message", (data) => receive(visitor, data));
}

function receive(visitor: Visitor, data: string | Buffer): void {
  const { record, plan, socket } = visitor;
  if (plan.isCounted) messages++;
  const count = record.received.push(labelOf(data));
  for (let sent = 0; sent < plan.replies; sent++) send(visitor);
  if (count === plan.floodsAfter) { for (let sent = 0; sent < FLOOD; sent++) send(visitor, floodLabel); }
  if (count % plan.togglesAfter === 0) toggle(visitor, TOPICS[count % TOPICS.length]!);
  if (count % plan.pausesAfter === 0) {
    socket.pause();
    setTimeout(() => socket.resume(), PAUSE_MS);
  }
  if (count === plan.closesAfter && socket.readyState === socket.OPEN) {
    record.closing = plan.serverCode;
    socket.close(plan.serverCode, "enough");
  }
  if (messages >= closesAt) void close();
}

/** Sends the next numbered message. Whatever an open socket is sent counts as accepted. */
function send({ record, plan, socket }: Visitor, labelOfNumber = serverLabel): void {
  if (socket.readyState !== socket.OPEN) return;
  const label = labelOfNumber(plan.id, record.sent.length);
  record.sent.push(label);
  socket.send(messageOf(label));
}

/** Joins or leaves a topic, publishes there without the own socket, and compares the results with what is known. */
function toggle(visitor: Visitor, topic: string): void {
  const { socket, topics } = visitor;
  const isOpen = socket.readyState === socket.OPEN;
  const isMember = topics.has(topic);
  const hasChanged = isMember ? socket.unsubscribe(topic) : socket.subscribe(topic);
  if (hasChanged !== isOpen) complain(`a change of topics returned ${hasChanged} on a socket in ${socket.readyState}`);
  if (isMember) topics.delete(topic);
  else topics.add(topic);
  publish(topic, visitor);
}

/** Publishes a numbered message, from the app or from a socket, which is left out then. */
function publish(topic: string, sender?: Visitor): void {
  const n = published.get(topic)!;
  published.set(topic, n + 1);
  const label = topicLabel(topic, n);
  const expected = visitors.filter(({ socket, topics }) =>
    topics.has(topic) && socket !== sender?.socket && socket.readyState === socket.OPEN
  );
  for (const { record } of expected) record.sent.push(label);
  const count = (sender?.socket ?? app).publish(topic, messageOf(label));
  if (count !== expected.length) complain(`${label} was published to ${count} sockets instead of ${expected.length}`);
}

let ticks = 0;
const ticker = setInterval(() => {
  ticks++;
  for (let at = ticks % TICK_STEP; at < visitors.length; at += TICK_STEP) send(visitors[at]!);
  if (setting.hasTopics) publish(TOPICS[ticks % TOPICS.length]!);
}, TICK_MS);

function state(): ServerState {
  const { connections, topics } = app.stats();
  return { sockets: app.sockets.size, connections, topics, busy, messages };
}

const control = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url!, `http://${host}`);
  response.setHeader("Connection", "close");
  response.end(JSON.stringify(state()));
  if (pathname !== "/close") return;
  closesAt = Number(searchParams.get("at"));
  if (messages >= closesAt) void close();
});

async function listen(server: Server): Promise<number> {
  await once(server.listen(0, host), "listening");
  return (server.address() as AddressInfo).port;
}

let other: Server | undefined;
/**
 * The connections of that server without a WebSocket handshake. The app has nothing to do with them, and the server has
 * to end them. `closeAllConnections` does not do that on Node and Deno before TLS has begun.
 */
const strangers = new Map<number | undefined, RawSocket>();

async function open(): Promise<number> {
  if (setting.isAttached) {
    // Handshakes that come once the app has closed are requests of this server, which has to respond to them.
    const respond: RequestListener = (_request, response) =>
      void response.writeHead(404, { Connection: "close" }).end();
    other = setting.isSecure ? createTlsServer({ key, cert }, respond) : createServer(respond);
    other.on("connection", (raw: RawSocket) => strangers.set(raw.remotePort, raw));
    other.on("upgrade", (_request, raw: RawSocket) => {
      strangers.delete(raw.remotePort);
      // The app has let go of the server, and this listener keeps node:http from responding.
      if (isAppClosing) raw.destroy();
    });
    app.attach(other);
    return await listen(other);
  }
  await app.listen({ port: 0, host });
  return app.address!.port;
}

async function close(): Promise<void> {
  if (isAppClosing) return;
  isAppClosing = true;
  closingFromMs = performance.now();
  clearInterval(ticker);
  control.close();
  other?.close();
  result = await app.close({ timeoutMs: Number(TIMEOUT_MS) });
  closedAtMs = performance.now();
  other?.closeAllConnections();
  for (const raw of strangers.values()) raw.destroy();
}

process.on("exit", () => {
  const records = visitors.map(({ record }) => record);
  const report: ServerReport = {
    records,
    state: state(),
    result,
    complaints,
    closingMs: closedAtMs - closingFromMs,
    exitingMs: performance.now() - closedAtMs,
  };
  writeFileSync(REPORT, JSON.stringify(report));
});

console.log(JSON.stringify([await open(), await listen(control)]));
