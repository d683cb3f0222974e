/**
 * The sending side of a connection. Everything that is sent to one socket in one turn of the event loop leaves in one
 * write, and frames cost no memory of their own: they are encoded one behind the other into a slab that all sockets
 * share. The bytes that a socket has to write are then usually one range of the slab. A message that goes to many
 * sockets is encoded once, and after a burst to many sockets all of them have the same range.
 *
 * A write that waits in the raw socket costs a few hundred bytes more than its bytes. While the operating system takes
 * nothing, the frames of many turns are therefore gathered into blocks, so that waiting frames cost about as many bytes
 * as they are counted for.
 *
 * The memory of a write may be used again once `writableLength` is 0, because a socket of `node:net` or `node:tls` has
 * handed its bytes to the operating system by then. Any other stream may keep its chunks, so it gets copies: see
 * `isOperatingSystemSocket`.
 *
 * Module state, shared by all connections of the process. `flushAll` resets it at the end of each turn in which
 * something was sent, where nothing else is said:
 *
 * - `slab`, `slabEnd`: the memory of the turn's frames, and how far they fill it. The next turn begins at 0 again, in a
 *   new slab if one of the `slabReaders` has still to read from this one.
 * - `slabReaders`: the raw sockets that did not take all of their range at once.
 * - `lastText`, `lastTextStart`, `lastTextEnd`: the newest text in the slab, and the range of its frame.
 * - `recent`, `oldest`: the newest payloads of bytes, with the ranges of their frames, and which of them is replaced
 *   next. `flushAll` resets the payloads.
 * - `lastLarge`, `lastLargeOpcode`, `lastLargeFrame`: the newest large message, its opcode, and its frame.
 * - `largeMemory`, `largeReaders`: the memory of that frame, and the raw sockets that have still to read from it. The
 *   memory is used for the next large frame when they have, and stays for the next turns.
 * - `view`, `viewStart`, `viewEnd`: the `Buffer` over the range that was written last. It stays for as long as the
 *   slab: one message of the same size in each turn is always the same range.
 * - `waiting`: the outboxes that have sent something in this turn.
 * - `isFlushScheduled`: true from `scheduleFlush` until `flushScheduled` runs, which resets it.
 * - `corks`: how many calls of `cork` have no `uncork` yet. `uncork` counts it down.
 */
import { Buffer } from "node:buffer";
import type { Socket as RawSocket } from "node:net";
import process from "node:process";
import { corksLargeFrames, failsOnEmptyWrite, isOperatingSystemSocket } from "../platform.ts";
import { encodeHeader, headerBytes, MAX_SERVER_HEADER_BYTES } from "../protocol/frame-header.ts";
import { APART_BYTES, hasHeadroom, HEADROOM_FROM_BYTES } from "../protocol/headroom.ts";
import { Opcode } from "../protocol/opcode.ts";
import { MAX_UTF8_BYTES_PER_CHAR } from "../protocol/utf8.ts";
import { type LentText, sourceBytesOf } from "./lent-text.ts";

/** The size of the slab. When the frames of a turn do not fit, the waiting ones are written before the turn ends. */
const SLAB_BYTES = 64 * 1024;
/** The memory of larger frames is not kept for the next one. */
const MAX_KEPT_BYTES = 1024 * 1024 + APART_BYTES;
/** A block of gathered frames begins with this size and doubles up to `MAX_BLOCK_BYTES`. A full block is written. */
const MIN_BLOCK_BYTES = 512;
const MAX_BLOCK_BYTES = 64 * 1024;
/** From this size on a payload is not copied into the slab, but into the memory of large frames. */
export const LARGE_FROM_BYTES: number = HEADROOM_FROM_BYTES;
/** Up to this length a loop encodes ASCII faster than a call into native code. */
const LOOP_UP_TO_CHARS = 64;

let slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
let slabEnd = 0;
const slabReaders: RawSocket[] = [];

// A message that is sent to many sockets is encoded for the first of them only.

let lastText: string | undefined;
let lastTextStart = 0;
let lastTextEnd = 0;

