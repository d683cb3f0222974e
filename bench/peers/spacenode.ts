/** SpaceNode with its defaults; only the limits on size are raised, and under compression small messages are compressed too. */
import process from "node:process";
import type { Socket } from "../../mod.ts";
import { announce, deflate, LIMIT_BYTES } from "./support.ts";

/** What users get: from npm, for Node and Bun, JavaScript that is built from the sources; from JSR, for Deno, the sources. Types that have to be stripped cost memory. */
const entry = "Deno" in globalThis ? "mod.ts" : "dist/mod.js";
const folder = process.env.BENCH_SPACENODE ?? new URL("../../", import.meta.url).href;
const { createApp } = await import(new URL(entry, folder).href) as typeof import("../../mod.ts");

const { mode, level, memLevel, contextTakeover, windowBits } = deflate;
const app = await createApp({
  maxMessageBytes: LIMIT_BYTES,
  maxBufferedBytes: LIMIT_BYTES,
  logger: false,
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
  .ws("/publish", (socket) => {
    socket.subscribe("all");
    socket.on("message", (data) => app.publish("all", data));
  });

await app.listen({ port: 0, host: "127.0.0.1" });
announce(app.address!.port);
