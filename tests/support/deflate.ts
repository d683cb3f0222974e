/**
 * The client's side of permessage-deflate, RFC 7692, by zlib alone: what was agreed on, both windows, and a client that keeps the
 * server to all of it. Written apart from `src/protocol`, so that a mistake there cannot hide itself here.
 */

import { randomBytes } from "node:crypto";
import type { Transform } from "node:stream";
import { constants, createDeflateRaw, createInflateRaw, deflateRawSync, inflateRawSync, type Zlib } from "node:zlib";
import type { EchoConnection, EchoServer } from "./echo-server.ts";
import { frame, opcodes, type ServerFrame, ServerFrameReader } from "./frames.ts";
import { type Closed, headerOf, statusOf, upgradeRequest } from "./raw-client.ts";
import { type Chunks, Connection } from "./tcp.ts";

/** What an answer says, §7.1. */
export interface Agreement {
  readonly serverNoContextTakeover: boolean;
  readonly clientNoContextTakeover: boolean;
  readonly serverMaxWindowBits: number;
  readonly clientMaxWindowBits: number;
}

/** Reads an answer, and throws at one that no client may take. */
export function readAgreement(answer: string): Agreement {
  const [name, ...parameters] = answer.split(";").map((part) => part.trim());
  if (name !== "permessage-deflate") throw new Error(`The server answers with "${name}"`);
  const agreed = new Map<string, number | undefined>();
  for (const parameter of parameters) {
    const [, key, , bits] = /^(\w+)(=(\d+))?$/.exec(parameter) ?? [];
    const isKnown = bits === undefined
      ? key === "server_no_context_takeover" || key === "client_no_context_takeover"
      : key === "server_max_window_bits" || key === "client_max_window_bits";
    if (!isKnown || agreed.has(key)) throw new Error(`The server answers with the parameter "${parameter}"`);
    agreed.set(key, bits === undefined ? undefined : Number(bits));
  }
  return {
    serverNoContextTakeover: agreed.has("server_no_context_takeover"),
    clientNoContextTakeover: agreed.has("client_no_context_takeover"),
    serverMaxWindowBits: agreed.get("server_max_window_bits") ?? 15,
    clientMaxWindowBits: agreed.get("client_max_window_bits") ?? 15,
  };
}

/** §7.2.1: what a sync flush ends with, and no message carries. */
const TAIL = Buffer.of(0x00, 0x00, 0xff, 0xff);
/** An empty last block: with it behind the tail, zlib tells a message that ends inside a block. */
const LAST_BLOCK = Buffer.of(0x03, 0x00);
/** §7.2.3.6: an empty message. */
const EMPTY = Buffer.of(0x00);

const { Z_SYNC_FLUSH } = constants;

/** A message as its sender compresses it without a window of earlier ones, §7.2.1. */
export function deflated(data: string | Uint8Array, level: number = 6, windowBits: number = 15): Buffer {
  if (data.length === 0) return EMPTY;
  return deflateRawSync(data, { level, windowBits, finishFlush: Z_SYNC_FLUSH }).subarray(0, -TAIL.length);
}

/** What lies in a compressed message, without a window of earlier ones. Throws at what is no whole message. */
export function inflated(payload: Uint8Array, windowBits: number = 15): Buffer {
  return inflateRawSync(Buffer.concat([payload, TAIL, LAST_BLOCK]), strict(windowBits));
}

/** With chunks no larger than the window, zlib refuses what refers to more than a window and a chunk before. */
function strict(windowBits: number): { windowBits: number; chunkSize: number } {
  return { windowBits, chunkSize: Math.max(512, 2 ** windowBits / 2) };
}

/** One direction whose window lives on from message to message. */
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

/** Both windows of a client. */
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

/** Takes RSV1 off the frames that may have it, and leaves all other rules to the strict reader. */
export class DeflatedFrameReader {
  readonly #reader = new ServerFrameReader();
  readonly #rsv1: boolean[] = [];
  #header: number[] = [];
  #payloadLeft = 0;

  /** The frames that are complete now. */
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

/** The length that a header states, once all of the header is there. */
function payloadLengthOf(header: Buffer): number | undefined {
  const length = header.length < 2 ? undefined : header[1] & 0x7f;
  if (length === undefined || length < 126) return length;
  if (length === 126) return header.length < 4 ? undefined : header.readUInt16BE(2);
  return header.length < 10 ? undefined : Number(header.readBigUInt64BE(2));
}

export interface ReceivedMessage {
  readonly data: string | Buffer;
  readonly isCompressed: boolean;
  /** Bytes of its payloads on the wire. */
  readonly wireBytes: number;
}

export interface SendOptions {
  /** Default true. */
  readonly compress?: boolean;
  /** How the payload, compressed or not, is cut into fragments. Default: not at all. */
  readonly cut?: (payload: Uint8Array) => readonly Uint8Array[];
  /** A frame that is sent between any two fragments. */
  readonly between?: Uint8Array;
}

export interface DeflateConnectOptions {
  readonly path?: string;
  /** Sec-WebSocket-Extensions of the request. */
  readonly offer?: string | undefined;
  readonly timeoutMs?: number;
}

/** The client's frames of one message, the first with RSV1 where the payload is compressed. */
export function framesOf(opcode: number, fragments: readonly Uint8Array[], isCompressed: boolean): Buffer[] {
  return fragments.map((fragment, i) =>
    frame(i === 0 ? opcode : opcodes.continuation, fragment, {
      fin: i === fragments.length - 1,
      rsv: i === 0 && isCompressed ? 4 : 0,
    })
  );
}

/** A WebSocket client over a bare TCP connection that compresses, and checks all that comes back. */
export class DeflateClient {
  /** Every frame received so far. */
  readonly frames: DeflatedFrame[] = [];
  /** The answered Sec-WebSocket-Extensions, or `""`. */
  readonly extensions: string;
  /** Undefined when the server has agreed to nothing. */
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

  /** Bytes that have come from the server, its answer to the handshake included. */
  get bytesReceived(): number {
    return this.#connection.socket.bytesRead;
  }

  get closeFrame(): DeflatedFrame | undefined {
    return this.frames.find(({ opcode }) => opcode === opcodes.close);
  }

  /** The frames of a message, as they would be sent now. */
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

  /** Sends each argument in a write of its own. */
  sendBytes(...chunks: Uint8Array[]): void {
    for (const chunk of chunks) this.#connection.write(chunk);
  }

  /** Sends each chunk in a turn of its own; stops when the server has closed. */
  async sendApart(chunks: Chunks): Promise<void> {
    await this.#connection.writeApart(chunks, () => this.closeFrame !== undefined);
  }

  /** Resolves once the system has taken all that was sent. */
  async written(): Promise<void> {
    // A write of nothing is done when all before it are, and fails when they can be done no more.
    await new Promise<void>((resolve) => this.#connection.socket.write(Buffer.alloc(0), () => resolve()));
  }

  async nextFrame(): Promise<DeflatedFrame> {
    await this.#connection.until("a frame", () => this.frames.length > this.#handedOut);
    return this.frames[this.#handedOut++];
  }

  /** The next whole message. Pings and Pongs are passed over. */
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

/** A connection to an echo server that offers compression, with both of its ends. No other may be made at the same time. */
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
