/**
 * The client's side of permessage-deflate, RFC 7692, with zlib: the agreement, both windows, and a client that checks
 * that the server keeps to the agreement. The code shares nothing with `src/protocol`, so that a mistake there is not
 * repeated here.
 */

import { randomBytes } from "node:crypto";
import type { Transform } from "node:stream";
import { constants, createDeflateRaw, createInflateRaw, deflateRawSync, inflateRawSync, type Zlib } from "node:zlib";
import type { EchoConnection, EchoServer } from "./echo-server.ts";
import { frame, opcodes, type ServerFrame, ServerFrameReader } from "./frames.ts";
import { type Closed, headerOf, statusOf, upgradeRequest } from "./raw-client.ts";
import { type Chunks, Connection } from "./tcp.ts";

/** The parameters in the Sec-WebSocket-Extensions of a response, §7.1. */
export interface Agreement {
  readonly serverNoContextTakeover: boolean;
  readonly clientNoContextTakeover: boolean;
  readonly serverMaxWindowBits: number;
  readonly clientMaxWindowBits: number;
}

/** Reads the Sec-WebSocket-Extensions of a response, and throws at one that no client may accept. */
export function readAgreement(header: string): Agreement {
  const [name, ...parameters] = header.split(";").map((part) => part.trim());
  if (name !== "permessage-deflate") throw new Error(`The response has "${name}"`);
  const agreed = new Map<string, number | undefined>();
  for (const parameter of parameters) {
    const [, key, , bits] = /^(\w+)(=(\d+))?$/.exec(parameter) ?? [];
    const isKnown = bits === undefined
      ? key === "server_no_context_takeover" || key === "client_no_context_takeover"
      : key === "server_max_window_bits" || key === "client_max_window_bits";
    if (!isKnown || agreed.has(key)) throw new Error(`The response has the parameter "${parameter}"`);
    agreed.set(key, bits === undefined ? undefined : Number(bits));
  }
  return {
    serverNoContextTakeover: agreed.has("server_no_context_takeover"),
    clientNoContextTakeover: agreed.has("client_no_context_takeover"),
    serverMaxWindowBits: agreed.get("server_max_window_bits") ?? 15,
    clientMaxWindowBits: agreed.get("client_max_window_bits") ?? 15,
  };
}

/** The end of a sync flush, which is removed from every message (§7.2.1). */
const TAIL = Buffer.of(0x00, 0x00, 0xff, 0xff);
/** An empty final block. With it behind the tail, zlib throws for a message that ends inside a block. */
const LAST_BLOCK = Buffer.of(0x03, 0x00);
/** The payload of an empty message, §7.2.3.6. */
const EMPTY = Buffer.of(0x00);

const { Z_SYNC_FLUSH } = constants;

/** Compresses a message without context takeover, §7.2.1. */
export function deflated(data: string | Uint8Array, level: number = 6, windowBits: number = 15): Buffer {
  if (data.length === 0) return EMPTY;
  return deflateRawSync(data, { level, windowBits, finishFlush: Z_SYNC_FLUSH }).subarray(0, -TAIL.length);
}

/** Decompresses a message without context takeover. Throws when the payload is not a whole message. */
export function inflated(payload: Uint8Array, windowBits: number = 15): Buffer {
  return inflateRawSync(Buffer.concat([payload, TAIL, LAST_BLOCK]), strict(windowBits));
}

/** With chunks that are no larger than the window, zlib refuses references further back than a window and a chunk. */
function strict(windowBits: number): { windowBits: number; chunkSize: number } {
  return { windowBits, chunkSize: Math.max(512, 2 ** windowBits / 2) };
}

/** One direction with context takeover: the window is kept from message to message. */
class Window {
  readonly #stream: Transform & Zlib;
  #output: Buffer[] = [];
  #reject: (error: Error) => void = () => {};

