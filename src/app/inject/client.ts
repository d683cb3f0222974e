import { Buffer } from "node:buffer";
import { randomBytes, randomFillSync } from "node:crypto";
import { acceptKey } from "../../platform.ts";
import { CloseCode, decodeClose } from "../../protocol/close.ts";
import { decodeServerHeader, encodeHeader, MAX_SERVER_HEADER_BYTES } from "../../protocol/frame-header.ts";
import { unmask } from "../../protocol/mask.ts";
import { Opcode } from "../../protocol/opcode.ts";
import { type BinaryData, toBytes } from "../common/bytes.ts";
import { Inbox } from "../websocket/inbox.ts";
import type { MemorySocket } from "./memory-socket.ts";

/** How a connection ended, as the client saw it: 1006 when there was no Close frame. */
export interface InjectedClose {
  /** The code of the server's Close frame. */
  readonly code: number;
  /** Its reason. */
  readonly reason: string;
}

/** A handshake that the app refused. */
export class InjectError extends Error {
  /** `"InjectError"`. */
  override readonly name: string = "InjectError";
  /** The answer, as `fetch` would have given it. */
  readonly response: Response;

  /** Made by `app.inject`. */
  constructor(message: string, response: Response) {
    super(message);
    this.response = response;
  }
}

/**
 * The client's end of a connection made by `app.inject`: for tests of handlers, without a port. Messages are awaited one by one, with `next()` or `for await`.
 */
export class InjectedClient implements AsyncIterable<string | Buffer> {
  /** The answer to the handshake: 101, with its headers. */
  readonly headers: Headers;
  /** The subprotocol that was agreed on, or `""`. */
  readonly protocol: string;
  /** Resolves when the connection has ended. */
  readonly closed: Promise<InjectedClose>;
  readonly #socket: MemorySocket;
  readonly #inbox: Inbox;
  #unread: Buffer;
  #close: InjectedClose | undefined;

  /** Use `app.inject`. */
  constructor(socket: MemorySocket, headers: Headers, early: Buffer) {
    this.headers = headers;
    this.protocol = headers.get("sec-websocket-protocol") ?? "";
    this.#socket = socket;
    this.#unread = early;
    this.#inbox = new Inbox({ pause() {}, resume() {} });
    const { promise, resolve } = Promise.withResolvers<InjectedClose>();
    this.closed = promise;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("end", () => socket.end());
    socket.on("close", () => {
      const close = this.#close ?? { code: CloseCode.ABNORMAL, reason: "" };
      this.#inbox.finish(undefined);
      resolve(close);
    });
    this.#receive(Buffer.alloc(0));
  }

  /** Sends a message. */
  send(data: string | BinaryData): void {
    if (typeof data === "string") this.#write(Opcode.TEXT, Buffer.from(data));
    else this.#write(Opcode.BINARY, toBytes(data));
  }

  /** Starts the closing handshake. Resolves when the connection has ended. */
  close(code: number = CloseCode.NORMAL, reason: string = ""): Promise<InjectedClose> {
    const body = Buffer.alloc(2 + Buffer.byteLength(reason));
    body.writeUInt16BE(code);
    body.write(reason, 2);
    this.#write(Opcode.CLOSE, body);
    return this.closed;
  }

  /** Cuts the connection without a Close frame. */
  terminate(): void {
    this.#socket.destroy();
  }

  /**
   * The next message.
   *
   * @throws Error when the connection ends before one comes
   */
  async next(): Promise<string | Buffer> {
    const result = await this.#inbox.next();
    if (!result.done) return result.value;
    const { code, reason } = await this.closed;
    throw new Error(`The connection has ended with ${code}${reason && ` (${reason})`}, and no message came`);
  }

  /** The messages, until the connection ends. */
  [Symbol.asyncIterator](): AsyncIterableIterator<string | Buffer> {
    return this.#inbox;
  }

  /** Reads the frames that are there. All of them are of this package's own server: unfragmented and not compressed. */
  #receive(chunk: Buffer): void {
    const bytes = this.#unread = Buffer.concat([this.#unread, chunk]);
    let at = 0;
    for (;;) {
      const header = decodeServerHeader(bytes, at);
      if (header === undefined) break;
      const start = at + header.byteLength;
      const end = start + header.payloadLength;
      if (bytes.length < end) break;
      this.#handle(header.opcode, Buffer.from(bytes.subarray(start, end)));
      at = end;
    }
    this.#unread = bytes.subarray(at);
  }

  #handle(opcode: number, payload: Buffer): void {
    if (opcode === Opcode.TEXT) this.#inbox.push(payload.toString());
    else if (opcode === Opcode.BINARY) this.#inbox.push(payload);
    else if (opcode === Opcode.PING) this.#write(Opcode.PONG, payload);
    else if (opcode === Opcode.CLOSE) {
      this.#close ??= decodeClose(payload, (bytes) => Buffer.from(bytes).toString());
      if (this.#socket.writable) this.#write(Opcode.CLOSE, payload);
    }
  }

  /** A client's frame: as the server's, but masked (§5.3). */
  #write(opcode: Opcode, payload: Uint8Array): void {
    if (!this.#socket.writable) return;
    const frame = Buffer.alloc(MAX_SERVER_HEADER_BYTES + 4 + payload.length);
    const key = encodeHeader(frame, 0, opcode, payload.length);
    frame[1] |= 0x80;
    randomFillSync(frame, key, 4);
    frame.set(payload, key + 4);
    const end = key + 4 + payload.length;
    unmask(frame, key + 4, end, frame.readInt32LE(key));
    this.#socket.write(frame.subarray(0, end));
  }
}

/** A client's opening handshake, and the check of its answer (§4.1). */
export async function connect(socket: MemorySocket, key: string): Promise<InjectedClient> {
  let text: Buffer = Buffer.alloc(0);
  let end = -1;
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text = Buffer.concat([text, chunk as Buffer]);
    end = text.indexOf("\r\n\r\n");
    if (end !== -1) break;
  }
  const [statusLine, ...lines] = text.subarray(0, end).toString("latin1").split("\r\n");
  const status = Number(statusLine.split(" ")[1]);
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const rest = text.subarray(end + 4);
  if (status === 101) {
    if (headers.get("sec-websocket-accept") !== acceptKey(key)) {
      throw new Error("Sec-WebSocket-Accept is not what the key asks for");
    }
    return new InjectedClient(socket, headers, rest);
  }
  const body = [rest];
  for await (const chunk of socket) body.push(chunk as Buffer);
  const message = Buffer.concat(body).toString().trim();
  throw new InjectError(
    `The handshake was refused with ${status}: ${message}`,
    new Response(message, { status, headers }),
  );
}

/** A key for Sec-WebSocket-Key. */
export function makeKey(): string {
  return randomBytes(16).toString("base64");
}
