/** What the programs beside this file share: a client of bare TCP, which breaks rules and does not read. */
import process from "node:process";
import { connect } from "node:net";

/** Connects, and resolves when the handshake is answered. The client reads nothing behind that. */
export async function openWire(port, { path = "/", offer = "" } = {}) {
  const wire = connect(port, "127.0.0.1");
  wire.on("error", () => {});
  wire.write(
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${offer}\r\n`,
  );
  const response = await new Promise((resolve) => wire.once("data", resolve));
  wire.pause();
  return { wire, response: String(response) };
}

/** Resolves when an event handler of a browser's WebSocket is called. */
export const next = (socket, name) => new Promise((resolve) => socket[`on${name}`] = resolve);

/** Opens a WebSocket of the runtime. */
export async function open(port, headers = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { headers });
  socket.binaryType = "arraybuffer";
  await next(socket, "open");
  return socket;
}

/** Gives a function for the next message of a WebSocket, which waits if necessary. */
export function inboxOf(socket) {
  const messages = [];
  let wake = () => {};
  socket.onmessage = ({ data }) => {
    messages.push(data);
    wake();
  };
  return async () => {
    while (messages.length === 0) await new Promise((resolve) => wake = resolve);
    return messages.shift();
  };
}

/** Prints the facts, and ends. */
export function tell(facts) {
  console.log(JSON.stringify(facts));
  process.exit();
}
