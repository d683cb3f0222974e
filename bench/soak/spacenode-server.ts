/**
 * SpaceNode as it is soaked. SOAK_HEARTBEAT_MS is the interval of its Pings. SOAK_LEAK names a fault that this file has
 * then on purpose, so that everybody can see that the soak finds it.
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { createApp, type Socket } from "../../mod.ts";
import { announce, track } from "./sample.ts";
import { BURST_BYTES, type Leak } from "./traffic.ts";

const heartbeatMs = Number(process.env.SOAK_HEARTBEAT_MS ?? 30_000);
const app = await createApp({
  logger: false,
  heartbeat: { intervalMs: heartbeatMs, timeoutMs: 60_000 + heartbeatMs },
  // A machine that stands still for ten seconds is not what the soak is about.
  handshakeTimeoutMs: 60_000,
  // Less than the load's longest burst, so that a client that does not read is closed with 1013.
  maxBufferedBytes: 4 * 1024 * 1024,
});

const kept: unknown[] = [];
const leaks: Record<Leak, (socket: Socket) => void> = {
  sockets: (socket) => kept.push(socket),
  memory: () => kept.push(Buffer.alloc(8 * 1024, 1)),
  timers: () => kept.push(setInterval(() => {}, 60_000)),
  listeners: () => process.on("SIGUSR2", () => {}),
};
const leak = leaks[process.env.SOAK_LEAK as Leak];

const block = Buffer.alloc(BURST_BYTES, "x");

/** Does what the first word of a message says; see `traffic.ts`. */
function obey(socket: Socket, data: string | Buffer): void {
  const [word, name] = typeof data === "string" ? data.slice(0, 64).split(" ", 2) : [];
  switch (word) {
    case "join":
      socket.subscribe(name);
      break;
    case "leave":
      socket.unsubscribe(name);
      break;
    case "say":
      app.publish(name, data);
      break;
    case "burst":
      for (let count = Number(name); count > 0 && socket.readyState === socket.OPEN; count--) socket.send(block);
      return;
    case "close":
      return socket.close(1000);
    case "cut":
      return socket.terminate();
  }
  socket.send(data);
}

function serve(socket: Socket): void {
  track(socket);
  socket.on("message", (data) => obey(socket, data));
  if (leak) socket.on("close", () => leak(socket));
}

app
  .ws("/plain", serve)
  .ws("/packed", { compression: true }, serve)
  .ws("/window", { compression: { contextTakeover: true } }, serve);

const EVENTS = ["message", "close", "error", "ping", "pong", "drain"] as const;

await app.listen({ port: 0, host: "127.0.0.1" });
announce(app.address!.port, {
  counts() {
    const { connections, topics, accepted } = app.stats();
    let listeners = 0;
    for (const socket of app.sockets) for (const event of EVENTS) listeners += socket.listenerCount(event);
    return { connections, topics, accepted, listeners };
  },
  close: () => app.close(),
});