/** A payload of bytes, and the range of its frame. */
interface Encoded {
  payload: Uint8Array | undefined;
  opcode: number;
  start: number;
  end: number;
}
/**
 * Several payloads, because a broadcast to sockets with different compression sends as many payloads of one message in
 * turn.
 */
const recent: readonly Encoded[] = Array.from(
  { length: 4 },
  () => ({ payload: undefined, opcode: 0, start: 0, end: 0 }),
);
let oldest = 0;

let largeMemory: Buffer | undefined;
const largeReaders: RawSocket[] = [];
let lastLarge: string | Uint8Array | undefined;
let lastLargeOpcode = 0;
let lastLargeFrame: Buffer | undefined;
/** Sockets and turns with the same range share one `Buffer` over it. */
let view: Buffer | undefined;
let viewStart = 0;
let viewEnd = 0;

const waiting: Outbox[] = [];
let isFlushScheduled = false;
let corks = 0;

/** Keeps frames waiting until `uncork`, because more are about to come. Calls may be nested. */
export function cork(): void {
  corks++;
}

/** Ends one `cork`. The end of the outermost one writes the waiting frames of all outboxes. */
export function uncork(): void {
  if (--corks === 0) flushAll();
}

/** Writes the waiting frames of all outboxes, and ends the turn for the slab. */
function flushAll(): void {
  // A write may make others send, and their outboxes join the end of this list while the loop runs.
  for (let i = 0; i < waiting.length; i++) waiting[i].flush();
  waiting.length = 0;
  if (slabReaders.length > 0) leaveSlab();
  slabEnd = 0;
  lastText = undefined;
  for (let i = 0; i < recent.length; i++) recent[i].payload = undefined;
  lastLarge = undefined;
  lastLargeFrame = undefined;
}

/** Takes a new slab if a raw socket has still to read from this one. */
function leaveSlab(): void {
  const isRead = slabReaders.some((raw) => raw.writableLength > 0);
  slabReaders.length = 0;
  if (!isRead) return;
  slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  view = undefined;
}

function scheduleFlush(): void {
  if (corks > 0 || isFlushScheduled) return;
  isFlushScheduled = true;
  process.nextTick(flushScheduled);
}

function flushScheduled(): void {
  isFlushScheduled = false;
  flushAll();
}

/** Makes room for a frame in the slab and returns where the frame begins. */
function reserve(byteLength: number): number {
  if (slabEnd + byteLength > SLAB_BYTES) flushAll();
  return slabEnd;
}

/** The connection that an outbox belongs to. */
export interface OutboxOwner {
  /** Called when `bufferedAmount` has fallen to zero after a call of `notifyDrain`. */
  onWritten(): void;
}

/** The sending side of one socket. */
export class Outbox {
  readonly #raw: RawSocket;
  readonly #owner: OutboxOwner;
  /** The range of the slab that waits to be written. It means nothing while `#waitingBytes` is 0. */
  #start = 0;
  #end = 0;
  /** The ranges before that one, as pairs of start and end, when frames of other sockets lie between them. */
  #earlier: number[] | undefined;
  #waitingBytes = 0;
  /**
   * True when the operating system has not taken all of the last write, or when frames are gathered. The field may be
   * true for longer than the state; the getter `isStalled` looks again.
   */
  #isStalled = false;
  /** The frames that were gathered while the raw socket was stalled, and how far they fill their block. */
  #block: Buffer | undefined;
  #blockEnd = 0;
  /** How many writes will still call back. Such a callback writes the gathered frames. */
  #callbacks = 0;
  /** True when the owner waits for `onWritten`. */
  #isDrainDue = false;
  /** The callback of all writes, made when a write has to call back for the first time. */
  #onTaken: ((error?: Error | null) => void) | undefined;
  /**
   * Where an empty write fails, it cannot be used as a callback behind earlier writes, so that every write calls back.
   */
  readonly #failsOnEmptyWrite: boolean;
  /** True for a raw socket that may keep its chunks: it gets only memory that nobody changes later. */
  readonly #mayKeepChunks: boolean;
  /** The bytes that were handed to the raw socket. */
  writtenBytes = 0;

