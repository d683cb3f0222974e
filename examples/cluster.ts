/**
 * Several processes at one port, joined by a broker: a message that one process gets reaches the clients of all
 * processes. Start a Redis or a NATS server, start this program with the address of that server, and open the address
 * that this program prints in several tabs:
 *
 *     node examples/cluster.ts redis://localhost:6379        (or: deno run -A …, bun …; or: nats://localhost:4222)
 *
 * To try: say something in one tab, and all tabs show it, whichever process serves them. Kill one of the processes: a
 * new one replaces it.
 *
 * PROCESSES sets the number of processes. By default there is one per core. Linux spreads the connections over the
 * processes, because all of them listen with `reusePort`. On other systems, node:cluster can spread them under Node:
 * its workers listen as if each were alone.
 */

import { connect } from "@nats-io/transport-node";
import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import process from "node:process";
import { createClient } from "redis";
import { type Broker, createApp, HttpError, isTopic, natsBroker, redisBroker } from "../mod.ts";

const [brokerAddress = "redis://localhost:6379", role = "parent"] = process.argv.slice(2);
if (role === "worker") await work();
else await startWorkers(Number(process.env.PROCESSES ?? availableParallelism()));

async function work(): Promise<void> {
  const { broker, end } = openBroker(new URL(brokerAddress));
  const app = await createApp({ broker, wsOrigins: "same-origin" });

  app.ws("/rooms/:room", { upgrade: roomOf }, (socket) => {
    const room = socket.data;
    socket.subscribe(room, { presence: process.pid });
    socket.send(`You are served by process ${process.pid}`);
    // The message goes to everyone in the room, in all processes.
    socket.on("message", (text) => app.publish(room, `${process.pid}: ${text}`));
  });
  app.get("/rooms/:room", (req) => app.presence(roomOf(req)).map(({ data }) => data));
  app.get("/", () => new Response(PAGE, { headers: { "Content-Type": "text/html; charset=utf-8" } }));

  await app.listen({ port: Number(process.env.PORT ?? 3000), reusePort: true });
  process.send?.(app.address?.port);

  let closing: Promise<void> | undefined;
  const close = (): Promise<void> =>
    closing ??= (async () => {
      await app.close();
      await end();
      if (process.connected) process.disconnect?.();
    })();
  process.once("SIGTERM", close);
  // In a terminal, Ctrl+C signals the parent and the workers. A worker ignores it and waits for the parent's SIGTERM.
  process.on("SIGINT", () => {});
  // A worker whose parent has died gets no SIGTERM, so it closes by itself.
  process.once("disconnect", close);
}

/** The room that a client asks for. Some names cannot be the name of a topic. */
function roomOf({ params: { room } }: { params: { room: string } }): string {
  if (!isTopic(room)) throw new HttpError(404, "There is no such room");
  return room;
}

/** Makes the broker. `end` closes the client that the broker was made with. */
function openBroker({ protocol, host, href }: URL): { broker: Broker; end: () => Promise<void> } {
  if (protocol === "nats:") {
    const connecting = connect({ servers: host, waitOnFirstConnect: true, maxReconnectAttempts: -1 });
    return { broker: natsBroker(connecting), end: async () => await (await connecting).drain() };
  }
  // The broker makes connections of its own with the settings of this client, which itself never connects.
  return { broker: redisBroker(createClient({ url: href })), end: () => Promise.resolve() };
}

async function startWorkers(count: number): Promise<void> {
  const workers = new Set<ChildProcess>();
  let isEnding = false;

  /** Starts a process, and starts another one when it dies. Resolves to the port of the process. */
  function start(port?: number): Promise<number> {
    const env = { ...process.env, ...(port !== undefined && { PORT: String(port) }) };
    const worker = fork(import.meta.filename, [brokerAddress, "worker"], { env });
    workers.add(worker);
    const listening = new Promise<number>((resolve) => worker.once("message", resolve));
    worker.once("exit", async () => {
      workers.delete(worker);
      if (!isEnding) void start(await listening);
    });
    return listening;
  }

  // The first process takes the port, which may be any free one. The others share the port.
  const port = await start();
  await Promise.all(Array.from({ length: count - 1 }, () => start(port)));
  console.log(`${count} processes at http://localhost:${port}, joined by ${brokerAddress}`);

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      isEnding = true;
      for (const { pid } of workers) process.kill(pid!, "SIGTERM");
    });
  }
}

const PAGE = `<!doctype html>
<title>A cluster</title>
<form id="form"><input id="text" placeholder="Say something" autofocus></form>
<ul id="heard"></ul>
<script>
  const socket = new WebSocket("/rooms/tea");
  socket.onmessage = ({ data }) => heard.append(Object.assign(document.createElement("li"), { textContent: data }));
  form.onsubmit = (event) => {
    event.preventDefault();
    socket.send(text.value);
    form.reset();
  };
</script>
`;
