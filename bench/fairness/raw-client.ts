/** A client of the fairness bench: a handshake, then bytes. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export class RawClient {
  readonly socket: Socket;
  #received = 0;
  #onBytes: () => void = () => {};

  static async connect(port: number, isTls: boolean, offer?: string): Promise<RawClient> {
    const socket = isTls
      ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false })
      : connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, isTls ? "secureConnect" : "connect");
    socket.setNoDelay(true);
    socket.write(
      "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
        `Sec-WebSocket-Key: c3BhY2Vub2RlIGJlbmNoIQ==\r\n${offer ? `Sec-WebSocket-Extensions: ${offer}\r\n` : ""}\r\n`,
    );
    let head = "";
    while (!head.includes("\r\n\r\n")) head += (await once(socket, "data"))[0].toString("latin1");
    if (!head.startsWith("HTTP/1.1 101")) throw new Error(`The handshake was answered with ${head}`);
    if (offer && !head.toLowerCase().includes("permessage-deflate")) throw new Error("No compression was agreed on");
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

  /** Sends a frame and waits until so many bytes have come back; false when they have not in time. */
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
