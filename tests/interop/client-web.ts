/**
 * A client program with the browser's API: the WebSocket of the runtime, or that of undici with the argument `undici`.
 */

import { WebSocket as UndiciWebSocket } from "undici";
import { onCommand, report } from "./client-stdio.ts";

const WebSocketClass = (process.argv[2] === "undici" ? UndiciWebSocket : globalThis.WebSocket) as typeof WebSocket;
const sockets = new Map<number, WebSocket>();

onCommand((command) => {
  const { connection } = command;
  if (command.do === "open") return void sockets.set(connection, open(connection, command.url));
  const socket = sockets.get(connection)!;
  if (command.do === "send") socket.send("text" in command ? command.text : Buffer.from(command.binary, "base64"));
  else if (command.do === "close") socket.close(command.code, command.reason);
  else throw new Error(`The browser's API cannot ${command.do}`);
});

function open(connection: number, url: string): WebSocket {
  const socket = new WebSocketClass(url);
  socket.binaryType = "arraybuffer";
  let isOpen = false;
  socket.onopen = () => {
    isOpen = true;
    report({ connection, event: "open", protocol: socket.protocol, extensions: socket.extensions });
  };
  socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
    if (typeof data === "string") report({ connection, event: "message", text: data });
    else report({ connection, event: "message", binary: Buffer.from(data).toString("base64") });
  };
  // A refusal is reported at `error`, because on Node 22 no `close` follows.
  socket.onerror = () => {
    if (!isOpen) report({ connection, event: "refused" });
  };
  socket.onclose = ({ code, reason, wasClean }) => {
    if (isOpen) report({ connection, event: "close", code, reason, wasClean });
  };
  return socket;
}
