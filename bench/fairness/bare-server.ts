/**
 * A bare node:http upgrade that does the same work without any limit: it reads frames, inflates messages, and sends the
 * echoes of a chunk in one write.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import process from "node:process";
import { createInflateRaw, inflateRawSync } from "node:zlib";
import { header, OPCODE } from "../load/frames.ts";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const { COMPRESSION, TLS_KEY: key, TLS_CERT: cert } = process.env;
const OFFER = COMPRESSION === "takeover"
  ? "permessage-deflate"
  : "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
const TAIL = Buffer.of(0, 0, 0xff, 0xff);
const FLUSH = 2; // Z_SYNC_FLUSH

const server = key === undefined ? createServer() : createSecureServer({ key, cert });
server.on("upgrade", (request: IncomingMessage, stream: unknown, head: Buffer) => {
  const socket = stream as Socket;
  const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}${GUID}`).digest("base64");
  const deflates = COMPRESSION !== "" && request.headers["sec-websocket-extensions"] !== undefined;
  socket.on("error", () => {});
  socket.setNoDelay(true);
  socket.on("end", () => socket.end());
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `${deflates ? `Sec-WebSocket-Extensions: ${OFFER}\r\n` : ""}Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  if (head.length > 0) socket.unshift(head);
  const reader = new Reader(socket);
  socket.on("data", (chunk: Buffer) => void reader.read(chunk));
});

/** Reads the frames of one client and echoes its messages. */
class Reader {
  readonly #socket: Socket;
  readonly #window = COMPRESSION === "takeover" ? createInflateRaw({ flush: FLUSH }) : undefined;
  #rest: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];
  #isBusy = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  async read(chunk: Buffer): Promise<void> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (this.#isBusy) return;
    const echoes: Buffer[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) {
      const { first, payload } = frame;
      const opcode = first & 0x0f;
      if (opcode === 0x9) echoes.push(header(0xa, payload.length, false), payload);
      if (opcode > OPCODE.binary) continue;
      this.#parts.push(payload);
      if (first < 0x80) continue;
      let message: Buffer = Buffer.concat(this.#parts);
      this.#parts = [];
      if ((first & 0x40) !== 0) message = this.#window === undefined ? inflate(message) : await this.#inflate(message);
      echoes.push(header(opcode || OPCODE.binary, message.length, false), message);
    }
    if (echoes.length > 0) this.#socket.write(Buffer.concat(echoes));
  }

  #next(): { first: number; payload: Buffer } | undefined {
    const bytes = this.#rest;
    if (bytes.length < 6) return undefined;
    const short = bytes[1] & 0x7f;
    const lengthBytes = short < 126 ? 0 : short === 126 ? 2 : 8;
    if (bytes.length < 6 + lengthBytes) return undefined;
    const length = lengthBytes === 0
      ? short
      : bytes.readUIntBE(2 + Math.max(0, lengthBytes - 6), Math.min(lengthBytes, 6));
    const start = 6 + lengthBytes;
    if (bytes.length < start + length) return undefined;
    for (let i = 0; i < length; i++) bytes[start + i] ^= bytes[start - 4 + (i & 3)];
    this.#rest = bytes.subarray(start + length);
    return { first: bytes[0], payload: bytes.subarray(start, start + length) };
  }

  async #inflate(payload: Buffer): Promise<Buffer> {
    this.#isBusy = true;
    this.#socket.pause();
    const output: Buffer[] = [];
    const onData = (bytes: Buffer): void => void output.push(bytes);
    this.#window!.on("data", onData);
    await new Promise<void>((resolve) => this.#window!.write(Buffer.concat([payload, TAIL]), () => resolve()));
    this.#window!.off("data", onData);
    this.#isBusy = false;
    this.#socket.resume();
    return Buffer.concat(output);
  }
}

/**
 * Inflates a message that may consist of several DEFLATE streams: the next one begins behind a block with the BFINAL
 * bit.
 */
function inflate(payload: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let rest = payload; rest.length > 0;) {
    const input = Buffer.concat([rest, TAIL]);
    const { buffer, engine } = inflateRawSync(input, { finishFlush: FLUSH, info: true }) as unknown as {
      buffer: Buffer;
      engine: { bytesWritten: number };
    };
    parts.push(buffer);
    rest = rest.subarray(engine.bytesWritten);
  }
  return Buffer.concat(parts);
}

server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
