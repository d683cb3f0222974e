/**
 * SpaceNode with its defaults, except that the limits on size are raised, and that small messages are compressed, too,
 * when compression is on. The environment variable BENCH_SPACENODE is the file URL of another checkout to run instead
 * of this one.
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import type { Socket, TopicMessage, TopicNotice } from "../../mod.ts";
import { historyPage, validate } from "./history-page.ts";
import { announce, deflate, HOST, LIMIT_BYTES, place, tls } from "./support.ts";
import { topicNames, topicOf } from "./topic-map.ts";

/**
 * Users of Node and Bun get the built JavaScript from npm, and users of Deno get the sources from JSR. A runtime that
 * has to strip types itself needs more memory, so each one runs what its users run.
 */
const entry = "Deno" in globalThis ? "mod.ts" : "dist/mod.js";
const folder = process.env.BENCH_SPACENODE ?? new URL("../../", import.meta.url).href;
const { createApp } = await import(new URL(entry, folder).href) as typeof import("../../mod.ts");

const { mode, level, memLevel, contextTakeover, windowBits } = deflate;
const app = await createApp({
  maxMessageBytes: LIMIT_BYTES,
  maxBufferedBytes: LIMIT_BYTES,
  logger: false,
  ...(tls && { tls }),
  ...(mode !== "off" && {
    compression: {
      threshold: 0,
      level,
      memLevel,
      contextTakeover,
      serverMaxWindowBits: windowBits,
      clientMaxWindowBits: windowBits,
    },
  }),
});

const clients = new Set<Socket>();
const { BENCH_READ: reading, BENCH_REPLY: replying, BENCH_HISTORY: kept, BENCH_TYPED: typed } = process.env;

function frameOf(content: TopicMessage | TopicNotice): string | Uint8Array {
  return "recovered" in content ? "" : content.data;
}

/** What a handler does by hand that a route with schemas does for it. */
function echoPage(socket: Socket, text: string | Uint8Array): void {
  const result = validate(JSON.parse(text as string));
  if (result.issues === undefined) socket.send(JSON.stringify(result.value));
  else socket.close(1007, "This is no page");
}

function addTypedRoute(): void {
  try {
    app.ws("/typed", { message: historyPage, reply: historyPage }, (socket) => {
      socket.on("message", (page) => socket.send(page));
    });
  } catch (error) {
    // Another checkout may have no schemas yet. Its other cells can be measured all the same.
    if (process.env.BENCH_SPACENODE === undefined) throw error;
  }
}

async function echoStream(socket: Socket): Promise<void> {
  const reader = socket.readable.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    socket.send(value);
  }
}

app
  .ws("/echo", (socket) => {
    socket.on("message", (data) => socket.send(data));
  })
  .ws("/text", (socket) => {
    socket.on("message", (data) => socket.send(data));
  })
  .ws("/fan", (socket) => {
    clients.add(socket);
    socket.on("close", () => clients.delete(socket));
    socket.on("message", (data) => {
      for (const client of clients) if (client.readyState === 1) client.send(data);
    });
  })
  .ws("/read", async (socket) => {
    if (reading === "loop") {
      for await (const data of socket) socket.send(data);
    } else if (reading === "stream") {
      await echoStream(socket);
    } else if (reading === "pipe") {
      await socket.readable.pipeTo(socket.writable);
    } else {
      socket.on("message", (data) => socket.send(data));
    }
  })
  .ws("/reply", (socket) => {
    if (replying === "fresh") socket.on("message", (data) => socket.send(Buffer.from(data as Buffer)));
    else socket.on("message", (data) => socket.send(data));
  })
  .ws("/topics/:socket", (socket, { params }) => {
    for (const name of topicNames(Number(params.socket))) socket.subscribe(name);
    socket.on("message", (text) => app.publish(topicOf(text as string), text));
  })
  .ws("/history", async (socket) => {
    socket.on("message", (data) => app.publish("all", data));
    if (kept === "followed") return void await socket.follow("all");
    socket.subscribe("all");
    socket.send("");
  })
  .ws("/publish", (socket) => {
    socket.subscribe("all");
    socket.on("message", (data) => app.publish("all", data));
  });

if (typed === "untyped") {
  app.ws("/typed", (socket) => void socket.on("message", (text) => socket.send(text)));
} else if (typed === "by-hand") {
  app.ws("/typed", (socket) => void socket.on("message", (text) => echoPage(socket, text)));
} else {
  addTypedRoute();
}

if (kept === "declared") app.topic("other/*", { history: true }).topic("elsewhere", { history: true });
// Followers get the messages as they were published, so that all are measured with the same bytes.
else if (kept !== undefined) app.topic("all", { history: { frame: frameOf } });

await app.listen({ host: HOST, ...place });
announce(app.address!.port);
