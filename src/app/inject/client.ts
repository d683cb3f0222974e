/** The client's end of a WebSocket connection in memory: it speaks the client's side of RFC 6455. */
import { Buffer } from "node:buffer";
import { randomBytes, randomFillSync } from "node:crypto";
import { acceptKey, codec } from "../../platform.ts";
import { CloseCode, decodeClose } from "../../protocol/close.ts";
import { decodeServerHeader, encodeHeader, MAX_SERVER_HEADER_BYTES } from "../../protocol/frame-header.ts";
import { unmask } from "../../protocol/mask.ts";
import { Opcode } from "../../protocol/opcode.ts";
import { type BinaryData, toBytes } from "../common/bytes.ts";
import { Inbox } from "../websocket/inbox.ts";
import type { MemorySocket } from "./memory-socket.ts";

/** The way in which a connection of `app.inject` has ended, as its client has seen it. */
export interface InjectedClose {
  /**
   * The code of the server's Close frame: 1005 for a Close frame without a code, 1006 when there was no Close frame
   * (RFC 6455 §7.4.1).
   */
  readonly code: number;
  /** The reason of the server's Close frame, or `""`. */
  readonly reason: string;
}

/**
 * The error with which `app.inject` rejects when the app has refused the handshake.
 *
 * @example
 * ```ts
 * import { createApp, HttpError, InjectError } from "@spacenode/spacenode";
 *
 * const app = await createApp();
 * app.ws("/secret", {
 *   upgrade: () => {
 *     throw new HttpError(401, "Please log in");
 *   },
 * }, () => {});
 * try {
 *   await app.inject("/secret");
 * } catch (error) {
 *   if (error instanceof InjectError) console.log(error.response.status); // 401
 * }
 * ```
 */
export class InjectError extends Error {
  /** `"InjectError"`. */
  override readonly name: string = "InjectError";
  /** The HTTP response to the handshake, as `fetch` would have given it. */
  readonly response: Response;

  /** `app.inject` makes these errors. There is no need to construct one. */
  constructor(message: string, response: Response) {
    super(message);
    this.response = response;
  }
}

/**
 * The client's end of a WebSocket connection that `app.inject` has made in memory, for tests of handlers. Messages are
 * awaited one by one, with `next()` or `for await`. Pings of the server are answered.
 *
 * @example
 * ```ts
 * import { createApp } from "@spacenode/spacenode";
 *
 * const app = await createApp();
 * app.ws("/echo", (socket) => {
 *   socket.on("message", (data) => socket.send(data));
 * });
 * const client = await app.inject("/echo");
 * client.send("hello");
 * console.log(await client.next()); // hello
 * console.log(await client.close()); // { code: 1000, reason: "" }
 * ```
 */
export class InjectedClient implements AsyncIterable<string | Buffer> {
  /** The headers of the 101 response to the handshake. */
  readonly headers: Headers;
  /** The subprotocol that the handshake agreed on, or `""` (RFC 6455 §1.9). */
  readonly protocol: string;
  /** Resolves when the connection has ended. It never rejects. */
  readonly closed: Promise<InjectedClose>;
  readonly #socket: MemorySocket;
  readonly #inbox: Inbox;
  #unread: Buffer;
  #close: InjectedClose | undefined;
  /** True when a Close frame was sent: a Close of the server gets no second one as an answer (§5.5.1). */
  #hasSentClose = false;

  /** Use `app.inject` to make a client. */
  constructor(socket: MemorySocket, headers: Headers, early: Buffer) {
    this.headers = headers;
    this.protocol = headers.get("sec-websocket-protocol") ?? "";
    this.#socket = socket;
    this.#unread = early;
    this.#inbox = new Inbox();
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

  /**
   * Sends a message: a string as a text message, bytes as a binary message. After the connection has ended, the call
   * has no effect.
   *
   * @throws TypeError for data that is neither a string nor bytes
   */
  send(data: string | BinaryData): void {
    if (typeof data === "string") this.#write(Opcode.TEXT, Buffer.from(data));
    else this.#write(Opcode.BINARY, toBytes(data));
  }

  /**
   * Starts the closing handshake (RFC 6455 §7.1.2).
   *
   * @param code the code of the Close frame, 1000 by default. It is not checked, so that a test can send a wrong one
   * @param reason the reason of the Close frame, `""` by default
   * @returns a promise that resolves when the connection has ended
   */
  close(code: number = CloseCode.NORMAL, reason: string = ""): Promise<InjectedClose> {
    const body = Buffer.alloc(2 + Buffer.byteLength(reason));
    body.writeUInt16BE(code);
    body.write(reason, 2);
    this.#sendClose(body);
    return this.closed;
  }

  /** Cuts the connection without a Close frame. */
  terminate(): void {
    this.#socket.destroy();
  }

  /**
   * Waits for the next message.
   *
   * @returns a string for a text message, a `Buffer` for a binary message
   * @throws Error with the code and the reason, when the connection ends before a message comes
   */
  async next(): Promise<string | Buffer> {
    const result = await this.#inbox.next();
    if (!result.done) return result.value;
    const { code, reason } = await this.closed;
    throw new Error(`The connection has ended with ${code}${reason && ` (${reason})`}, and no message came`);
  }

  /** The messages one by one, for `for await`. The loop ends when the connection has ended. */
  [Symbol.asyncIterator](): AsyncIterableIterator<string | Buffer> {
    return this.#inbox;
  }

  /**
   * Reads the frames that are complete. This package's own server has sent them, so they are neither fragmented nor
   * compressed.
   */
  #receive(chunk: Buffer): void {
    const bytes = this.#unread = Buffer.concat([this.#unread, chunk]);
    let at = 0;
    for (;;) {
      const header = decodeServerHeader(bytes, at);
      if (header === undefined) break;
      const start = at + header.byteLength;
      const end = start + header.payloadLength;
      if (bytes.length < end) break;
      this.#handle(header.opcode, codec.isolate(bytes, at, start, end) as Buffer);
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
      if (!this.#hasSentClose) this.#sendClose(payload);
    }
  }

  #sendClose(body: Uint8Array): void {
    this.#hasSentClose = true;
    this.#write(Opcode.CLOSE, body);
  }

  /** Writes a frame as a client does: like a server's frame, but masked (RFC 6455 §5.3). */
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

/**
 * Reads the response to a client's opening handshake, and checks it (RFC 6455 §4.1).
 *
 * @throws InjectError when the app has refused the handshake
 */
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

/** Makes a random value for Sec-WebSocket-Key: 16 bytes in base64 (RFC 6455 §4.1). */
export function makeKey(): string {
  return randomBytes(16).toString("base64");
}
