/**
 * Runs `ServerProtocol` without any I/O: a handler that records its calls, and functions that cut bytes into chunks.
 */

import { codec } from "../../src/platform.ts";
import type { Codec } from "../../src/protocol/codec.ts";
import type { MessageLimits } from "../../src/protocol/message.ts";
import { Opcode } from "../../src/protocol/opcode.ts";
import type { ProtocolHandler } from "../../src/protocol/protocol-handler.ts";
import { ServerProtocol } from "../../src/protocol/server-protocol.ts";

export const defaultLimits: MessageLimits = { maxMessageBytes: 1 << 20, maxFragments: 16_384 };

/**
 * Records the calls of the protocol in order, one line each: `text Hello`, `binary 00ff`, `ping 61` and `pong 61` for
 * messages and control frames that were read, `> pong 61` and `> close 1000 bye` for frames that are to be sent, `busy`
 * and `free` for `onBusy`, and `finished` for `onFinished`.
 */
export class RecordingHandler implements ProtocolHandler {
  readonly lines: string[] = [];
  readonly messages: (string | Uint8Array)[] = [];
  /** Called with its line after each message, Ping and Pong has been recorded. */
  onHandedOut: (line: string) => void = () => {};

  /** The result of `onText` for a large text. */
  keepsPayloads = false;

  onBinary(payload: Uint8Array): void {
    this.messages.push(payload);
    this.#handOut(`binary ${toHex(payload)}`);
  }

  onText(text: string, payload?: Uint8Array): boolean {
    if (payload !== undefined && Buffer.from(payload).toString() !== text) {
      throw new Error("The payload is not the text's");
    }
    this.messages.push(text);
    this.#handOut(`text ${text}`);
    return payload !== undefined && this.keepsPayloads;
  }

  onPing(payload: Uint8Array): void {
    this.#handOut(`ping ${toHex(payload)}`);
  }

  onPong(payload: Uint8Array): void {
    this.#handOut(`pong ${toHex(payload)}`);
  }

  onBusy(isBusy: boolean): void {
    this.lines.push(isBusy ? "busy" : "free");
  }

  /** Never true, unless a test replaces it. */
  isTurnOver: () => boolean = () => false;

  yieldTurn(resume: () => void): void {
    this.resume = resume;
  }

  /** Lets a connection go on that has called `yieldTurn`. */
  resume: () => void = () => {};

  writeControl(opcode: Opcode, payload: Uint8Array): void {
    if (opcode === Opcode.CLOSE) this.lines.push(closeLine(Buffer.from(payload)));
    else this.lines.push(`> ${opcode === Opcode.PONG ? "pong" : `opcode ${opcode}`} ${toHex(payload)}`);
  }

  onFinished(): void {
    this.lines.push("finished");
  }

  #handOut(line: string): void {
    this.lines.push(line);
    this.onHandedOut(line);
  }
}

export interface Recording {
  readonly protocol: ServerProtocol;
  readonly handler: RecordingHandler;
  /** The lines of the handler. */
  readonly lines: string[];
}

export function record(limits: Partial<MessageLimits> = {}, overrides: Partial<Codec> = {}): Recording {
  const handler = new RecordingHandler();
  const protocol = new ServerProtocol(handler, { ...codec, ...overrides }, { ...defaultLimits, ...limits });
  return { protocol, handler, lines: handler.lines };
}

/** Gives the chunks to a new connection. Each chunk is copied first, because payloads are unmasked in place. */
export function run(chunks: Iterable<Uint8Array>, limits: Partial<MessageLimits> = {}): Recording {
  const recording = record(limits);
  for (const chunk of chunks) recording.protocol.receive(Buffer.from(chunk));
  return recording;
}

/** Frames that arrive together. */
export function chunkOf(...frames: Uint8Array[]): Buffer {
  return Buffer.concat(frames);
}

/** The lines of a connection that fails with this close code. */
export function failed(closeCode: number): string[] {
  return [`> close ${closeCode}`, "finished"];
}

/** Above this many bytes, only the places where headers and characters are likely to stand are tried as cuts. */
const allCutsBytes = 300;

/** The bytes as one chunk, cut in two at every place, and octet by octet, each way with its name. */
export function* everyCut(bytes: Uint8Array): Generator<[name: string, chunks: Uint8Array[]]> {
  yield ["whole", [bytes]];
  for (let at = 1; at < bytes.length; at++) {
    if (bytes.length > allCutsBytes && at > 20 && at < bytes.length - 5) continue;
    yield [`cut at ${at}`, cutAt(bytes, [at])];
  }
  yield ["octet by octet", Array.from(bytes, (octet) => Uint8Array.of(octet))];
}

/** The bytes cut at each of the positions, which may stand in any order and more than once. */
export function cutAt(bytes: Uint8Array, positions: readonly number[]): Uint8Array[] {
  const bounds = [0, ...[...positions].sort((a, b) => a - b), bytes.length];
  return bounds.slice(1).map((end, i) => bytes.subarray(bounds[i], end));
}

/** The close code of the error that `run` throws, or `undefined` when `run` throws nothing. */
export function faultOf(run: () => unknown): number | undefined {
  try {
    run();
  } catch (error) {
    return (error as { closeCode: number }).closeCode;
  }
  return undefined;
}

/**
 * A shorter time depends mostly on memory, whose cost grows in steps: from a certain size on, a text lies elsewhere.
 */
const SHORTEST_MS = 0.05;

/**
 * How many times longer `run` takes for eight times the size, each time being the best of several runs. The result is
 * about 8 when the time is linear, and about 64 when it is quadratic.
 */
export function growthOverEight(size: number, run: (size: number) => void): number {
  const best = (of: number): number => {
    let bestMs = Infinity;
    for (let i = 0; i < 7; i++) {
      const startMs = performance.now();
      run(of);
      bestMs = Math.min(bestMs, performance.now() - startMs);
    }
    return bestMs;
  };
  best(size); // lets the runtime compile the code
  // Other programs may slow down the longer of two measurements, so the least of several results counts. Quadratic time
  // shows in each of them.
  return Math.min(...Array.from({ length: 4 }, () => {
    const oneMs = best(size);
    return best(size * 8) / Math.max(oneMs, SHORTEST_MS);
  }));
}

function closeLine(body: Buffer): string {
  if (body.length === 0) return "> close";
  const reason = body.toString("utf8", 2);
  return `> close ${body.readUInt16BE(0)}${reason === "" ? "" : ` ${reason}`}`;
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