  constructor(raw: RawSocket, owner: OutboxOwner) {
    this.#raw = raw;
    this.#owner = owner;
    this.#failsOnEmptyWrite = failsOnEmptyWrite(raw);
    this.#mayKeepChunks = !isOperatingSystemSocket(raw);
  }

  /** The bytes, headers included, that were sent and that the operating system has not taken yet. */
  get bufferedAmount(): number {
    if (!this.#isStalled || !this.isStalled) return this.#waitingBytes;
    return this.#waitingBytes + this.#blockEnd + this.#raw.writableLength;
  }

  /** True while the operating system has not taken all that was written, gathered frames included. */
  get isStalled(): boolean {
    if (!this.#isStalled) return false;
    return this.#isStalled = this.#blockEnd > 0 || this.#raw.writableLength > 0;
  }

  /** Asks for one call of `onWritten`, which comes once `bufferedAmount` has fallen to zero. */
  notifyDrain(): void {
    if (this.#isDrainDue) return;
    this.#isDrainDue = true;
    // Frames that wait for the end of the turn are written with a callback.
    if (this.#waitingBytes === 0) this.#ensureCallback();
  }

  /** Sends a text message. */
  sendText(text: string): void {
    if (text === lastText) {
      const start = this.#join(lastTextStart, lastTextEnd);
      lastTextEnd += start - lastTextStart;
      lastTextStart = start;
      return this.#add(lastTextStart, lastTextEnd);
    }
    const most = text.length * MAX_UTF8_BYTES_PER_CHAR;
    if (most >= LARGE_FROM_BYTES) {
      const lent = sourceBytesOf(text);
      if (lent !== undefined) return this.#sendLentText(lent);
      if (Buffer.byteLength(text) >= LARGE_FROM_BYTES) return this.#sendLargeText(text);
    }
    const start = reserve(Math.min(most, LARGE_FROM_BYTES + MAX_UTF8_BYTES_PER_CHAR) + MAX_SERVER_HEADER_BYTES);
    lastTextStart = start;
    lastTextEnd = slabEnd = encodeText(start, text);
    lastText = text;
    this.#add(start, slabEnd);
  }

  /**
   * Sends a frame with a payload of bytes. `RSV1` may be added to the opcode. The payload is copied, so the caller may
   * change it at once, or transfer its `ArrayBuffer`. A socket that has not taken all of a write goes on reading its
   * memory, also when that memory has been transferred and freed: another one's bytes would leave in its place.
   */
  sendBytes(opcode: number, payload: Uint8Array): void {
    for (let i = 0; i < recent.length; i++) {
      const encoded = recent[i];
      if (encoded.payload === payload && encoded.opcode === opcode && isUnchanged(payload, encoded)) {
        const start = this.#join(encoded.start, encoded.end);
        encoded.end += start - encoded.start;
        encoded.start = start;
        return this.#add(encoded.start, encoded.end);
      }
    }
    const byteLength = payload.length;
    if (byteLength >= LARGE_FROM_BYTES) return this.#sendLargeBytes(opcode, payload);
    const start = reserve(byteLength + MAX_SERVER_HEADER_BYTES);
    const at = encodeHeader(slab, start, opcode, byteLength);
    slab.set(payload, at);
    slabEnd = at + byteLength;
    const encoded = recent[oldest];
    oldest = (oldest + 1) % recent.length;
    encoded.payload = payload;
    encoded.opcode = opcode;
    encoded.start = start;
    encoded.end = slabEnd;
    this.#add(start, slabEnd);
  }

  /** Ends the turn for this outbox: its waiting frames are written, or gathered while the raw socket is stalled. */
  flush(): void {
    if (this.#waitingBytes === 0) return;
    if (this.#raw.destroyed) return this.#dropWaiting();
    if (this.isStalled) return this.#gather();
    this.#write(this.#takeWaiting());
    if (this.#isStalled) slabReaders.push(this.#raw);
  }

  /** Hands everything to the raw socket, which is about to be ended or to get a write from elsewhere. */
  writeAll(): void {
    this.flush();
    this.#writeBlock();
  }

  /**
   * Sends a frame behind all that was sent before, and calls back once the operating system has taken the frame. It
   * costs a write and memory of its own, so it is meant for one frame at a time.
   */
  sendAwaited(opcode: number, payload: Uint8Array, onTaken: () => void): void {
    this.writeAll();
    this.#callbacks++;
    const frame = frameInOwnMemory(opcode, payload);
    this.writtenBytes += frame.length;
    this.#raw.write(frame, (error) => {
      if ((error ?? null) === null && !this.#raw.destroyed) onTaken();
      this.#afterWrite(error);
    });
    this.#isStalled = this.#raw.writableLength > 0;
  }

  /** Drops the frames that the raw socket has not got yet, and the wish for a drain. */
  discard(): void {
    this.#dropWaiting();
    this.#block = undefined;
    this.#blockEnd = 0;
    this.#isDrainDue = false;
  }

  #dropWaiting(): void {
    this.#waitingBytes = 0;
    this.#start = this.#end = 0;
    this.#earlier = undefined;
  }

  #write(bytes: Uint8Array): void {
    this.writtenBytes += bytes.length;
    if (this.#isStalled || this.#isDrainDue || this.#failsOnEmptyWrite) this.#raw.write(bytes, this.#newCallback());
    else this.#raw.write(bytes);
    this.#isStalled = this.#raw.writableLength > 0;
  }

  #newCallback(): (error?: Error | null) => void {
    this.#callbacks++;
    return this.#onTaken ??= (error) => this.#afterWrite(error);
  }

  /** Makes sure that a callback comes once all that was handed to the raw socket so far has been taken. */
  #ensureCallback(): void {
    if (this.#callbacks > 0 || this.#raw.destroyed) return;
    const onTaken = this.#newCallback();
    if (this.#raw.writableEnded) this.#raw.once("finish", onTaken);
    // Every write calls back there, and no callback is due, so all writes have been taken.
    else if (this.#failsOnEmptyWrite) process.nextTick(onTaken);
    else this.#raw.write(NO_BYTES, onTaken);
  }

  /** Called when the operating system has taken a write, or when the raw socket has failed. */
  #afterWrite(error: Error | null | undefined): void {
    this.#callbacks--;
    // The bytes of a socket that has failed were thrown away, not taken.
    if ((error ?? null) !== null || this.#raw.destroyed) return;
    // While later writes have still to call back, more frames may be gathered.
    if (this.#raw.writableLength === 0 || this.#callbacks === 0) this.#writeBlock();
    if (!this.#isDrainDue) return;
    if (this.bufferedAmount > 0) {
      if (this.#waitingBytes === 0) this.#ensureCallback();
      return;
    }
    this.#isDrainDue = false;
    this.#owner.onWritten();
  }

  /** Moves the waiting frames behind those that are gathered already. */
  #gather(): void {
    const ranges = this.#earlier;
    const [lastStart, lastEnd] = [this.#start, this.#end];
    this.#dropWaiting();
    for (let i = 0; ranges !== undefined && i < ranges.length; i += 2) this.#gatherRange(ranges[i], ranges[i + 1]);
    this.#gatherRange(lastStart, lastEnd);
    // A callback writes the block. Where none is due, the block is written now, and its write calls back.
    if (this.#callbacks === 0) this.#writeBlock();
  }

  #gatherRange(start: number, end: number): void {
    while (start < end) {
      const block = this.#blockFor(end - start);
      const byteLength = slab.copy(block, this.#blockEnd, start, end);
      start += byteLength;
      this.#blockEnd += byteLength;
      if (this.#blockEnd === MAX_BLOCK_BYTES) this.#writeBlock();
    }
  }

  /** Returns the block, grown so that it has room for that many bytes more, or to the size of the largest block. */
  #blockFor(byteLength: number): Buffer {
    const block = this.#block;
    const needed = this.#blockEnd + byteLength;
    if (block !== undefined && (needed <= block.length || block.length === MAX_BLOCK_BYTES)) return block;
    const doubled = Math.max(needed, 2 * (block?.length ?? 0), MIN_BLOCK_BYTES);
    const larger = Buffer.allocUnsafeSlow(Math.min(doubled, MAX_BLOCK_BYTES));
    block?.copy(larger, 0, 0, this.#blockEnd);
    return this.#block = larger;
  }

  #writeBlock(): void {
    if (this.#blockEnd === 0) return;
    const bytes = this.#block!.subarray(0, this.#blockEnd);
    this.#block = undefined;
    this.#blockEnd = 0;
    if (this.#raw.destroyed) return;
    this.#write(bytes);
  }

  #add(start: number, end: number): void {
    if (this.#waitingBytes === 0) {
      this.#start = start;
      waiting.push(this);
      scheduleFlush();
    } else if (this.#end !== start) {
      (this.#earlier ??= []).push(this.#start, this.#end);
      this.#start = start;
    }
    this.#end = end;
    this.#waitingBytes += end - start;
  }

  /**
   * Returns where a frame of the slab can be added to the waiting frames. Frames that end where the slab ends get a
   * copy right behind them, so that they stay one range: a burst that repeats a message leaves without being gathered.
   * The next socket of the same burst finds the copy behind its own frames.
   */
  #join(start: number, end: number): number {
    const copyStart = slabEnd;
    const copyEnd = copyStart + end - start;
    if (this.#waitingBytes === 0 || this.#end !== copyStart || copyEnd > SLAB_BYTES) return start;
    slab.copyWithin(copyStart, start, end);
    slabEnd = copyEnd;
    return copyStart;
  }

  #takeWaiting(): Buffer {
    const byteLength = this.#waitingBytes;
    const earlier = this.#earlier;
    this.#waitingBytes = 0;
    if (earlier === undefined) {
      const range = viewOf(this.#start, this.#end);
      return this.#mayKeepChunks ? Buffer.from(range) : range;
    }
    this.#earlier = undefined;
    earlier.push(this.#start, this.#end);
    const bytes = Buffer.allocUnsafe(byteLength);
    let at = 0;
    for (let i = 0; i < earlier.length; i += 2) at += slab.copy(bytes, at, earlier[i], earlier[i + 1]);
    return bytes;
  }

  /** Encodes the frame, header in front, so that it goes out in one write. */
  #sendLargeText(text: string): void {
    this.writeAll();
    const isLast = lastLargeFrame !== undefined && text === lastLarge;
    this.#writeLarge(isLast ? lastLargeFrame! : encodeLarge(Opcode.TEXT, text, Buffer.byteLength(text)));
  }

  #sendLargeBytes(opcode: number, payload: Uint8Array): void {
    this.writeAll();
    this.#writeLarge(isLastLarge(opcode, payload) ? lastLargeFrame! : encodeLarge(opcode, payload, payload.length));
  }

  #writeLarge(frame: Buffer): void {
    if (this.#mayKeepChunks) return this.#write(Buffer.from(frame));
    this.#write(frame);
    if (this.#isStalled) largeReaders.push(this.#raw);
  }

  /**
   * Sends a text without a copy. A payload with headroom gets its header in front and leaves in one write. The header
   * of another one joins the waiting frames, and the payload follows as a write of its own.
   */
  #sendLentText({ payload, readers }: LentText): void {
    readers.push(this.#raw);
    const opcode = Opcode.TEXT;
    if (this.#mayKeepChunks) {
      this.writeAll();
      return this.#write(frameInOwnMemory(opcode, payload));
    }
    if (hasHeadroom(payload)) {
      this.writeAll();
      return this.#write(frameInPlace(opcode, payload));
    }
    const start = reserve(MAX_SERVER_HEADER_BYTES);
    slabEnd = encodeHeader(slab, start, opcode, payload.length);
    this.#add(start, slabEnd);
    if (!corksLargeFrames) {
      this.writeAll();
      return this.#write(payload);
    }
    const isStalled = this.isStalled;
    this.#raw.cork();
    this.writeAll();
    // The corked header counts in `writableLength`, but only until `uncork` below: the raw socket is not stalled by it.
    this.#isStalled = isStalled;
    this.#write(payload);
    this.#raw.uncork();
    this.#isStalled = this.#raw.writableLength > 0;
  }
}

const NO_BYTES = Buffer.alloc(0);

function viewOf(start: number, end: number): Buffer {
  if (view === undefined || viewStart !== start || viewEnd !== end) {
    view = slab.subarray(start, end);
    viewStart = start;
    viewEnd = end;
  }
  return view;
}

/** Encodes the frame of a large message, and remembers it until the end of the turn. */
function encodeLarge(opcode: number, data: string | Uint8Array, byteLength: number): Buffer {
  const room = headerBytes(byteLength);
  // The payload begins at `APART_BYTES`, and the header ends there.
  const frame = memoryForLarge(APART_BYTES + byteLength).subarray(APART_BYTES - room, APART_BYTES + byteLength);
  encodeHeader(frame, 0, opcode, byteLength);
  if (typeof data === "string") frame.write(data, room);
  else frame.set(data, room);
  lastLarge = data;
  lastLargeOpcode = opcode;
  lastLargeFrame = frame;
  scheduleFlush();
  return frame;
}

/** Returns memory for a large frame: that of the frame before it, if it is large enough and no socket reads it. */
function memoryForLarge(byteLength: number): Buffer {
  const isFree = largeMemory !== undefined && !largeReaders.some((raw) => raw.writableLength > 0);
  largeReaders.length = 0;
  if (isFree && byteLength <= largeMemory!.length) return largeMemory!;
  const memory = Buffer.allocUnsafeSlow(byteLength);
  largeMemory = byteLength <= MAX_KEPT_BYTES ? memory : undefined;
  return memory;
}

/** True when the newest large frame is that of the payload. The array may have been filled anew, or resized, since. */
function isLastLarge(opcode: number, payload: Uint8Array): boolean {
  if (lastLargeFrame === undefined || payload !== lastLarge || opcode !== lastLargeOpcode) return false;
  const { length } = payload;
  const from = headerBytes(length);
  return from + length === lastLargeFrame.length && lastLargeFrame.compare(payload, 0, length, from) === 0;
}

/**
 * Writes the header in front of a payload that has headroom. Several sockets may send the same payload: a payload is
 * always sent with the opcode with which it came, so the header is the same for all of them.
 */
function frameInPlace(opcode: number, { buffer, byteOffset, length }: Uint8Array): Buffer {
  const room = headerBytes(length);
  const frame = Buffer.from(buffer as ArrayBuffer, byteOffset - room, room + length);
  encodeHeader(frame, 0, opcode, length);
  return frame;
}

/** Makes a frame with a copy of the payload, in memory that nothing else uses. */
function frameInOwnMemory(opcode: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafeSlow(headerBytes(payload.length) + payload.length);
  frame.set(payload, encodeHeader(frame, 0, opcode, payload.length));
  return frame;
}

/** True when the frame still has the payload's bytes: the array may have been filled anew, or resized, since. */
function isUnchanged(payload: Uint8Array, { start, end }: Encoded): boolean {
  const { length } = payload;
  const from = start + headerBytes(length);
  return from + length === end && slab.compare(payload, 0, length, from, end) === 0;
}

/** Encodes a text message of less than `LARGE_FROM_BYTES` at `start` of the slab and returns where the frame ends. */
function encodeText(start: number, text: string): number {
  const length = text.length;
  const guess = start + headerBytes(length); // exact for ASCII
  let end = length <= LOOP_UP_TO_CHARS ? encodeAscii(guess, text) : -1;
  if (end === -1) end = guess + slab.write(text, guess);
  const byteLength = end - guess;
  const shift = headerBytes(byteLength) - headerBytes(length);
  if (shift > 0) slab.copyWithin(guess + shift, guess, end);
  encodeHeader(slab, start, Opcode.TEXT, byteLength);
  return end + shift;
}

/** Writes the characters one by one and returns where they end, or -1 when one of them is not ASCII. */
function encodeAscii(at: number, text: string): number {
  for (let i = 0; i < text.length; i++) {
    const charCode = text.charCodeAt(i);
    if (charCode >= 0x80) return -1;
    slab[at + i] = charCode;
  }
  return at + text.length;
}
