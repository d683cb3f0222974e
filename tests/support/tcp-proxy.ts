/** A TCP proxy that can cut connections and swallow the bytes of the server. */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Stands between clients and a server on this machine. */
export class TcpProxy {
  readonly port: number;
  readonly #sockets = new Set<Socket>();
  readonly #close: () => void;
  /** While true, the proxy throws away the bytes that the server sends. */
  isMute = false;
  /** While true, the proxy cuts each new connection at once. */
  isDown = false;

  /** Starts a proxy, at any free port, to the server at `port`. */
  static async start(port: number): Promise<TcpProxy> {
    const server = createServer((near) => {
      if (proxy.isDown) return void near.on("error", () => {}).destroy();
      const far = connect(port, "127.0.0.1");
      near.on("data", (bytes) => void far.write(bytes));
      far.on("data", (bytes) => void (proxy.isMute || near.write(bytes)));
      for (const [one, other] of [[near, far], [far, near]]) {
        proxy.#sockets.add(one);
        one.on("error", () => {});
        one.on("close", () => {
          proxy.#sockets.delete(one);
          other.destroy();
        });
      }
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const proxy = new TcpProxy((server.address() as AddressInfo).port, () => void server.close());
    return proxy;
  }

  private constructor(port: number, close: () => void) {
    this.port = port;
    this.#close = close;
  }

  /** Cuts all connections. New connections are let through, unless `isDown` says otherwise. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Stops listening, and cuts all connections. */
  dispose(): void {
    this.#close();
    this.cut();
  }
}
