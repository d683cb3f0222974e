/** Finds out what the page on Socket.IO says of it. */
import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { Server } from "socket.io";
import { io as connectTo } from "socket.io-client";
import { next, openWire, tell } from "./wire.js";

const facts = {};
const http = createServer().listen(0);
await once(http, "listening");
const { port } = http.address();
const io = new Server(http, { cors: { origin: "https://mysite.com" } });

const { pingInterval, pingTimeout, maxHttpBufferSize, transports, perMessageDeflate = false } = io.engine.opts;
facts.defaults = { pingInterval, pingTimeout, maxHttpBufferSize, transports, perMessageDeflate };
facts.recovery = io.opts.connectionStateRecovery ?? false;

async function connect() {
  const client = connectTo(`http://127.0.0.1:${port}`, { transports: ["websocket"], forceNew: true });
  const [[theirs]] = await Promise.all([once(io, "connection"), once(client, "connect")]);
  return { theirs, client };
}

const { theirs, client } = await connect();
const { io: manager } = client;
facts.reconnection = [manager.reconnectionDelay(), manager.reconnectionDelayMax(), manager.randomizationFactor()];
theirs.join("tea");
const heard = [];
client.on("x", (value) => heard.push(value));
facts.emitReturns = [
  theirs.emit("x", "socket.emit"),
  io.to("tea").emit("x", "io.to"),
  theirs.to("tea").emit("x", "to"),
];
theirs.on("ask", (value, answer) => answer(value + 1));
facts.acknowledgement = await client.emitWithAck("ask", 1);
facts.heard = heard;
facts.binary = await new Promise((resolve) => {
  theirs.on("binary", ({ bytes }) => resolve(bytes.constructor.name));
  client.emit("binary", { bytes: new Uint8Array(3) });
});

const longMessage = once(theirs, "disconnect");
client.emit("binary", { bytes: new Uint8Array(maxHttpBufferSize + 1) });
const [reason] = await longMessage;
facts.tooLong = { reason, rooms: theirs.rooms.size };
client.disconnect();
client.emit("kept", 1);
facts.keptWhileAway = client.sendBuffer.length;

const path = "/socket.io/?EIO=4&transport=websocket";
const slow = once(io, "connection");
const { wire } = await openWire(port, { path });
wire.write(Uint8Array.of(0x81, 0x82, 0, 0, 0, 0, ...Buffer.from("40"))); // the packet that connects
const [reader] = await slow;
const results = Array.from({ length: 50 }, () => reader.emit("x", "x".repeat(1024 * 1024)));
const waits = () => reader.conn.transport.socket.bufferedAmount > 40 * 1024 * 1024;
while (!waits()) await wait(1);
facts.slowReader = { emitReturns: [...new Set(results)], isConnected: reader.connected };
wire.destroy();

const ofOtherPage = new WebSocket(`ws://127.0.0.1:${port}${path}`, {
  headers: { Origin: "https://a.example" },
});
await next(ofOtherPage, "open");
facts.anyOrigin = true;
const plain = new WebSocket(`ws://127.0.0.1:${port}/rooms/tea`);
await next(plain, "error");
facts.plainWebSocket = "refused";

const second = await connect();
second.theirs.on("throw", () => {
  throw new Error("of a listener");
});
const exception = once(process, "uncaughtException");
second.client.emit("throw");
facts.exception = (await exception)[0].message;
tell(facts);
