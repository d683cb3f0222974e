/**
 * The one file that knows the runtime. Code in which Node, Deno and Bun behave alike stands elsewhere and imports
 * `node:` modules itself. Each difference between the runtimes has a name and its reason here.
 *
 * Module state: the time at which Deno last asked the operating system about sockets (`lastAskedMs`), and the tasks
 * that wait until Deno asks again (`untilAsked`), which `afterOtherSockets` runs and resets by itself; on Node, garbage
 * that the next garbage replaces (`young`).
 */
import { Buffer, isUtf8 } from "node:buffer";
import crypto from "node:crypto";
import { Socket as RawSocket } from "node:net";
import process from "node:process";
import { setImmediate } from "node:timers";
import type { Codec } from "./protocol/codec.ts";
import { ACCEPT_GUID } from "./protocol/handshake.ts";
import { HEADROOM_BYTES, HEADROOM_FROM_BYTES, HEADROOM_TO_BYTES, noteHeadroom } from "./protocol/headroom.ts";

/** The runtime of this process. */
export const runtime: "node" | "deno" | "bun" = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node";

/** The oldest major version of Node that has all that the package uses. */
const OLDEST_NODE = 22;

// Without this, an older Node fails later, with an error that names a function of the language which it lacks. The
// imports of `node:` modules name nothing that Node 18 lacks, because such a name would fail before this line.
if (runtime === "node" && Number.parseInt(process.versions.node) < OLDEST_NODE) {
  throw new Error(`SpaceNode needs Node ${OLDEST_NODE} or later, and this is Node ${process.versions.node}`);
}

/** The value of Sec-WebSocket-Accept for the value of Sec-WebSocket-Key, RFC 6455 §4.2.2. */
export function acceptKey(key: string): string {
  return crypto.hash("sha1", key + ACCEPT_GUID, "base64");
}

/**
 * The methods of a `Buffer` that `toString` calls in the end. All three runtimes have them. For short texts, the way
 * through `toString` costs more than the decoding itself.
 */
interface SliceDecoders {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
}

function decoders(bytes: Uint8Array): SliceDecoders {
  return bytes as Uint8Array & SliceDecoders;
}

/**
 * Replaces bytes that are not valid UTF-8 by U+FFFD; undefined where `isUtf8` and `utf8Slice` are as fast. `ignoreBOM`
 * makes the decoder keep a byte order mark.
 */
const replacing = runtime === "deno" ? new TextDecoder("utf-8", { ignoreBOM: true }) : undefined;

/**
 * See `Codec.decodeUtf8`. On Deno, `isUtf8` costs as much as decoding, and `utf8Slice` twice as much as a `TextDecoder`
 * that replaces what is not valid. So the bytes are decoded at once there. Only a text with a replacement character has
 * to be checked: a peer may have sent that character.
 */
function decodeUtf8(bytes: Uint8Array, start: number, end: number): string | undefined {
  const part = bytes.subarray(start, end);
  if (replacing === undefined) return isUtf8(part) ? decoders(bytes).utf8Slice(start, end) : undefined;
  const text = replacing.decode(part);
  return text.includes("\ufffd") && !isUtf8(part) ? undefined : text;
}

function decodeValidUtf8(bytes: Uint8Array, start: number, end: number): string {
  return replacing?.decode(bytes.subarray(start, end)) ?? decoders(bytes).utf8Slice(start, end);
}

/** Gives uninitialised memory, with headroom in front of it where a large text can use that. */
function allocateForText(byteLength: number): Buffer {
  if (byteLength < HEADROOM_FROM_BYTES || byteLength > HEADROOM_TO_BYTES) return Buffer.allocUnsafe(byteLength);
  const bytes = Buffer.allocUnsafe(HEADROOM_BYTES + byteLength).subarray(HEADROOM_BYTES);
  noteHeadroom(bytes);
  return bytes;
}

