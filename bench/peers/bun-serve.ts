/**
 * Bun's own server, without pings and idle time-out. It hands over text as a string and binary data as a Buffer. It
 * compresses a message that is sent with `true`, at a level that cannot be set.
 */
import { announce, deflate, HOST, LIMIT_BYTES, place, tls } from "./support.ts";
import { socketNumber, topicNames, topicOf } from "./topic-map.ts";

interface Client {
  readonly readyState: number;
  readonly data: { path: string };
  send(message: string | Uint8Array, isCompressed: boolean): number;
  subscribe(topic: string): void;
}

interface BunServer {
  port: number;
  upgrade(request: Request, options: { data: { path: string } }): boolean;
  publish(topic: string, message: string | Uint8Array, isCompressed: boolean): number;
}

declare const Bun: { serve(options: object): BunServer };

const clients = new Set<Client>();
const compressed = deflate.mode !== "off";
const perMessageDeflate = {
  off: false,
  "no-takeover": { compress: "shared", decompress: "shared" },
  takeover: { compress: "dedicated", decompress: "dedicated" },
  // Bun names a compressor after all its memory: "32KB" is a window of 4 KiB with memLevel 5. It names a decompressor
  // after its window.
  "small-windows": { compress: "32KB", decompress: "4KB" },
}[deflate.mode];

const server: BunServer = Bun.serve({
  hostname: HOST,
  ...place,
  tls,
  fetch(request: Request): Response | undefined {
    const { pathname: path } = new URL(request.url);
    return server.upgrade(request, { data: { path } }) ? undefined : new Response("WebSocket only", { status: 426 });
  },
  websocket: {
    perMessageDeflate,
    sendPings: false,
    idleTimeout: 0,
    maxPayloadLength: LIMIT_BYTES,
    backpressureLimit: LIMIT_BYTES,
    open(socket: Client): void {
      if (socket.data.path === "/fan") clients.add(socket);
      if (socket.data.path === "/publish") socket.subscribe("all");
      const number = socketNumber(socket.data.path);
      if (number !== undefined) { for (const name of topicNames(number)) socket.subscribe(name); }
    },
    close(socket: Client): void {
      clients.delete(socket);
    },
    message(socket: Client, message: string | Uint8Array): void {
      const { path } = socket.data;
      if (path === "/fan") {
        for (const client of clients) if (client.readyState === 1) client.send(message, compressed);
      } else if (path === "/publish") {
        server.publish("all", message, compressed);
      } else if (path.startsWith("/topics/")) {
        server.publish(topicOf(message as string), message, compressed);
      } else {
        socket.send(message, compressed);
      }
    },
  },
});
announce(server.port);
