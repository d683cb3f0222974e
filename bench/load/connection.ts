/** One client connection of the load: opens the WebSocket, then writes whole batches and counts the bytes of the replies. */
import { createHash } from "node:crypto";
import { connect, type Socket } from "node:net";
import process from "node:process";

const KEY = "c3BhY2Vub2RlIGJlbmNoIQ==";
const ACCEPT = createHash("sha1").update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");

/** One buffer for all connections: replies are counted as they are read and never kept. */
const readBuffer = Buffer.allocUnsafeSlow(256 * 1024);

/** Bytes of all connections, the handshakes' too. */
const wire = { sent: 0, received: 0 };

export function wireBytes(): { sent: number; received: number } {
  return { ...wire };
}

let opened = 0;

/** Linux answers on all of 127/8, so that 10,000 connections and the ports of closed ones never run short. */
function nextSourceAddress(): string | undefined {
  opened += 1;
  return process.platform === "linux" ? `127.0.0.${2 + (opened % 250)}` : undefined;
}

export class Connection {
  readonly #socket: Socket;
  readonly closed: Promise<void>;
  /** Called with every piece read once the WebSocket is open. The bytes are only valid during the call. What it throws is a fault. */
  onBytes: (bytes: Uint8Array) => void = () => {};
  onFault: (error: Error) => void = () => {};
  /** What the server answered to the offer of extensions. */
  extensions: string | undefined;
  #closing = false;

  private constructor(port: number, onHandshakeBytes: (bytes: Uint8Array) => void) {
    this.onBytes = onHandshakeBytes;
    const localAddress = nextSourceAddress();
    this.#socket = connect({
      host: "127.0.0.1",
      port,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
      onread: {
        buffer: readBuffer,
        callback: (count, bytes) => {
          wire.received += count;
          try {
            this.onBytes(bytes.subarray(0, count));
          } catch (error) {
            this.onFault(error as Error);
          }
          return true;
        },
      },
    });
    this.closed = new Promise((resolve) => this.#socket.once("close", () => resolve()));
    this.#socket.once("close", () => {
      if (!this.#closing) this.onFault(new Error("the server closed a connection"));
    });
    this.#socket.on("error", (error) => this.onFault(error));
  }

  /** @param offer the value of Sec-WebSocket-Extensions, if any */
  static open(port: number, path: string, offer?: string): Promise<Connection> {
    return new Promise((resolve, reject) => {
      let response = "";
      const connection = new Connection(port, (bytes) => {
        response += Buffer.from(bytes).toString("latin1");
        if (!response.includes("\r\n\r\n")) return;
        if (!response.startsWith("HTTP/1.1 101") || !response.includes(ACCEPT) || !response.endsWith("\r\n\r\n")) {
          reject(new Error(`the handshake was answered with ${JSON.stringify(response.slice(0, 300))}`));
          connection.destroy();
        } else {
          connection.onFault = () => {};
          connection.extensions = /^sec-websocket-extensions: *(.*)$/im.exec(response)?.[1].trim();
          resolve(connection);
        }
      });
      connection.onFault = reject;
      connection.#socket.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          `Sec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n` +
          (offer === undefined ? "\r\n" : `Sec-WebSocket-Extensions: ${offer}\r\n\r\n`),
      );
    });
  }

  write(bytes: Buffer): void {
    wire.sent += bytes.length;
    this.#socket.write(bytes);
  }

  /** Ends the TCP connection; resolves when both sides have. */
  end(): Promise<void> {
    this.#closing = true;
    this.#socket.end();
    return this.closed;
  }

  destroy(): void {
    this.#closing = true;
    this.#socket.destroy();
  }
}
