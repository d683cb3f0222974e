import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Stands between clients and a server at a port of this machine, and can keep the server's answers back. */
export class TcpProxy {
  readonly port: number;
  readonly #sockets = new Set<Socket>();
  readonly #close: () => void;
  /** Whether what the server says is thrown away. */
  isMute = false;

  static async start(port: number): Promise<TcpProxy> {
    const server = createServer((near) => {
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

  /** Cuts all connections; new ones come through. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  dispose(): void {
    this.#close();
    this.cut();
  }
}
