/**
 * A program for Node: three workers of node:cluster, each with an app, at one port. It prints the port once all of them
 * listen, and ends on SIGTERM.
 */

import cluster from "node:cluster";
import process from "node:process";
import { createApp } from "../../mod.ts";

const WORKERS = 3;

function fork(): void {
  const workers = Array.from({ length: WORKERS }, () => cluster.fork());
  let listening = 0;
  cluster.on("listening", (_worker, { port }) => {
    if (++listening === WORKERS) console.log(port);
  });
  process.once("SIGTERM", () => {
    for (const { process: { pid } } of workers) process.kill(pid!, "SIGTERM");
  });
}

async function work(): Promise<void> {
  const app = await createApp({ logger: false });
  app.ws("/", (socket) => {
    socket.send(String(process.pid));
  });
  // node:cluster gives the same free port to all workers that listen at port 0.
  await app.listen({ port: 0, host: "127.0.0.1" });
  process.once("SIGTERM", async () => {
    await app.close();
    process.disconnect!();
  });
}

if (cluster.isPrimary) fork();
else await work();
