/** A TCP proxy that counts the bytes that go through it, so that compression can be measured on the wire. */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface MeteredProxy {
  readonly port: number;
  /** The bytes from clients to the server so far. */
  readonly toServer: number;
  /** The bytes from the server to clients so far. */
  readonly toClients: number;
  /** Stops reading from the server, so that its output piles up there. */
  stopReading(): void;
  close(): void;
}

/** Starts a proxy on a free port of 127.0.0.1 for a server on the same machine. */
export async function meteredProxy(serverPort: number): Promise<MeteredProxy> {
  const sockets = new Set<Socket>();
  const upstreams: Socket[] = [];
  let toServer = 0;
  let toClients = 0;
  const pass = (from: Socket, to: Socket, count: (bytes: number) => void): void => {
    sockets.add(from);
    from.setNoDelay(true);
    from.on("data", (bytes) => {
      count(bytes.length);
      to.write(bytes);
    });
    from.on("end", () => to.end());
    from.on("error", () => to.destroy());
    from.on("close", () => {
      sockets.delete(from);
      to.destroySoon();
    });
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ port: serverPort, host: "127.0.0.1", allowHalfOpen: true });
    upstreams.push(upstream);
    pass(client, upstream, (bytes) => toServer += bytes);
    pass(upstream, client, (bytes) => toClients += bytes);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    get toServer() {
      return toServer;
    },
    get toClients() {
      return toClients;
    },
    stopReading() {
      for (const upstream of upstreams) upstream.pause();
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
