/** Deno's own server and its WebSocket, without idle time-out and the pings that belong to it. */
import { announce, HOST, place, tls } from "./support.ts";
import { socketNumber, TopicMap, topicOf } from "./topic-map.ts";

declare const Deno: {
  serve(
    options: { hostname: string; port: number; reusePort: boolean; onListen(address: { port: number }): void },
    handler: (request: Request) => Response,
  ): unknown;
  upgradeWebSocket(request: Request, options: { idleTimeout: number }): { socket: WebSocket; response: Response };
};

const clients = new Set<WebSocket>();
const topics = new TopicMap<WebSocket>();

Deno.serve({ hostname: HOST, ...place, ...tls, onListen: ({ port }) => announce(port) }, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  const { pathname } = new URL(request.url);
  const number = socketNumber(pathname);
  socket.binaryType = "arraybuffer";
  if (pathname === "/fan") {
    socket.onopen = () => clients.add(socket);
    socket.onclose = () => clients.delete(socket);
    socket.onmessage = ({ data }) => {
      for (const client of clients) if (client.readyState === WebSocket.OPEN) client.send(data);
    };
  } else if (number !== undefined) {
    socket.onopen = () => topics.join(socket, number);
    socket.onclose = () => topics.leave(socket, number);
    socket.onmessage = ({ data }) => {
      for (const client of topics.membersOf(topicOf(data))) {
        if (client.readyState === WebSocket.OPEN) client.send(data);
      }
    };
  } else {
    socket.onmessage = ({ data }) => socket.send(data);
  }
  return response;
});
