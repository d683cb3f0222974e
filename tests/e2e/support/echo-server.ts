/**
 * A program for tests with a browser: a server whose routes echo, close, ping and refuse. It prints its address once it
 * listens.
 */

import process from "node:process";
import { createApp, HttpError } from "../../../mod.ts";

/** The `close` event of a socket of the server. */
interface Closed {
  code: number;
  reason: string;
  wasClean: boolean;
}

const closes = new Map<string, PromiseWithResolvers<Closed>>();

/** The close of the socket with this id. The socket and the request for it may come in either order. */
function closeOf(id: string): PromiseWithResolvers<Closed> {
  const close = closes.get(id) ?? Promise.withResolvers<Closed>();
  closes.set(id, close);
  return close;
}

const app = await createApp({ maxMessageBytes: 2 * 1024 * 1024, logger: false });

app.get("/", () => new Response("<!doctype html><title>echo</title>", { headers: { "content-type": "text/html" } }));
app.get("/closes/:id", (req) => closeOf(req.params.id!).promise);

app.ws("/echo/:id", (socket, req) => {
  socket.on("message", (data) => socket.send(data));
  socket.on("close", (code, reason, wasClean) => closeOf(req.params.id!).resolve({ code, reason, wasClean }));
});
app.ws("/close", (socket, req) => {
  const code = Number(req.query.get("code"));
  socket.send("before");
  socket.close(code, req.query.get("reason") ?? "");
});
app.ws("/terminate", (socket) => socket.on("message", () => socket.terminate()));
app.ws("/ping", (socket) => {
  socket.on("pong", (payload) => socket.send(`pong ${payload}`));
  socket.ping("are you there?");
});
app.ws("/small", { maxMessageBytes: 1_000 }, (socket) => socket.on("message", () => {}));
app.ws("/chat", { subprotocols: ["v2.chat", "v1.chat"] }, (socket) => socket.send(socket.protocol));
app.ws("/account", {
  upgrade: ({ headers: { cookie } }, _services, answer) => {
    if (!cookie?.includes("session=ada")) throw new HttpError(401, "Please log in");
    answer.headers.append("Set-Cookie", "seen=yes; Path=/");
    return { name: "Ada" };
  },
}, (socket) => socket.send(`Hello, ${socket.data.name}`));
app.ws("/ours", { wsOrigins: "same-origin" }, (socket) => socket.send("welcome"));

await app.listen({ port: Number(process.env.PORT ?? 0), host: "127.0.0.1" });
console.log(app.url);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void app.close());
