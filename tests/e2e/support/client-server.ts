/**
 * A program for tests of the client in a browser: an echo, a room with a history, and logins that expire. It prints its
 * address once it listens.
 */

import process from "node:process";
import { createApp } from "../../../mod.ts";

const app = await createApp({ logger: false });

app.get("/", () => new Response("<!doctype html><title>client</title>", { headers: { "content-type": "text/html" } }));

app.ws("/echo", { textHeartbeat: true }, (socket) => {
  socket.on("message", (data) => socket.send(data));
});

app.topic("room/*", { history: true });
app.ws("/rooms/:room", { textHeartbeat: true }, async (socket, req) => {
  await socket.follow(`room/${req.params.room}`, { since: req.query.get("since") });
});
app.post("/rooms/:room", async (req) => ({ id: await app.append(`room/${req.params.room}`, await req.text()) }));
app.get("/connections", () => ({ open: app.sockets.size }));

// A login is good until somebody ends it. The client of the test counts its tokens.
const ended = new Set<string>();
app.ws("/account", (socket, req) => {
  const token = req.query.get("token") ?? "";
  socket.data = token;
  if (ended.has(token)) socket.close(4001, "The token has expired");
  else socket.send(`Hello, ${token}`);
});
app.post("/expire/:token/:code", ({ params: { token, code } }) => {
  ended.add(token);
  for (const socket of app.sockets) if (socket.data === token) socket.close(Number(code), "The token has expired");
});

await app.listen({ port: Number(process.env.PORT ?? 0), host: "127.0.0.1" });
console.log(app.url);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void app.close());
