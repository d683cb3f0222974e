/**
 * A program for tests of compression: a server in a process of its own, so that its memory can be measured. OPTIONS is
 * JSON with the options of the app, which compresses by default. The program prints its address once it listens.
 */

import process from "node:process";
import { createApp, type Socket, type SocketOptions } from "../../mod.ts";

const app = await createApp({ logger: false, compression: true, ...JSON.parse(process.env.OPTIONS ?? "{}") });

const closes: Record<string, number> = {};
let messages = 0;

function count(socket: Socket): void {
  socket.on("message", () => void messages++);
  socket.on("close", (code) => closes[code] = (closes[code] ?? 0) + 1);
}

app.get(
  "/",
  () => new Response("<!doctype html><title>compression</title>", { headers: { "content-type": "text/html" } }),
);

/** Reports the most memory that the process has had, its messages, and its closed sockets by close code. */
app.get(
  "/report",
  () => ({ peakBytes: process.resourceUsage().maxRSS * 1024, messages, closes, sockets: app.sockets.size }),
);

app.ws("/count", count);
const echoes: Record<string, SocketOptions> = {
  "/echo": {},
  "/off": { compression: false },
  "/takeover": { compression: { contextTakeover: true } },
  "/small": { compression: { contextTakeover: true, serverMaxWindowBits: 9, clientMaxWindowBits: 9 } },
};
for (const [path, options] of Object.entries(echoes)) {
  app.ws(path, options, (socket) => {
    count(socket);
    socket.on("message", (data) => socket.send(data));
  });
}
/** Sends messages that keep zlib busy. */
app.ws("/busy", (socket) => {
  count(socket);
  for (let i = 0; i < 20; i++) socket.send(`${i} `.repeat(200_000));
});

await app.listen({ port: Number(process.env.PORT ?? 0), host: "127.0.0.1" });
console.log(app.url);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void app.close());
