/**
 * SpaceNode and Express on one port: Express keeps its routes, and the app serves the WebSocket handshakes. Fastify
 * (with `fastify.server`) and Hono (with the server that its `serve` returns) work the same way. Start this program and
 * open the address that it prints:
 *
 *     node examples/express.ts        (or: deno run -A …, bun …)
 *
 * To try: open the page in two tabs and write some news. It goes to Express as an HTTP request and comes back to both
 * tabs over their WebSockets.
 */

import express from "express";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { createApp } from "../mod.ts";

const app = await createApp({ wsOrigins: "same-origin" });
app.ws("/news", (socket) => {
  socket.send("You will hear what is new here.");
});

const site = express();
site.get("/", (_req, res) => void res.type("html").send(PAGE));
// A route of Express can send to every socket of the app.
site.post("/news", express.text(), (req, res) => {
  for (const socket of app.sockets) socket.send(String(req.body));
  res.json({ told: app.sockets.size });
});

const PAGE = `<!doctype html>
<title>Beside Express</title>
<form id="form"><input id="news" placeholder="What is new?" autofocus> <button>Tell everyone</button></form>
<ul id="list"></ul>
<script>
  const socket = new WebSocket("/news");
  socket.onmessage = ({ data }) => list.append(Object.assign(document.createElement("li"), { textContent: data }));
  form.onsubmit = (event) => {
    event.preventDefault();
    const body = document.querySelector("#news").value;
    fetch("/news", { method: "POST", headers: { "Content-Type": "text/plain" }, body });
  };
</script>
`;

const server = createServer(site);
app.attach(server);
server.listen(Number(process.env.PORT ?? 3000), () => {
  console.log(`Express and WebSockets at http://localhost:${(server.address() as AddressInfo).port}`);
});

// `app.close` closes the sockets of the app. The server is not the app's, so it is closed here.
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    server.close();
    void app.close();
  });
}
