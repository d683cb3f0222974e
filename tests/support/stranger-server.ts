/**
 * A program for tests of hostile peers: a server with default options in a process of its own, which has no handler of
 * uncaught exceptions. Its routes are those of an application that trusts nobody, and that asks for every feature a
 * stranger may misuse. The program prints its address once it listens.
 */

import process from "node:process";
import { createApp, type SocketOptions } from "../../mod.ts";
import { usedBytes } from "./memory.ts";

/** What the server tells about itself at `/report`. */
export interface StrangerReport {
  /** The most memory that the process has had at any moment since the last report: its resident set. */
  readonly peakBytes: number;
  /** The memory that is in use after a collection, on the heap and beside it. */
  readonly usedBytes: number;
  readonly rssBytes: number;
  readonly sockets: number;
  readonly topics: number;
}

const app = await createApp({ logger: false });

const echoes: Record<string, SocketOptions> = {
  "/": {},
  "/deflate": { compression: true },
  "/takeover": { compression: { contextTakeover: true } },
};
for (const [path, options] of Object.entries(echoes)) {
  app.ws(path, options, (socket) => void socket.on("message", (data) => socket.send(data)));
}
/** Nobody listens to the messages. */
app.ws("/deaf", () => {});
/** What is not done before it is asked for at `/release`: a handler, whose messages wait, a hook and a controller. */
let pending = Promise.withResolvers<void>();
app.ws("/pending", () => pending.promise);
app.ws("/hook", { upgrade: () => pending.promise }, () => {});
app.get("/never", () => pending.promise);
app.get("/release", () => {
  pending.resolve();
  pending = Promise.withResolvers();
  return "released";
});
app.ws("/topics", (socket) => void socket.on("message", (topic) => void socket.subscribe(`${topic}`)));
app.ws("/publish", (socket) => {
  socket.subscribe("news");
  socket.on("message", (data) => void app.publish("news", data));
});
app.ws("/close", (socket) => void socket.on("message", () => socket.close(1000)));
app.get("/large", () => "x".repeat(10_000));
app.post("/body", async (request) => (await request.bytes()).length);
app.post("/unread", () => "unread");

const SAMPLE_MS = 10;
let peakBytes = 0;
const sample = (): void => void (peakBytes = Math.max(peakBytes, process.memoryUsage.rss()));
setInterval(sample, SAMPLE_MS);

app.get("/report", async (): Promise<StrangerReport> => {
  sample();
  const peak = peakBytes;
  const used = await usedBytes();
  peakBytes = 0;
  return {
    peakBytes: peak,
    usedBytes: used,
    rssBytes: process.memoryUsage.rss(),
    sockets: app.sockets.size,
    topics: app.stats().topics,
  };
});

await app.listen({ port: 0, host: "127.0.0.1" });
console.log(app.url);
