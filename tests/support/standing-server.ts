/**
 * A program for tests of a process that stands still: servers in a process of their own. OPTIONS is JSON with the
 * options of all apps but the first. The program prints the ports of its apps as one line of JSON:
 *
 * - `control`: a message to its only route blocks the process for that many milliseconds, as a handler that computes
 *   does. The program prints `still` when the block begins.
 * - `main`: its routes echo; `/close` closes a socket that has sent a message, and a POST gets its body back.
 * - `ending`: a message closes the app, with the time that the message says.
 *
 * Each end of a WebSocket connection is printed as its path and its close code.
 */

import process from "node:process";
import { type App, createApp, type Socket } from "../../mod.ts";

const options = JSON.parse(process.env.OPTIONS ?? "{}");
const control = await createApp({ logger: false });
const main = await createApp({ logger: false, ...options });
const ending = await createApp({ logger: false, ...options });

function block(ms: number): void {
  console.log("still");
  for (const endMs = performance.now() + ms; performance.now() < endMs;) { /* The process computes. */ }
}

/** Adds a route whose sockets print their end. */
function addRoute(app: App, path: string, onMessage: (socket: Socket, data: string) => void): void {
  app.ws(path, (socket) => {
    socket.on("message", (data) => onMessage(socket, `${data}`));
    socket.on("close", (code, _reason, wasClean) => console.log(`${path} ${code} ${wasClean ? "clean" : "not clean"}`));
  });
}

addRoute(control, "/", (_socket, data) => block(Number(data)));
for (const path of ["/", "/silent"]) addRoute(main, path, (socket, data) => void socket.send(data));
addRoute(main, "/close", (socket) => socket.close(1000));
addRoute(ending, "/end", (_socket, data) => void ending.close({ timeoutMs: Number(data) }));
main.post("/body", async (request) => await request.text());

const apps = { control, main, ending };
for (const app of Object.values(apps)) await app.listen({ port: 0, host: "127.0.0.1" });
console.log(
  JSON.stringify(Object.fromEntries(Object.entries(apps).map(([name, { address }]) => [name, address!.port]))),
);
