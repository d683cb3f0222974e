/** `websocket` (WebSocket-Node), which brings bufferutil and utf-8-validate as dependencies. */
import { createRequire } from "node:module";
import { listenAndAnnounce, makeServer } from "./http-server.ts";
import { LIMIT_BYTES } from "./support.ts";

interface Message {
  type: "utf8" | "binary";
  utf8Data: string;
  binaryData: Buffer;
}

interface Connection {
  connected: boolean;
  sendUTF(text: string): void;
  sendBytes(bytes: Buffer): void;
  on(event: "message", listener: (message: Message) => void): void;
  on(event: "close" | "error", listener: () => void): void;
}

interface Request {
  resource: string;
  accept(protocol: null, origin: undefined): Connection;
}

interface WebSocketServer {
  on(event: "request", listener: (request: Request) => void): void;
}

// The package comes without types.
const { server: WebSocketServer } = createRequire(import.meta.url)("websocket") as {
  server: new (options: object) => WebSocketServer;
};

const httpServer = makeServer();
const clients = new Set<Connection>();

function send(connection: Connection, message: Message): void {
  if (message.type === "utf8") connection.sendUTF(message.utf8Data);
  else connection.sendBytes(message.binaryData);
}

new WebSocketServer({
  httpServer,
  keepalive: false,
  fragmentOutgoingMessages: false,
  maxReceivedFrameSize: LIMIT_BYTES,
  maxReceivedMessageSize: LIMIT_BYTES,
}).on("request", (request) => {
  const connection = request.accept(null, undefined);
  connection.on("error", () => {});
  if (request.resource === "/fan") {
    clients.add(connection);
    connection.on("close", () => clients.delete(connection));
    connection.on("message", (message) => {
      for (const client of clients) if (client.connected) send(client, message);
    });
  } else {
    connection.on("message", (message) => send(connection, message));
  }
});
listenAndAnnounce(httpServer);
