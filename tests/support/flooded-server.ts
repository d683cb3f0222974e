/**
 * A program for tests of fairness: a server in a process of its own, for a client that floods it and a client that
 * waits meanwhile. On `/flood` the server counts messages and Pings. On `/echo` it replies to each message with the
 * count since the last reply. OPTIONS is JSON with the options of the app. The program prints its address once it
 * listens.
 */

import process from "node:process";
import { createApp } from "../../mod.ts";

const app = await createApp({ logger: false, ...JSON.parse(process.env.OPTIONS ?? "{}") });
let count = 0;

app.ws("/flood", (socket) => {
  socket.on("message", (data) => {
    count++;
    socket.send(data);
  });
  socket.on("ping", () => void count++);
});
app.ws("/echo", (socket) => {
  socket.on("message", () => {
    socket.send(`${count}`);
    count = 0;
  });
});

await app.listen({ port: 0, host: "127.0.0.1" });
console.log(app.url);
