/**
 * A chat for the browser. It shows rooms, the people in a room, and who is typing. Start this program and open the
 * address that it prints:
 *
 *     npm ci                              (esbuild makes JavaScript of the client for the page)
 *     node examples/chat/server.ts        (or: deno run -A …, bun …)
 *
 * PORT sets the port; the default is 3000. With HOST=0.0.0.0, other devices in your network can join.
 *
 * To try: open the page in two tabs, write in both, and stop this program and start it again while you write. Or switch
 * the network of a phone off for a minute while somebody else writes.
 */

import { transformSync } from "esbuild";
import { readdir, readFile } from "node:fs/promises";
import process from "node:process";
import { createApp } from "../../mod.ts";
import { LIMITS } from "./protocol.ts";
import { HISTORY, MAX_ROOMS, Rooms } from "./rooms.ts";
import { receiveVisitor } from "./visitor.ts";

const PUBLIC = new URL("public/", import.meta.url);

/**
 * The client of SpaceNode, which the page imports. Here, its TypeScript becomes JavaScript for the page. A project of
 * yours has the JavaScript in node_modules: `await readFile(new URL(import.meta.resolve("spacenode/client")))`.
 */
const CLIENT = transformSync(await readFile(new URL("../../src/client/client.ts", import.meta.url)), { loader: "ts" });

const CONTENT_TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

const HEADERS = {
  "cache-control": "no-cache",
  // The page loads everything from this server, and no text that a person writes can run as a script.
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

const base = await createApp({ wsOrigins: "same-origin", maxConnections: 1_000, maxHistoryTopics: MAX_ROOMS });
base.topic("room/*", { history: HISTORY });
const app = base.service("rooms", new Rooms(base));

app.get("/", () => serveFile("index.html"));
for (const file of await readdir(PUBLIC)) app.get(`/${file}`, () => serveFile(file));
app.get("/spacenode/client.js", () => serve("client.js", CLIENT.code));
app.ws("/chat/:room", { maxMessageBytes: LIMITS.messageBytes, textHeartbeat: true }, receiveVisitor);

await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? "127.0.0.1" });
console.log(`The chat is open: ${app.url}`);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void app.close());
}

async function serveFile(file: string): Promise<Response> {
  return serve(file, await readFile(new URL(file, PUBLIC)));
}

function serve(file: string, body: BodyInit): Response {
  const extension = file.slice(file.lastIndexOf(".") + 1);
  return new Response(body, { headers: { ...HEADERS, "content-type": CONTENT_TYPES[extension] } });
}