/**
 * See `Codec.stayFromBytes`. On Node, memory of 64 bytes costs a tenth of that of 65, because V8 keeps it in its heap.
 * V8 is built without that in Deno, where any memory costs more than a microsecond. On Bun, the view of a chunk costs
 * more than a copy up to some size, because the view makes the engine give the chunk a real `ArrayBuffer`.
 */
const STAY_FROM_BYTES = { node: 65, deno: 0, bun: 1024 }[runtime];
/** Up to this size a loop copies faster than a call into native code. */
const LOOP_UP_TO_BYTES = 64;

/** Smaller memory than this comes with enough objects of its own. */
const GARBAGE_FROM_BYTES = 4 * 1024;
/** For so much memory, one array of 32 KiB becomes garbage. */
const GARBAGE_EVERY_BYTES = 64 * 1024;
const GARBAGE_ELEMENTS = 4 * 1024;

/** The memory since the newest array, and that array, which V8 makes only if it is kept somewhere. */
const young: { bytes: number; garbage: unknown[] } = { bytes: 0, garbage: [] };

/**
 * Gives memory that nothing else uses. On Node, large memory comes with some garbage on the heap of V8. V8 scavenges
 * after some MiB of new objects, and starts a mark-compact after 64 MiB of memory outside the heap. Either frees such
 * memory, but a mark-compact takes ten times as long. A message of 64 KiB has few objects, so that each thousandth
 * message caused a mark-compact. With the garbage, scavenges come first, and an echo of 64 KiB takes half of the time.
 */
function allocate(byteLength: number): Buffer {
  if (runtime === "node" && byteLength >= GARBAGE_FROM_BYTES) {
    for (young.bytes += byteLength; young.bytes >= GARBAGE_EVERY_BYTES; young.bytes -= GARBAGE_EVERY_BYTES) {
      young.garbage = new Array(GARBAGE_ELEMENTS);
    }
  }
  return Buffer.allocUnsafeSlow(byteLength);
}

/** See `Isolate`. `Buffer.allocUnsafe` would take memory that small buffers of the whole process share. */
function isolate(bytes: Uint8Array, frameStart: number, start: number, end: number): Buffer {
  const byteLength = end - start;
  if (frameStart === 0 && byteLength >= STAY_FROM_BYTES && end === bytes.length && end === bytes.buffer.byteLength) {
    const at = start & -8;
    if (at < start) bytes.copyWithin(at, start, end);
    return (bytes as Buffer).subarray(at, at + byteLength);
  }
  const own = allocate(byteLength);
  if (byteLength > LOOP_UP_TO_BYTES) (bytes as Buffer).copy(own, 0, start, end);
  else for (let i = 0; i < byteLength; i++) own[i] = bytes[start + i];
  return own;
}

/** Memory and native text functions for the protocol. */
export const codec: Codec = {
  isUtf8,
  isolate,
  stayFromBytes: STAY_FROM_BYTES,
  allocate,
  allocateForText,
  free,
  decodeAscii: (bytes, start, end) => decoders(bytes).latin1Slice(start, end),
  decodeUtf8,
  decodeValidUtf8,
};

/**
 * True when a large frame leaves faster as one corked write of its header and its payload than as two writes. Deno
 * gathers corked writes at little cost. Node and Bun copy them, or pay more for gathering them than for a second write.
 */
export const corksLargeFrames: boolean = runtime === "deno";

/**
 * True when the peer has ended its side of the TCP connection. `readableEnded` becomes true only after all bytes before
 * the end have been read. On all three runtimes, the internal state of the stream tells of the end as soon as it is
 * received.
 */
export function hasPeerEnded(raw: RawSocket): boolean {
  return raw.readableEnded || (raw as { _readableState?: { ended?: boolean } })._readableState?.ended === true;
}

