/**
 * The one file that knows which runtime it is on. What all three do alike is imported from `node:` modules anywhere; what they
 * do differently has its name, and its reason, here.
 */
import { Buffer, isUtf8 } from "node:buffer";
import { hash } from "node:crypto";
import type { Socket as RawSocket } from "node:net";
import { setImmediate } from "node:timers";
import type { Codec } from "./protocol/codec.ts";
import { ACCEPT_GUID } from "./protocol/handshake.ts";
import { HEADROOM_BYTES, HEADROOM_FROM_BYTES, HEADROOM_TO_BYTES, noteHeadroom } from "./protocol/headroom.ts";

/** The runtime that this process is. */
export const runtime: "node" | "deno" | "bun" = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node";

/** The value of Sec-WebSocket-Accept for a client's key, RFC 6455 §4.2.2. */
export function acceptKey(key: string): string {
  return hash("sha1", key + ACCEPT_GUID, "base64");
}

/** What `toString` calls in the end; all three runtimes have them, and for short texts the detour costs more than the decoding. */
interface SliceDecoders {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
}

function decoders(bytes: Uint8Array): SliceDecoders {
  return bytes as Uint8Array & SliceDecoders;
}

function allocate(byteLength: number): Buffer {
  if (byteLength < HEADROOM_FROM_BYTES || byteLength > HEADROOM_TO_BYTES) return Buffer.allocUnsafe(byteLength);
  const bytes = Buffer.allocUnsafe(HEADROOM_BYTES + byteLength).subarray(HEADROOM_BYTES);
  noteHeadroom(bytes);
  return bytes;
}

/** Native text decoding and memory for the protocol. */
export const codec: Codec = {
  isUtf8,
  allocate,
  free,
  decodeAscii: (bytes, start, end) => decoders(bytes).latin1Slice(start, end),
  decodeUtf8: (bytes, start, end) => decoders(bytes).utf8Slice(start, end),
};

/**
 * Whether a large frame leaves faster as one corked write of its header and its payload than as two writes: Deno gathers
 * corked writes at little cost, Node and Bun copy them or pay more for the gathering than for a second call.
 */
export const corksLargeFrames: boolean = runtime === "deno";

/**
 * Whether the peer has ended its side of a connection. `readableEnded` becomes true only when everything that came before
 * the end has been read. The state of the stream tells of the end as soon as it has come, on all three runtimes.
 */
export function hasPeerEnded(raw: RawSocket): boolean {
  return raw.readableEnded || (raw as { _readableState?: { ended?: boolean } })._readableState?.ended === true;
}

/** Whether a socket goes on reading into memory during its own `pause()`: Deno does so under TLS. */
export function readsWhilePaused(raw: RawSocket): boolean {
  return runtime === "deno" && "encrypted" in raw;
}

/**
 * Whether a connection that requests come on can be paused. Under TLS it cannot: Deno reads on into memory, and Node gives what it has decrypted already to an HTTP parser that
 * is paused, which takes that for a fault of the client.
 */
export function pausesRequests(raw: RawSocket): boolean {
  return runtime === "bun" || !("encrypted" in raw);
}

/** Deno's scheduler (tokio) asks the operating system about the sockets when it has nothing else to do, and otherwise once in so many turns of the event loop. */
const DENO_TURNS = 61;
/** While a socket keeps Deno busy, the operating system is asked at least this often. */
const DENO_ASK_MS = 5;

/** When Deno has certainly asked, and the steps that wait until it asks again. */
let lastAskedMs = 0;
let untilAsked: (() => void)[] | undefined;

/**
 * Does a step after other sockets have had their turn. On Node and Bun that is what `setImmediate` does. On Deno `setImmediate` lets in only the sockets that are known to have
 * something to read. For the others, empty turns of some 5 µs each must go by, which is done every few milliseconds. A timer instead would cost a whole millisecond, and prove
 * nothing: Deno runs timers that are due without asking the operating system.
 */
