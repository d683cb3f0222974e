/** Finds out what the page on Deno.upgradeWebSocket says of it. */
import { inboxOf, next, open, openWire, tell } from "./wire.js";

const facts = { messages: [], closes: [], errors: [] };
let theirs;
const { promise: exception, resolve: tellException } = Promise.withResolvers();
const server = Deno.serve({ port: 0, onListen() {} }, (req) => {
  const { socket, response } = Deno.upgradeWebSocket(req);
  theirs = socket;
  try {
    socket.send("too early");
  } catch ({ name }) {
    facts.sendBeforeOpen = name;
  }
  socket.onmessage = ({ data }) => {
    if (data === "throw") throw new Error("of a listener");
    if (facts.messages.length < 2) facts.messages.push(data.constructor.name);
    socket.send("heard");
  };
  socket.onerror = ({ message }) => facts.errors.push(message);
  socket.onclose = ({ code, wasClean }) => facts.closes.push({ code, wasClean });
  return response;
});
const { port } = server.addr;

const client = await open(port, { Origin: "https://a.example" });
const hear = inboxOf(client);
facts.anyOrigin = true;
for (const data of ["text", new Uint8Array(1)]) {
  client.send(data);
  await hear();
}
facts.sendReturns = String(theirs.send("abc"));

globalThis.addEventListener("error", (event) => {
  event.preventDefault(); // or the process ends here
  tellException(event.error.message);
}, { once: true });
client.send("throw");
facts.exception = await exception;

const fits = await open(port);
const hearFits = inboxOf(fits);
fits.send(new Uint8Array(64 * 1024 * 1024 - 1));
await hearFits();
const tooLong = await open(port);
const isCut = next(tooLong, "close");
tooLong.onerror = () => {};
tooLong.send(new Uint8Array(64 * 1024 * 1024));
const { wasClean } = await isCut;
facts.tooLong = { wasClean, errors: facts.errors.slice() };

const { wire, response } = await openWire(port, { offer: "Sec-WebSocket-Extensions: permessage-deflate\r\n" });
facts.compresses = /extensions/i.test(response);
while (theirs.readyState !== 1) await new Promise((resolve) => setTimeout(resolve, 1));
for (let i = 0; i < 50; i++) theirs.send(new Uint8Array(1024 * 1024));
facts.slowReader = { bufferedMiB: Math.floor(theirs.bufferedAmount / 1024 / 1024), readyState: theirs.readyState };
wire.destroy();

const stopped = next(client, "close");
server.shutdown();
facts.shutdown = (await stopped).code;
delete facts.closes;
delete facts.errors;
tell(facts);
