/**
 * A WebSocket client over a bare TCP connection, for tests. The client sends any bytes, right or wrong, and checks that
 * the server keeps to the rules. Every wait is for an event, and ends in an error that says what has come instead.
 */

import { createHash, randomBytes } from "node:crypto";
import { opcodes, type ServerFrame, ServerFrameReader } from "./frames.ts";
import { type Chunks, Connection } from "./tcp.ts";

/** Options of a connection. */
export interface ConnectOptions {
  path?: string;
  /** Header lines added to the request. */
  headers?: Record<string, string>;
  /** Bytes sent in the same write as the request. */
  early?: Uint8Array;
  /** The longest time of each wait. Default 10,000. */
  timeoutMs?: number;
}

/** The end of a connection, as its client has seen it. */
export interface Closed {
  /** The code in the server's Close; 1005 for a Close without a body, 1006 when no Close came. */
  code: number;
  reason: string;
  /** How TCP has ended. Bun's sockets report a reset as a FIN. */
  ended: "fin" | "reset";
}

const defaultTimeoutMs = 10_000;

/** See the head of this file. */
export class RawClient {
  /** Every frame that was received so far, also those that `nextFrame` has given already. */
  readonly frames: ServerFrame[] = [];
  /** The head of the server's response. */
  readonly response: string;
  readonly #connection: Connection;
  readonly #reader = new ServerFrameReader();
  #handedOut = 0;

  static async connect(port: number, options: ConnectOptions = {}): Promise<RawClient> {
    const { path = "/", headers = {}, early, timeoutMs = defaultTimeoutMs } = options;
    const key = randomBytes(16).toString("base64");
    const request = Buffer.from(upgradeRequest(path, { "Sec-WebSocket-Key": key, ...headers }), "latin1");
    const connection = new Connection(port, timeoutMs);
    connection.write(early ? Buffer.concat([request, early]) : request);
    const response = await connection.readHead();
    try {
      checkHandshake(response, key);
    } catch (error) {
      connection.socket.destroy();
      throw error;
    }
    return new RawClient(connection, response);
  }

  private constructor(connection: Connection, response: string) {
    this.#connection = connection;
    this.response = response;
    connection.onBytes((bytes) => {
      for (const frame of this.#reader.read(bytes)) this.frames.push(frame);
    });
  }

  /** The server's Close, once it has come. */
  get closeFrame(): ServerFrame | undefined {
    return this.frames.find((frame) => frame.opcode === opcodes.close);
  }

  get bytesSent(): number {
    return this.#connection.socket.bytesWritten;
  }

  /** Sends each argument in a write of its own. */
  send(...chunks: Uint8Array[]): void {
    for (const chunk of chunks) this.#connection.write(chunk);
  }

  /** Sends each chunk in a turn of its own, so that they arrive apart; stops when the server has closed. */
  async sendApart(chunks: Chunks): Promise<void> {
    await this.#connection.writeApart(chunks, () => this.closeFrame !== undefined);
  }

  /** Sends one octet in each turn; stops when the server has closed. */
  async sendOctets(bytes: Uint8Array): Promise<void> {
    await this.sendApart(Array.from(bytes, (octet) => Uint8Array.of(octet)));
  }

  /** Waits for the next frame that was not given yet. */
  async nextFrame(): Promise<ServerFrame> {
    await this.#connection.until("a frame", () => this.frames.length > this.#handedOut);
    return this.frames[this.#handedOut++];
  }

  /** Waits for the next whole message: a string for text, a Buffer for binary. Pings and Pongs are skipped. */
  async nextMessage(): Promise<string | Buffer> {
    const fragments: ServerFrame[] = [];
    do {
      const next = await this.nextFrame();
      if (next.opcode === opcodes.close) {
        throw new Error(`The server closed instead of sending a message: ${show(next)}`);
      }
      if (next.opcode < 8) fragments.push(next);
    } while (!fragments.at(-1)?.fin);
    const payload = Buffer.concat(fragments.map((fragment) => fragment.payload));
    return fragments[0].opcode === opcodes.text ? decodeText(payload) : payload;
  }

  /** Waits for the end of the TCP connection. */
  async closed(): Promise<Closed> {
    await this.#connection.until("the end of the connection", () => this.#connection.ended !== undefined);
    const ended = this.#connection.ended!;
    const body = this.closeFrame?.payload;
    if (!body) return { code: 1006, reason: "", ended };
    if (body.length === 0) return { code: 1005, reason: "", ended };
    return { code: body.readUInt16BE(0), reason: decodeText(body.subarray(2)), ended };
  }

  /** Stops reading, so that the server's writes wait. */
  pause(): void {
    this.#connection.socket.pause();
  }

  resume(): void {
    this.#connection.socket.resume();
  }

  /** Sends FIN; the server may still send. */
  end(): void {
    this.#connection.socket.end();
  }

  /** Cuts the connection with a reset. */
  reset(): void {
    this.#connection.socket.resetAndDestroy();
  }

  terminate(): void {
    this.#connection.socket.destroy();
  }
}

/**
 * Sends any bytes to an HTTP server, and gives all bytes that come until the server ends the connection. Each chunk is
 * sent in a turn of its own, so that the chunks arrive apart.
 */
export async function rawRequest(
  port: number,
  request: string | Uint8Array | Chunks,
  timeoutMs: number = defaultTimeoutMs,
): Promise<string> {
  const connection = new Connection(port, timeoutMs);
  const chunks: Buffer[] = [];
  connection.onBytes((bytes) => chunks.push(bytes));
  if (typeof request === "string") connection.write(Buffer.from(request, "latin1"));
  else if (request instanceof Uint8Array) connection.write(request);
  else await connection.writeApart(request);
  await connection.until("the end of the response", () => connection.ended !== undefined);
  return Buffer.concat(chunks).toString("latin1");
}

/** A valid opening handshake, with header lines added, replaced, repeated (an array) or left out (`undefined`). */
export function upgradeRequest(
  path: string = "/",
  headers: Record<string, string | readonly string[] | undefined> = {},
  requestLine: string = `GET ${path} HTTP/1.1`,
): string {
  const all = {
    Host: "localhost",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "c3BhY2Vub2RlLWtleS0wMQ==",
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((each) => `${name}: ${each}`)
  );
  return [requestLine, ...lines, "", ""].join("\r\n");
}

/** The value of Sec-WebSocket-Accept that belongs to a key (RFC 6455 §4.2.2). */
export function acceptFor(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

/** The value of a header of a response, or undefined. */
export function headerOf(response: string, name: string): string | undefined {
  const head = response.split("\r\n\r\n", 1)[0];
  const line = head.split("\r\n").slice(1).find((each) => each.toLowerCase().startsWith(`${name.toLowerCase()}:`));
  return line?.slice(name.length + 1).trim();
}

export function statusOf(response: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(response)?.[1]);
}

function checkHandshake(response: string, key: string): void {
  if (statusOf(response) !== 101) throw new Error(`The server refused the handshake:\n${response}`);
  const expected = { Upgrade: "websocket", Connection: "upgrade", "Sec-WebSocket-Accept": acceptFor(key) };
  for (const [name, value] of Object.entries(expected)) {
    const found = headerOf(response, name) ?? "";
    const same = name === "Sec-WebSocket-Accept" ? found === value : found.toLowerCase() === value.toLowerCase();
    if (!same) throw new Error(`The response says "${name}: ${found}" and not "${value}":\n${response}`);
  }
}

function decodeText(payload: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload);
}

function show({ opcode, payload }: ServerFrame): string {
  return `opcode ${opcode}, payload ${payload.toString("hex", 0, 40)}`;
}
