/**
 * Beside Express, on one port: Express keeps its routes, and the app answers the WebSocket handshakes. Fastify (`fastify.server`) and Hono (the server that its
 * `serve` returns) work the same way. Start it and open the address it prints:
 *
 *     node examples/express.ts        (or: deno run -A …, bun …)
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
// An Express route reaches every socket.
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

// The app says goodbye to its sockets and lets go of the server, which stays ours to close.
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    server.close();
    void app.close();
  });
}
