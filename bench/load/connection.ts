/**
 * One client connection of the load: opens a WebSocket, writes batches of frames and passes on the bytes of the
 * replies.
 */
import { createHash } from "node:crypto";
import { connect, type Socket, type TcpNetConnectOpts } from "node:net";
import process from "node:process";
import { connect as connectTls } from "node:tls";

const KEY = "c3BhY2Vub2RlIGJlbmNoIQ==";
const ACCEPT = createHash("sha1").update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");

/** The frame of an empty text. */
const EMPTY_TEXT = "\x81\0";

/**
 * One buffer for all connections, which saves an allocation for each read: replies are counted while they are read, and
 * not kept.
 */
const readBuffer = Buffer.allocUnsafeSlow(256 * 1024);

/**
 * The bytes of all connections so far: those of the server with its handshake responses, those of the client without
 * its requests.
 */
const wire = { sent: 0, received: 0 };

export function wireBytes(): { sent: number; received: number } {
  return { ...wire };
}

let opened = 0;

/**
 * On Linux, all of 127.0.0.0/8 is the loopback. With many source addresses the ports suffice for 10,000 open
 * connections and for the closed ones that still occupy theirs.
 */
function nextSourceAddress(): string | undefined {
  opened += 1;
  return process.platform === "linux" ? `127.0.0.${2 + (opened % 250)}` : undefined;
}

export class Connection {
  readonly #socket: Socket;
  readonly closed: Promise<void>;
  /**
   * Called with every chunk that is read. The bytes are valid only during the call. An error that the callback throws
   * goes to `onFault`.
   */
  onBytes: (bytes: Uint8Array) => void = () => {};
  /** Called when the connection fails, or when the server closes it first. */
  onFault: (error: Error) => void = () => {};
  /** The extensions that the server agreed to; undefined when it sent no Sec-WebSocket-Extensions. */
  extensions: string | undefined;
  #closing = false;

  private constructor(port: number, tls: boolean, onHandshakeBytes: (bytes: Uint8Array) => void) {
    this.onBytes = onHandshakeBytes;
    const localAddress = nextSourceAddress();
    const options: TcpNetConnectOpts = {
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
    };
    // The certificate was made for this run, and no authority has signed it.
    this.#socket = tls ? connectTls({ ...options, rejectUnauthorized: false }) : connect(options);
    this.closed = new Promise((resolve) => this.#socket.once("close", () => resolve()));
    this.#socket.once("close", () => {
      if (!this.#closing) this.onFault(new Error("the server closed a connection"));
    });
    this.#socket.on("error", (error) => this.onFault(error));
  }

  /**
   * Resolves when the handshake is done.
   *
   * @param offer the value of Sec-WebSocket-Extensions; no such header is sent when it is undefined
   * @param tls true for a connection over TLS
   * @param greeted true if the server sends an empty text behind the handshake, which is a part of it then
   */
  static open(port: number, path: string, offer?: string, tls = false, greeted = false): Promise<Connection> {
    const end = `\r\n\r\n${greeted ? EMPTY_TEXT : ""}`;
    return new Promise((resolve, reject) => {
      let response = "";
      const connection = new Connection(port, tls, (bytes) => {
        response += Buffer.from(bytes).toString("latin1");
        const head = response.indexOf("\r\n\r\n");
        if (head === -1 || response.length < head + end.length) return;
        if (!response.startsWith("HTTP/1.1 101") || !response.includes(ACCEPT) || !response.endsWith(end)) {
          reject(new Error(`the response to the handshake was ${JSON.stringify(response.slice(0, 300))}`));
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

  /** Closes this side of the TCP connection; resolves when both sides are closed. */
  end(): Promise<void> {
    this.#closing = true;
    this.#socket.end();
    return this.closed;
  }

  destroy(): void {
    this.#closing = true;
    this.#socket.destroy();
  }

  /** Cuts the connection with a reset. */
  reset(): void {
    this.#closing = true;
    this.#socket.resetAndDestroy();
  }

  /** From now on the server may close the connection first. */
  expectEnd(): void {
    this.#closing = true;
  }

  /** Stops reading, so that the server's writes wait. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}
