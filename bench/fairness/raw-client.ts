/**
 * A client of the fairness bench: after the handshake it sends and counts bytes, and parses no frames. It can use TLS.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export class RawClient {
  readonly socket: Socket;
  #received = 0;
  #onBytes: () => void = () => {};

  /**
   * @param offer the extensions to offer; connecting fails when the server does not agree to permessage-deflate then
   */
  static async connect(port: number, isTls: boolean, offer?: string): Promise<RawClient> {
    const socket = isTls
      ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false })
      : connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, isTls ? "secureConnect" : "connect");
    socket.setNoDelay(true);
    socket.write(
      "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c3BhY2Vub2RlIGJlbmNoIQ==\r\n${
          offer ? `Sec-WebSocket-Extensions: ${offer}\r\n` : ""
        }\r\n`,
    );
    let head = "";
    while (!head.includes("\r\n\r\n")) head += (await once(socket, "data"))[0].toString("latin1");
    if (!head.startsWith("HTTP/1.1 101")) throw new Error(`the response to the handshake was ${head}`);
    if (offer && !head.toLowerCase().includes("permessage-deflate")) {
      throw new Error("the server did not agree to permessage-deflate");
    }
    return new RawClient(socket);
  }

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      this.#received += chunk.length;
      this.#onBytes();
    });
  }

  /**
   * Sends a frame and waits until `byteLength` more bytes have come; false when they have not come within `timeoutMs`.
   */
  async echo(frame: Buffer, byteLength: number, timeoutMs: number): Promise<boolean> {
    const wanted = this.#received + byteLength;
    this.socket.write(frame);
    return await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      this.#onBytes = () => {
        if (this.#received < wanted) return;
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  destroy(): void {
    this.socket.destroy();
  }
}
