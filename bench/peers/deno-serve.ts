/** Deno's own server and its WebSocket, without idle time-out and the pings that belong to it. */
import { announce, HOST, place, tls } from "./support.ts";

declare const Deno: {
  serve(
    options: { hostname: string; port: number; reusePort: boolean; onListen(address: { port: number }): void },
    handler: (request: Request) => Response,
  ): unknown;
  upgradeWebSocket(request: Request, options: { idleTimeout: number }): { socket: WebSocket; response: Response };
};

const clients = new Set<WebSocket>();

Deno.serve({ hostname: HOST, ...place, ...tls, onListen: ({ port }) => announce(port) }, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  const { pathname } = new URL(request.url);
  socket.binaryType = "arraybuffer";
  if (pathname === "/fan") {
    socket.onopen = () => clients.add(socket);
    socket.onclose = () => clients.delete(socket);
    socket.onmessage = ({ data }) => {
      for (const client of clients) if (client.readyState === WebSocket.OPEN) client.send(data);
    };
  } else {
    socket.onmessage = ({ data }) => socket.send(data);
  }
  return response;
});
