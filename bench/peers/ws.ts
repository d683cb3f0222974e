/**
 * `ws`, used as its README shows: the echo is the message's own Buffer. On Bun this import gives Bun's replacement for
 * the package.
 */
import { WebSocket, WebSocketServer } from "ws";
import { listenAndAnnounce, makeServer } from "./http-server.ts";
import { deflate, LIMIT_BYTES } from "./support.ts";
import { socketNumber, TopicMap, topicOf } from "./topic-map.ts";

const { mode, level, memLevel, contextTakeover, windowBits } = deflate;

const httpServer = makeServer();
const server = new WebSocketServer({
  server: httpServer,
  perMessageDeflate: mode !== "off" && {
    threshold: 0,
    serverNoContextTakeover: !contextTakeover,
    clientNoContextTakeover: !contextTakeover,
    serverMaxWindowBits: windowBits,
    clientMaxWindowBits: windowBits,
    zlibDeflateOptions: { level, memLevel },
  },
  maxPayload: LIMIT_BYTES,
});
const clients = new Set<WebSocket>();
const topics = new TopicMap<WebSocket>();

server.on("connection", (socket, request) => {
  const number = socketNumber(request.url!);
  socket.on("error", () => {});
  if (request.url === "/echo") {
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  } else if (request.url === "/text") {
    socket.on("message", (data) => socket.send(data.toString()));
  } else if (number !== undefined) {
    topics.join(socket, number);
    socket.on("close", () => topics.leave(socket, number));
    socket.on("message", (data) => {
      const text = data.toString();
      for (const client of topics.membersOf(topicOf(text))) {
        if (client.readyState === WebSocket.OPEN) client.send(text);
      }
    });
  } else if (request.url === "/fan") {
    clients.add(socket);
    socket.on("close", () => clients.delete(socket));
    socket.on("message", (data, isBinary) => {
      for (const client of clients) if (client.readyState === WebSocket.OPEN) client.send(data, { binary: isBinary });
    });
  }
});
listenAndAnnounce(httpServer);
