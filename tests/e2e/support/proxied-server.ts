/**
 * A program for tests with proxies: an app that proxies are in front of. It listens at a port and at the unix socket
 * SOCKET_PATH, and prints its address once it does. HEARTBEAT is JSON with the option `heartbeat`.
 */

import process from "node:process";
import { type App, type AppRequest, createApp } from "../../../mod.ts";

/** The client, as the app sees it. */
export interface Identity {
  readonly ip: string;
  readonly protocol: string;
  readonly host: string;
}

const heartbeat = JSON.parse(process.env.HEARTBEAT!);

async function makeApp(): Promise<App> {
  const app = await createApp({ trustProxy: 1, compression: true, heartbeat, logger: false });
  app.topic("numbers", { history: { size: 10_000 } });

  const identityOf = ({ ip, protocol, host }: AppRequest): Identity => ({ ip, protocol, host });
  const page = "<!doctype html><title>proxied</title>";
  app.get("/", () => new Response(page, { headers: { "content-type": "text/html" } }));
  app.get("/who", identityOf);
  app.ws("/who", (socket, req) => socket.send(JSON.stringify({ ...identityOf(req), ip: socket.remoteAddress })));
  app.ws("/echo", (socket) => socket.on("message", (data) => socket.send(data)));
  app.ws("/chat", { subprotocols: ["v2.chat", "v1.chat"] }, (socket) => socket.send(socket.protocol));
  app.ws("/ours", { wsOrigins: "same-origin" }, (socket) => socket.send("welcome"));
  app.ws("/close", (socket) => {
    socket.send("before");
    socket.close(4001, "the end");
  });
  app.ws("/numbers", (socket, req) => socket.follow("numbers", { since: req.query.get("since") }));

  let next = 0;
  setInterval(() => void app.append("numbers", String(next++)), 5);
  return app;
}

await (await makeApp()).listen({ path: process.env.SOCKET_PATH! });
const app = await makeApp();
await app.listen({ port: 0, host: "127.0.0.1" });
console.log(app.url);
process.once("SIGTERM", () => process.exit());
