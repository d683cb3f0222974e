/** Finds out what the page on `ws` says of it. */
import { once } from "node:events";
import { WebSocketServer } from "ws";
import { inboxOf, next, open, openWire, tell } from "./wire.js";

const facts = {};
const server = new WebSocketServer({ port: 0 });
await once(server, "listening");
const { port } = server.address();

const { maxPayload, perMessageDeflate, closeTimeout, maxFragments } = server.options;
facts.defaults = { maxPayload, perMessageDeflate, closeTimeout, maxFragments };

async function connect() {
  const [[theirs], client] = await Promise.all([
    once(server, "connection"),
    open(port, { Origin: "https://a.example" }),
  ]);
  return { theirs, client };
}

const { theirs, client } = await connect();
facts.anyOrigin = true;
client.send("early");
theirs.ping();
await once(theirs, "pong"); // The message has come before this, when there was no listener.
const messages = [];
theirs.on("message", (data, isBinary) => messages.push([data.constructor.name, String(data), isBinary]));
client.send("text");
client.send(new Uint8Array(1));
while (messages.length < 2) await once(theirs, "message");
facts.messages = messages;

const hear = inboxOf(client);
facts.sendReturns = String(theirs.send(5));
facts.numberArrivesAs = await hear();

const closed = Promise.all([once(theirs, "close"), next(client, "close")]);
theirs.close();
const [[, reason], { code }] = await closed;
facts.close = { code, reason: reason.constructor.name };
facts.sendAfterClose = await new Promise((resolve) => theirs.send("late", ({ message }) => resolve(message)));

const tooLong = await connect();
tooLong.theirs.on("error", () => {});
tooLong.client.send(new Uint8Array(maxPayload + 1));
facts.tooLong = (await next(tooLong.client, "close")).code;

const [[slow], { wire: slowWire }] = await Promise.all([once(server, "connection"), openWire(port)]);
for (let i = 0; i < 50; i++) slow.send(new Uint8Array(1024 * 1024));
facts.slowReader = { waits: slow.bufferedAmount > 40 * 1024 * 1024, readyState: slow.readyState };
slowWire.destroy();

const second = await connect();
const hearMore = inboxOf(second.client);
server.close();
second.theirs.send("still here");
facts.afterServerClose = await hearMore();

const other = new WebSocketServer({ port: 0 });
await once(other, "listening");
other.on("connection", (socket) =>
  socket.on("message", () => {
    throw new Error("of a listener");
  }));
const uncaught = () => once(process, "uncaughtException").then(([{ message }]) => message);
const exception = uncaught();
const third = await open(other.address().port);
third.send("x");
facts.exception = await exception;
const fault = uncaught();
const { wire } = await openWire(other.address().port);
wire.write(Uint8Array.of(0x81, 0x01, 0x41)); // a frame without a mask
facts.faultWithoutListener = await fault;
tell(facts);
