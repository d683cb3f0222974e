/** A TCP proxy that counts what goes through it: what is compressed is seen on the wire, whatever either end says of itself. */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface MeteredProxy {
  readonly port: number;
  /** Bytes from clients to the server so far. */
  readonly toServer: number;
  /** Bytes from the server to clients so far. */
  readonly toClients: number;
  /** Reads nothing more from the server, so that what it sends piles up there. */
  stopReading(): void;
  close(): void;
}

/** A proxy on a free port of 127.0.0.1 for a server on the same machine. */
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