/** True when a raw socket goes on reading into memory after its `pause()`. Deno does so under TLS. */
export function readsWhilePaused(raw: RawSocket): boolean {
  return runtime === "deno" && "encrypted" in raw;
}

/** True when a raw socket whose bytes go to an HTTP parser can be paused. Deno reads on into memory under TLS. */
export function pausesRequests(raw: RawSocket): boolean {
  return runtime !== "deno" || !("encrypted" in raw);
}

/**
 * Deno's scheduler (tokio) asks the operating system about sockets when it has nothing else to do, and otherwise once
 * in this many turns of the event loop.
 */
const DENO_TURNS = 61;
/** While a socket keeps Deno busy, the operating system is asked at least once in this time. */
const DENO_ASK_MS = 5;

/** The time at which Deno has certainly asked, and the tasks that wait until Deno asks again. */
let lastAskedMs = 0;
let untilAsked: (() => void)[] | undefined;

/**
 * Runs a task after other sockets have had their turn. On Node and Bun, `setImmediate` does just that. On Deno,
 * `setImmediate` gives a turn only to the sockets that are already known to have something to read. For the other
 * sockets, `DENO_TURNS` empty turns of some 5 µs each have to pass, and this function lets them pass once in
 * `DENO_ASK_MS`. A timer would cost a whole millisecond instead and would prove nothing, since Deno runs timers that
 * are due without asking the operating system.
 */
export function afterOtherSockets(task: () => void): void {
  if (runtime !== "deno" || performance.now() - lastAskedMs < DENO_ASK_MS) return void setImmediate(task);
  if (untilAsked !== undefined) return void untilAsked.push(task);
  untilAsked = [task];
  passTurns(DENO_TURNS);
}

/** Lets turns of the event loop pass, then runs the tasks that wait for them. */
function passTurns(count: number): void {
  if (count > 0) return void setImmediate(passTurns, count - 1);
  const tasks = untilAsked!;
  untilAsked = undefined;
  lastAskedMs = performance.now();
  for (const task of tasks) task();
}

/** A look at the sockets that takes less than this has found next to nothing, so nothing more waits to be read. */
const QUIET_MS = 2;
/** On Deno, what one look has found may come out of the runtime some turns later. */
const MIN_LOOKS = 8;
/** The sockets of a busy process are never quiet. */
const MAX_LOOKS = 32;

/**
 * Runs a task when the bytes that the operating system has received by now have been read. On all three runtimes,
 * timers run before sockets when the event loop goes on after a standstill: a handler that has computed for a minute, a
 * process that was stopped, a laptop that has slept. Whoever judges a peer by its silence has to read first, because
 * the answer may have come. One turn reads a thousand sockets at most on Deno and Bun, so the looks go on until one of
 * them was short.
 */
export function afterReading(task: () => void): void {
  look(task, 1);
}

function look(task: () => void, count: number): void {
  const fromMs = performance.now();
  afterOtherSockets(() => {
    const isQuiet = performance.now() - fromMs < QUIET_MS;
    if (count >= (isQuiet ? MIN_LOOKS : MAX_LOOKS)) task();
    else look(task, count + 1);
  });
}

/** The internal handle with which a `net.Socket` reads. */
interface ReadHandle {
  readStop?(): void;
  readStart?(): void;
}

/**
 * The read handle of the TCP connection below a TLS socket of Deno. Only private fields lead to that handle, so the
 * function gives `undefined` when a later Deno has other fields, and on all other sockets.
 */
function handleBelow(raw: RawSocket): ReadHandle | undefined {
  if (!readsWhilePaused(raw)) return undefined;
  return (raw as { _parent?: { _handle?: ReadHandle | null } | null })._parent?._handle ?? undefined;
}

/**
 * Stops reading until `resumeReading`. A TLS socket of Deno goes on reading into memory after `pause()`, and never
 * emits an `end` that it receives meanwhile. On such a socket, the TCP connection below is stopped instead; bytes that
 * have already been decrypted are still emitted.
 */
