/**
 * A client program with the `ws` package. Unlike the browser's API, ws can send Pings and fragments, and cut the
 * connection.
 */

import { WebSocket } from "ws";
import { onCommand, report } from "./client-stdio.ts";

const sockets = new Map<number, WebSocket>();

onCommand((command) => {
  const { connection } = command;
  if (command.do === "open") return void sockets.set(connection, open(connection, command.url));
  const socket = sockets.get(connection)!;
  switch (command.do) {
    case "send":
      return socket.send("text" in command ? command.text : Buffer.from(command.binary, "base64"));
    case "sendFragments":
      return command.fragments.forEach((fragment, i) => {
        const fin = i === command.fragments.length - 1;
        socket.send(Buffer.from(fragment, "base64"), { binary: command.isBinary, fin });
      });
    case "ping":
      return socket.ping(Buffer.from(command.data, "base64"));
    case "close":
      return socket.close(command.code, command.reason);
    case "terminate":
      return socket.terminate();
  }
});

function open(connection: number, url: string): WebSocket {
  const socket = new WebSocket(url);
  let isOpen = false;
  socket.on("open", () => {
    isOpen = true;
    report({ connection, event: "open", protocol: socket.protocol, extensions: socket.extensions });
  });
  socket.on("message", (data: Buffer, isBinary: boolean) => {
    if (isBinary) report({ connection, event: "message", binary: data.toString("base64") });
    else report({ connection, event: "message", text: data.toString() });
  });
  socket.on("pong", (data) => report({ connection, event: "pong", data: data.toString("base64") }));
  // Without a listener, an error would end this program. The `close` event reports the failure.
  socket.on("error", () => {});
  socket.on("close", (code, reasonBytes) => {
    const reason = reasonBytes.toString();
    if (isOpen) report({ connection, event: "close", code, reason, wasClean: code !== 1006 });
    else report({ connection, event: "refused" });
  });
  return socket;
}