export function afterOtherSockets(step: () => void): void {
  if (runtime !== "deno" || performance.now() - lastAskedMs < DENO_ASK_MS) return void setImmediate(step);
  if (untilAsked !== undefined) return void untilAsked.push(step);
  untilAsked = [step];
  passTurns(DENO_TURNS);
}

function passTurns(count: number): void {
  if (count > 0) return void setImmediate(passTurns, count - 1);
  const steps = untilAsked!;
  untilAsked = undefined;
  lastAskedMs = performance.now();
  for (const step of steps) step();
}

/** What a `net.Socket` reads with. */
interface ReadHandle {
  readStop?(): void;
  readStart?(): void;
}

/** What the TCP connection below a TLS socket of Deno is read with. Nothing public leads there; where a later Deno has other names, undefined is given. */
function handleBelow(raw: RawSocket): ReadHandle | undefined {
  if (!readsWhilePaused(raw)) return undefined;
  return (raw as { _parent?: { _handle?: ReadHandle | null } | null })._parent?._handle ?? undefined;
}

/**
 * Stops reading until `resumeReading`. A TLS socket of Deno goes on reading into memory during `pause()`, and never emits an `end` that comes meanwhile. There, the TCP connection
 * below is stopped instead, and what has been decrypted already is still emitted.
 */
export function interruptReading(raw: RawSocket): void {
  const below = handleBelow(raw);
  if (typeof below?.readStop === "function") below.readStop();
  else raw.pause();
}

/** Reads again after `interruptReading`, or for the first time. */
export function resumeReading(raw: RawSocket): void {
  handleBelow(raw)?.readStart?.();
  raw.resume();
}

/** Freeing less than this costs more than it saves. */
const FREE_FROM_BYTES = 4 * 1024;

/**
 * Gives memory back at once that nobody uses any more, if it is large and not a part of something else. Left to the garbage collector, chunks of 64 KiB make it run all the time,
 * since they are large and nothing else is there to collect: that was a quarter of the cost of large messages on Node, and more on Bun. On Deno it costs more than it saves.
 */
export function free(bytes: Uint8Array): void {
  // Of a few bytes nobody must ask for the `buffer`: some runtimes only make it then, which costs more than reading them.
  if (runtime === "deno" || bytes.length < FREE_FROM_BYTES) return;
  const { buffer, byteOffset, length } = bytes;
  // Memory of a pool is not ours alone.
  if (byteOffset > HEADROOM_BYTES || byteOffset + length !== buffer.byteLength) return;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/**
 * Whether an HTTP server needs a plain `net` or `tls` server before it, which accepts the connections and hands them over. Bun's HTTP server ignores `reusePort`, and under
 * TLS it does not tell of a connection before its handshake, so that nobody could bound that.
 */
export function needsFrontServer(isTls: boolean, reusePort: boolean): boolean {
  return runtime === "bun" && (isTls || reusePort);
}

/** Whether a write of nothing ends the connection: under TLS, Deno answers it with EPERM. */
export function failsOnEmptyWrite(raw: RawSocket): boolean {
  return runtime === "deno" && "encrypted" in raw;
}

/**
 * Whether no request comes with more than a few hundred headers: Bun refuses those itself. To count them there would cost 5 % of a connection's memory, since their texts are made only
 * when somebody asks for them, and it keeps the request for as long as the connection.
 */
export const limitsHeaders: boolean = runtime === "bun";

/** What Bun has besides zlib. */
interface BunDeflate {
  deflateSync(bytes: Uint8Array, options: { level: number; library: "libdeflate" }): Uint8Array;
}

const bun = (globalThis as { Bun?: BunDeflate }).Bun;

/**
 * Where there is something better than zlib for it: compresses a whole text into a stream that ends with a final block. Bun's libdeflate takes half of zlib's time, and at its level 1
 * makes as little of JSON as zlib does at level 3.
 */
export const deflateWhole: ((bytes: Uint8Array) => Uint8Array) | undefined = bun &&
  ((bytes) => bun.deflateSync(bytes, { level: 1, library: "libdeflate" }));