export function interruptReading(raw: RawSocket): void {
  const below = handleBelow(raw);
  if (typeof below?.readStop === "function") below.readStop();
  else raw.pause();
}

/** Starts reading, for the first time or again after `interruptReading`. */
export function resumeReading(raw: RawSocket): void {
  handleBelow(raw)?.readStart?.();
  raw.resume();
}

/** Freeing fewer bytes than this costs more than it saves. */
const FREE_FROM_BYTES = 4 * 1024;

/**
 * Frees memory that nobody uses any more, if it is large and not a part of other memory. Chunks of 64 KiB that are left
 * to the garbage collector make it run all the time, although there is nothing else to collect. That was a quarter of
 * the cost of large messages on Node, and more on Bun. On Deno, freeing costs more than it saves, so nothing is done
 * there.
 */
export function free(bytes: Uint8Array): void {
  // Short bytes return before `buffer` is read: some runtimes make the ArrayBuffer only then, which costs more than
  // reading the bytes.
  if (runtime === "deno" || bytes.length < FREE_FROM_BYTES) return;
  const { buffer, byteOffset, length } = bytes;
  // Bytes that are a part of a larger ArrayBuffer share it with others, as in Node's pool. Headroom in front belongs to
  // the bytes.
  if (byteOffset > HEADROOM_BYTES || byteOffset + length !== buffer.byteLength) return;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/**
 * True when an HTTP server needs a plain `net` or `tls` server in front of it, which accepts the TCP connections and
 * passes them on. Bun's HTTP server ignores `reusePort`, and listens at a port of its own when it is given the `fd` of
 * a socket. Under TLS, it does not tell of a connection before the TLS handshake is done, so that the time for the
 * handshake could not be limited.
 *
 * @param sharesPort whether the server has one of the options `reusePort` and `fd`
 */
export function needsFrontServer(isTls: boolean, sharesPort: boolean): boolean {
  return runtime === "bun" && (isTls || sharesPort);
}

/** True when a write of no bytes breaks the connection. Under TLS, such a write fails on Deno with EPERM. */
export function failsOnEmptyWrite(raw: RawSocket): boolean {
  return runtime === "deno" && "encrypted" in raw;
}

/**
 * True when the runtime itself refuses a request with more than a few hundred headers, as Bun does, so that the headers
 * need not be counted. On Bun, counting them would cost 5 % of the memory of a connection: Bun makes the texts of the
 * headers only when they are asked for, and keeps the request for as long as the connection.
 */
export const limitsHeaders: boolean = runtime === "bun";

/** The compression that Bun has besides zlib. */
interface BunDeflate {
  deflateSync(bytes: Uint8Array, options: { level: number; library: "libdeflate" }): Uint8Array;
}

const bun = (globalThis as { Bun?: BunDeflate }).Bun;

/**
 * Compresses a whole message into one DEFLATE stream that ends with a final block; `undefined` on a runtime that has
 * nothing better than zlib for that. Bun's libdeflate takes half of the time of zlib, and compresses JSON at level 1 as
 * well as zlib does at level 3.
 */
export const deflateWhole: ((bytes: Uint8Array) => Uint8Array) | undefined = bun &&
  ((bytes) => bun.deflateSync(bytes, { level: 1, library: "libdeflate" }));

/**
 * True when a raw socket exchanges its bytes with the operating system itself. The sockets of `node:net` and `node:tls`
 * do so on all three runtimes, those of HTTP servers included. The memory of a write to such a socket may be used again
 * once `writableLength` is 0, and nobody else refers to the chunks that it emits. Any other stream may keep the chunks
 * in both directions, even after it has called back. The stream that Node 26 hands out for a handshake whose body has
 * not come yet counts as such a stream too.
 */
export function isOperatingSystemSocket(raw: RawSocket): boolean {
  return raw instanceof RawSocket;
}
