/**
 * A server in a process of its own, for one that floods it and one that has to wait meanwhile. Options of the app come as JSON in OPTIONS. On `/flood` it counts messages and Pings;
 * on `/echo` it answers each message with how many of those it has had since the answer before. Prints its address once it listens.
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
