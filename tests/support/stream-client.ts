/**
 * A WebSocket client over any stream, such as TLS or a unix socket. For TCP there is `RawClient`, which can do more.
 */

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { closeBody, opcodes, ServerFrameReader } from "./frames.ts";
import { acceptFor, headerOf, statusOf, upgradeRequest } from "./raw-client.ts";

const TIMEOUT_MS = 10_000;

export class StreamClient {
  /** The head of the server's response. */
  readonly response: string;
  readonly stream: Duplex;
  readonly #messages: (string | Buffer)[] = [];
  readonly #reader = new ServerFrameReader();
  #closeBody: Buffer | undefined;

  static async connect(stream: Duplex, path: string = "/"): Promise<StreamClient> {
    const key = randomBytes(16).toString("base64");
    stream.write(upgradeRequest(path, { "Sec-WebSocket-Key": key }));
    let received = Buffer.alloc(0);
    while (!received.includes("\r\n\r\n")) received = Buffer.concat([received, await nextChunk(stream)]);
    const end = received.indexOf("\r\n\r\n") + 4;
    const response = received.toString("latin1", 0, end);
    if (statusOf(response) !== 101 || headerOf(response, "Sec-WebSocket-Accept") !== acceptFor(key)) {
      throw new Error(`The server refused the handshake:\n${received.toString("latin1")}`);
    }
    return new StreamClient(stream, response, received.subarray(end));
  }

  private constructor(stream: Duplex, response: string, early: Buffer) {
    this.stream = stream;
    this.response = response;
    stream.on("data", (bytes: Buffer) => this.#read(bytes));
    this.#read(early);
    stream.resume();
  }

  send(...frames: Uint8Array[]): void {
    for (const frame of frames) this.stream.write(frame);
  }

  /** Waits for the next message. The server is not expected to fragment messages. */
  async nextMessage(): Promise<string | Buffer> {
    while (this.#messages.length === 0) await nextEvent(this.stream, "data");
    return this.#messages.shift()!;
  }

  /**
   * Waits for the end of the connection, and gives the code and reason of the server's Close; 1006 when there was none.
   */
  async closed(): Promise<{ code: number; reason: string }> {
    if (!this.stream.closed) await nextEvent(this.stream, "close");
    const body = this.#closeBody ?? closeBody(1006);
    return { code: body.length === 0 ? 1005 : body.readUInt16BE(0), reason: body.toString("utf8", 2) };
  }

  #read(bytes: Buffer): void {
    for (const { opcode, payload } of this.#reader.read(bytes)) {
      if (opcode === opcodes.close) this.#closeBody = payload;
      else if (opcode === opcodes.text) this.#messages.push(payload.toString());
      else if (opcode === opcodes.binary) this.#messages.push(payload);
    }
  }
}

/** Many frames that are being sent. */
export interface Flood {
  /** The bytes that the operating system has taken so far. It takes no more when the other end does not read. */
  readonly takenBytes: number;
  /** Resolves when the last frame has been taken, or the stream has ended. */
  readonly done: Promise<void>;
}

/** Sends many frames, whether the other end reads them or not. */
export function flood(stream: Duplex, count: number, frameAt: (index: number) => Uint8Array): Flood {
  const state = { takenBytes: 0, done: Promise.resolve() };
  state.done = (async () => {
    for (let i = 0; i < count && stream.writable; i++) {
      const frame = frameAt(i);
      await new Promise<void>((resolve) =>
        stream.write(frame, (error) => {
          if (!error) state.takenBytes += frame.length;
          resolve();
        })
      );
    }
  })();
  return state;
}

/** Resolves when a figure has not changed for 300 ms. */
export async function untilStill(figure: () => number): Promise<void> {
  let last = -1;
  for (let quietRounds = 0; quietRounds < 6; quietRounds++) {
    await delay(50);
    if (figure() !== last) quietRounds = 0;
    last = figure();
  }
}

/** Reads everything that comes until the other side ends the connection. */
export async function readToEnd(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.once("end", () => stream.end());
  if (!stream.closed) await nextEvent(stream, "close");
  return Buffer.concat(chunks).toString("latin1");
}

async function nextChunk(stream: Duplex): Promise<Buffer> {
  const [chunk] = await nextEvent(stream, "data");
  stream.pause();
  return chunk as Buffer;
}

/** Waits for an event. The wait ends in an error after `TIMEOUT_MS`. */
async function nextEvent(stream: Duplex, event: string): Promise<unknown[]> {
  try {
    return await once(stream, event, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    throw new Error(`No "${event}" came from the stream`, { cause: error });
  }
}