  constructor(stream: Transform & Zlib) {
    this.#stream = stream;
    stream.on("data", (bytes: Buffer) => this.#output.push(bytes));
    stream.on("error", (error) => this.#reject(error));
  }

  async run(input: Uint8Array): Promise<Buffer> {
    await new Promise<void>((resolve, reject) => {
      this.#reject = reject;
      this.#stream.write(input);
      this.#stream.flush(Z_SYNC_FLUSH, () => resolve());
    });
    const output = Buffer.concat(this.#output);
    this.#output = [];
    return output;
  }

  close(): void {
    this.#stream.close();
  }
}

/** Compresses and decompresses for a client, with or without a window in each direction. */
export class ClientCodec {
  readonly #agreement: Agreement;
  readonly #outgoing: Window | undefined;
  readonly #incoming: Window | undefined;

  constructor(agreement: Agreement) {
    const { serverNoContextTakeover, serverMaxWindowBits, clientNoContextTakeover, clientMaxWindowBits } = agreement;
    this.#agreement = agreement;
    if (!clientNoContextTakeover) this.#outgoing = new Window(createDeflateRaw({ windowBits: clientMaxWindowBits }));
    if (!serverNoContextTakeover) this.#incoming = new Window(createInflateRaw(strict(serverMaxWindowBits)));
  }

  async deflate(data: Uint8Array): Promise<Buffer> {
    if (data.length === 0) return EMPTY;
    if (this.#outgoing === undefined) return deflated(data, 6, this.#agreement.clientMaxWindowBits);
    return (await this.#outgoing.run(data)).subarray(0, -TAIL.length);
  }

  async inflate(payload: Uint8Array): Promise<Buffer> {
    if (this.#incoming === undefined) return inflated(payload, this.#agreement.serverMaxWindowBits);
    return await this.#incoming.run(Buffer.concat([payload, TAIL]));
  }

  close(): void {
    this.#outgoing?.close();
    this.#incoming?.close();
  }
}

export interface DeflatedFrame extends ServerFrame {
  /** Set on the first frame of a compressed message, §6. */
  rsv1: boolean;
}

/**
 * Removes RSV1 from the frames that may have it, and passes them to the strict reader, which checks all other rules.
 */
export class DeflatedFrameReader {
  readonly #reader = new ServerFrameReader();
  readonly #rsv1: boolean[] = [];
  #header: number[] = [];
  #payloadLeft = 0;

  /** Takes the next bytes and gives the frames that are complete now. */
  *read(chunk: Uint8Array): Generator<DeflatedFrame> {
    const bytes = Buffer.from(chunk);
    for (let at = 0; at < bytes.length;) {
      if (this.#payloadLeft > 0) {
        const skipped = Math.min(this.#payloadLeft, bytes.length - at);
        this.#payloadLeft -= skipped;
        at += skipped;
        continue;
      }
      if (this.#header.length === 0) bytes[at] = this.#takeRsv1(bytes[at]);
      this.#header.push(bytes[at++]);
      const payloadLength = payloadLengthOf(Buffer.from(this.#header));
      if (payloadLength === undefined) continue;
      this.#payloadLeft = payloadLength;
      this.#header = [];
    }
    for (const each of this.#reader.read(bytes)) yield { ...each, rsv1: this.#rsv1.shift()! };
  }

  #takeRsv1(first: number): number {
    const opcode = first & 0x0f;
    const rsv1 = (first & 0x40) !== 0 && (opcode === opcodes.text || opcode === opcodes.binary);
    this.#rsv1.push(rsv1);
    return rsv1 ? first & ~0x40 : first;
  }
}

/** The payload length in a header, or `undefined` while the header is not complete. */
function payloadLengthOf(header: Buffer): number | undefined {
  const length = header.length < 2 ? undefined : header[1] & 0x7f;
  if (length === undefined || length < 126) return length;
  if (length === 126) return header.length < 4 ? undefined : header.readUInt16BE(2);
  return header.length < 10 ? undefined : Number(header.readBigUInt64BE(2));
}

export interface ReceivedMessage {
  readonly data: string | Buffer;
  readonly isCompressed: boolean;
  /** The length of the payloads of its frames, added up. */
  readonly wireBytes: number;
}

export interface SendOptions {
  /** Default: true when the server has agreed on compression. */
  readonly compress?: boolean;
  /** Cuts the payload, compressed or not, into fragments. Default: one frame. */
  readonly cut?: (payload: Uint8Array) => readonly Uint8Array[];
  /** A frame to send between any two fragments. */
  readonly between?: Uint8Array;
}

export interface DeflateConnectOptions {
  readonly path?: string;
  /** Sec-WebSocket-Extensions of the request. */
  readonly offer?: string | undefined;
  readonly timeoutMs?: number;
}

/** The frames of one message of a client. The first has RSV1 when the payload is compressed. */
export function framesOf(opcode: number, fragments: readonly Uint8Array[], isCompressed: boolean): Buffer[] {
  return fragments.map((fragment, i) =>
    frame(i === 0 ? opcode : opcodes.continuation, fragment, {
      fin: i === fragments.length - 1,
      rsv: i === 0 && isCompressed ? 4 : 0,
    })
  );
}

/** A WebSocket client over a plain TCP connection that compresses, and checks every frame of the server. */
export class DeflateClient {
  /** Every frame received so far. */
  readonly frames: DeflatedFrame[] = [];
  /** The Sec-WebSocket-Extensions of the response, or `""`. */
  readonly extensions: string;
  /** Undefined when the response has no Sec-WebSocket-Extensions. */
  readonly agreement: Agreement | undefined;
  readonly #codec: ClientCodec | undefined;
  readonly #connection: Connection;
  readonly #reader = new DeflatedFrameReader();
  #handedOut = 0;

  static async connect(port: number, options: DeflateConnectOptions = {}): Promise<DeflateClient> {
    const { path = "/", offer = "permessage-deflate", timeoutMs = 15_000 } = options;
    const key = randomBytes(16).toString("base64");
    const headers = { "Sec-WebSocket-Key": key, "Sec-WebSocket-Extensions": offer };
    const connection = new Connection(port, timeoutMs);
    connection.write(Buffer.from(upgradeRequest(path, headers), "latin1"));
    const response = await connection.readHead();
    if (statusOf(response) === 101) return new DeflateClient(connection, response);
    connection.socket.destroy();
    throw new Error(`The server refused the handshake:\n${response}`);
  }

  private constructor(connection: Connection, response: string) {
    this.#connection = connection;
    this.extensions = headerOf(response, "Sec-WebSocket-Extensions") ?? "";
    if (this.extensions !== "") {
      this.agreement = readAgreement(this.extensions);
      this.#codec = new ClientCodec(this.agreement);
    }
    connection.onBytes((bytes) => this.frames.push(...this.#reader.read(bytes)));
  }

  /** How many bytes the server has sent, its response to the handshake included. */
  get bytesReceived(): number {
    return this.#connection.socket.bytesRead;
  }

  get closeFrame(): DeflatedFrame | undefined {
    return this.frames.find(({ opcode }) => opcode === opcodes.close);
  }

  /** Encodes a message into frames. With context takeover, the frames must be sent in the order of these calls. */
  async encode(data: string | Uint8Array, options: SendOptions = {}): Promise<Buffer[]> {
    const { compress = this.#codec !== undefined, cut = (payload) => [payload], between } = options;
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    const payload = compress ? await this.#codec!.deflate(bytes) : bytes;
    const frames = framesOf(typeof data === "string" ? opcodes.text : opcodes.binary, cut(payload), compress);
    return between === undefined
      ? frames
      : frames.flatMap((each, i) => i === 0 ? [each] : [Buffer.from(between), each]);
  }

  async send(data: string | Uint8Array, options?: SendOptions): Promise<void> {
    this.sendBytes(Buffer.concat(await this.encode(data, options)));
  }

  /** Sends each chunk in a write of its own. */
  sendBytes(...chunks: Uint8Array[]): void {
    for (const chunk of chunks) this.#connection.write(chunk);
  }

  /** Sends each chunk in a turn of its own. Stops when the server has sent a Close. */
  async sendApart(chunks: Chunks): Promise<void> {
    await this.#connection.writeApart(chunks, () => this.closeFrame !== undefined);
  }

  /** Resolves when the operating system has taken all bytes that were sent. */
  async written(): Promise<void> {
    // An empty write is done when all writes before it are done, and calls back with an error when they cannot be done.
    await new Promise<void>((resolve) => this.#connection.socket.write(Buffer.alloc(0), () => resolve()));
  }

  async nextFrame(): Promise<DeflatedFrame> {
    await this.#connection.until("a frame", () => this.frames.length > this.#handedOut);
    return this.frames[this.#handedOut++];
  }

  /** Waits for the next whole message. Pings and Pongs are skipped. */
  async next(): Promise<ReceivedMessage> {
    const fragments: DeflatedFrame[] = [];
    do {
      const each = await this.nextFrame();
      if (each.opcode === opcodes.close) {
        throw new Error(`The server closed instead of sending a message: ${each.payload.toString("hex")}`);
      }
      if (each.opcode < opcodes.close) fragments.push(each);
    } while (!fragments.at(-1)?.fin);
    const payload = Buffer.concat(fragments.map((fragment) => fragment.payload));
    const [{ opcode, rsv1: isCompressed }] = fragments;
    if (isCompressed && this.#codec === undefined) throw new Error("The server compresses without an agreement");
    const bytes = isCompressed ? await this.#codec!.inflate(payload) : payload;
    const data = opcode === opcodes.text ? decoder.decode(bytes) : bytes;
    return { data, isCompressed, wireBytes: payload.length };
  }

  async nextMessage(): Promise<string | Buffer> {
    return (await this.next()).data;
  }

  /** Waits for the end of the TCP connection. */
  async closed(): Promise<Closed> {
    await this.#connection.until("the end of the connection", () => this.#connection.ended !== undefined);
    const ended = this.#connection.ended!;
    const body = this.closeFrame?.payload;
    if (body === undefined) return { code: 1006, reason: "", ended };
    if (body.length === 0) return { code: 1005, reason: "", ended };
    return { code: body.readUInt16BE(0), reason: decoder.decode(body.subarray(2)), ended };
  }

  pause(): void {
    this.#connection.socket.pause();
  }

  resume(): void {
    this.#connection.socket.resume();
  }

  /** Cuts the connection with a reset. */
  reset(): void {
    this.#connection.socket.resetAndDestroy();
    this.#codec?.close();
  }

  terminate(): void {
    this.#connection.socket.destroy();
    this.#codec?.close();
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export interface DeflateConnection extends Omit<EchoConnection, "client"> {
  readonly client: DeflateClient;
}

/**
 * Both ends of a connection with an offer of compression to an echo server. No other may be opened at the same time.
 */
export async function deflateConnection(server: EchoServer, offer?: string): Promise<DeflateConnection> {
  const client = await DeflateClient.connect(server.port, { offer });
  const socket = [...server.app.sockets].at(-1)!;
  const report: EchoConnection["report"] = { errors: [], closes: [] };
  socket.on("error", (error) => report.errors.push(error));
  const reported = new Promise<void>((resolve) => {
    socket.on("close", (code, reason, wasClean) => {
      report.closes.push({ code, reason, wasClean });
      resolve();
    });
  });
  return { client, socket, report, reported };
}
