/**
 * The limit: a node:http upgrade that sends back the bytes that it reads, without parsing frames. The CPU time that a
 * server takes beyond this is the cost of its WebSocket. The generator gets its own masked frames back, and counts
 * their bytes.
 */
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { listenAndAnnounce, makeServer } from "./http-server.ts";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const clients = new Set<Socket>();

const server = makeServer();
server.on("upgrade", (request, stream, head) => {
  const socket = stream as Socket;
  const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}${GUID}`).digest("base64");
  socket.on("error", () => {});
  socket.setNoDelay(true);
  socket.on("end", () => socket.end());
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  if (head.length > 0) socket.unshift(head);
  if (request.url === "/fan") {
    clients.add(socket);
    socket.on("close", () => clients.delete(socket));
    socket.on("data", (chunk) => {
      for (const client of clients) client.write(chunk);
    });
  } else {
    socket.on("data", (chunk) => socket.write(chunk));
  }
});
listenAndAnnounce(server);
