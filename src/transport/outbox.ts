import { Buffer } from "node:buffer";
import type { Socket as RawSocket } from "node:net";
import process from "node:process";
import { corksLargeFrames, failsOnEmptyWrite, isOperatingSystemSocket } from "../platform.ts";
import { encodeHeader, headerBytes, MAX_SERVER_HEADER_BYTES } from "../protocol/frame-header.ts";
import { hasHeadroom, HEADROOM_FROM_BYTES } from "../protocol/headroom.ts";
import { Opcode } from "../protocol/opcode.ts";
import { MAX_UTF8_BYTES_PER_CHAR } from "../protocol/utf8.ts";
import { type LentText, sourceBytesOf } from "./lent-text.ts";

/*
 * Where frames wait for the end of the turn. Everything that is sent in one turn of the event loop leaves each socket in one write,
 * and frames cost no memory of their own: they are encoded one behind the other into a slab that all sockets share. What a socket has
 * to write is then usually one range of the slab. Of a message that many sockets send, one encoding serves them all, and after a burst
 * to many sockets they all have the same range.
 *
 * A write that waits in the raw socket costs a few hundred bytes more than it has. While the operating system takes nothing, the frames
 * of many turns are therefore gathered into blocks, so that what waits costs about as many bytes as it is counted for.
 */

/** Room for the frames of a turn; when it is full, what waits is written at once. */
const SLAB_BYTES = 64 * 1024;
/** A block of gathered frames begins with this size and doubles until it has the largest; then it is written, full. */
const MIN_BLOCK_BYTES = 512;
const MAX_BLOCK_BYTES = 64 * 1024;
/** From here on a payload is not copied into the slab but written from where it lies, behind its headroom where it has any. */
export const LARGE_FROM_BYTES: number = HEADROOM_FROM_BYTES;
/** Up to here a loop encodes ASCII faster than a call into native code. */
const LOOP_UP_TO_CHARS = 64;
let slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
let slabEnd = 0;
/** Sockets that may still have to read from the slab. If one does, it keeps the slab, and the next turn gets a new one. */
const slabReaders: RawSocket[] = [];

/** The last text in the slab and its frame, for who sends the same to many. */
let lastText: string | undefined;
let lastTextStart = 0;
let lastTextEnd = 0;

/** The last few payloads and their frames, likewise: where compression is not the same for all receivers, a message has as many. */
interface Encoded {
  payload: Uint8Array | undefined;
  opcode: number;
  start: number;
  end: number;
}
const recent: readonly Encoded[] = Array.from(
  { length: 4 },
  () => ({ payload: undefined, opcode: 0, start: 0, end: 0 }),
);
let oldest = 0;

/** The last large text and its frame, likewise. */
let lastLargeText: string | undefined;
let lastLargeFrame: Buffer | undefined;
/** The last range that was written, so that sockets with the same range share the view of it. */
let view: Buffer | undefined;
let viewStart = 0;
let viewEnd = 0;

const waiting: Outbox[] = [];
let isFlushScheduled = false;
let corks = 0;

/** Until `release`, frames wait even longer than the end of the turn's current step: more are about to come. */
export function cork(): void {
  corks++;
}

/** Ends a `hold` and writes what waits. */
export function uncork(): void {
  if (--corks === 0) flushAll();
}

/** Writes what waits, socket by socket. */
function flushAll(): void {
  // By index, since a write may make others send: they join the end of this list.
  for (let i = 0; i < waiting.length; i++) waiting[i].flush();
  waiting.length = 0;
  if (slabReaders.some((raw) => raw.writableLength > 0)) slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  slabReaders.length = 0;
  slabEnd = 0;
  lastText = undefined;
  for (let i = 0; i < recent.length; i++) recent[i].payload = undefined;
  lastLargeText = undefined;
  lastLargeFrame = undefined;
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

/** Makes room for a frame and gives where it begins. */
function reserve(byteLength: number): number {
  if (slabEnd + byteLength > SLAB_BYTES) flushAll();
  return slabEnd;
}

/** Whom an outbox belongs to. */
export interface OutboxOwner {
  /** Called once `bufferedAmount` has fallen to zero, after `notifyDrain`. */
  onWritten(): void;
}

/** The sending side of one socket. */
export class Outbox {
  readonly #raw: RawSocket;
  readonly #owner: OutboxOwner;
  /** The range of the slab that waits to be written, empty when nothing does. */
  #start = 0;
  #end = 0;
  /** Earlier ranges, as pairs, when other sockets' frames lie between. */
  #earlier: number[] | undefined;
  #waitingBytes = 0;
  /** The operating system did not take all of the last write, or frames are gathered. Looked at again where it matters. */
  #isStalled = false;
  /** Frames that are gathered while the raw socket is stalled, and how far they fill the block. */
  #block: Buffer | undefined;
  #blockEnd = 0;
  /** Writes that will call `#onTaken`. While there are any, gathered frames need no write of their own to be remembered. */
  #callbacks = 0;
  /** The owner waits for `onWritten`. */
  #isDrainDue = false;
  /** Made when a write has to call back for the first time. */
  #onTaken: ((error?: Error | null) => void) | undefined;
  /** Every write calls back, where an empty one cannot be used for that. */
  readonly #failsOnEmptyWrite: boolean;
  /** The raw socket is no socket of the operating system and may keep its chunks, so it gets only memory that nobody changes later. */
  readonly #mayKeepChunks: boolean;

  constructor(raw: RawSocket, owner: OutboxOwner) {
    this.#raw = raw;
    this.#owner = owner;
    this.#failsOnEmptyWrite = failsOnEmptyWrite(raw);
    this.#mayKeepChunks = !isOperatingSystemSocket(raw);
  }

  /** Bytes, headers included, that were sent and that the operating system has not taken yet. */
  get bufferedAmount(): number {
    if (!this.#isStalled || !this.isStalled) return this.#waitingBytes;
    return this.#waitingBytes + this.#blockEnd + this.#raw.writableLength;
  }

  /** Whether the operating system has left something of what was written. */
  get isStalled(): boolean {
    if (!this.#isStalled) return false;
    return this.#isStalled = this.#blockEnd > 0 || this.#raw.writableLength > 0;
  }

  /** Calls `onWritten` once `bufferedAmount` has fallen to zero. */
  notifyDrain(): void {
    if (this.#isDrainDue) return;
    this.#isDrainDue = true;
    // What waits for the end of the turn calls back when it is written.
    if (this.#waitingBytes === 0) this.#ensureCallback();
  }

  /** Sends a text message. */
  sendText(text: string): void {
    if (text === lastText) return this.#add(lastTextStart, lastTextEnd);
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

  /** Sends a frame with a payload of bytes. `RSV1` may be added to the opcode. */
  sendBytes(opcode: number, payload: Uint8Array): void {
    for (let i = 0; i < recent.length; i++) {
      const encoded = recent[i];
      if (encoded.payload === payload && encoded.opcode === opcode && isUnchanged(payload, encoded)) {
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

  /** Ends the turn for what waits: it is written, or gathered while the raw socket is stalled. */
  flush(): void {
    if (this.#waitingBytes === 0) return;
    if (this.#raw.destroyed) return this.#dropWaiting();
    if (this.isStalled) return this.#gather();
    this.#write(this.#takeWaiting());
    if (this.#isStalled) slabReaders.push(this.#raw);
  }

  /** Hands everything to the raw socket: something else is about to be written to it, or its end. */
  writeAll(): void {
    this.flush();
    this.#writeBlock();
  }

  /** Sends a frame behind all that was sent before, and calls back once the operating system has taken it. For a frame that is awaited one at a time. */
  sendAwaited(opcode: number, payload: Uint8Array, onTaken: () => void): void {
    this.writeAll();
    this.#callbacks++;
    this.#raw.write(frameInOwnMemory(opcode, payload), (error) => {
      if ((error ?? null) === null && !this.#raw.destroyed) onTaken();
      this.#afterWrite(error);
    });
    this.#isStalled = this.#raw.writableLength > 0;
  }

  /** Nothing that waits is written any more. */
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
    if (this.#isStalled || this.#isDrainDue || this.#failsOnEmptyWrite) this.#raw.write(bytes, this.#newCallback());
    else this.#raw.write(bytes);
    this.#isStalled = this.#raw.writableLength > 0;
  }

  #newCallback(): (error?: Error | null) => void {
    this.#callbacks++;
    return this.#onTaken ??= (error) => this.#afterWrite(error);
  }

  /** Some write is to call back once all that was handed to the raw socket so far has been taken. */
  #ensureCallback(): void {
    if (this.#callbacks > 0 || this.#raw.destroyed) return;
    const onTaken = this.#newCallback();
    if (this.#raw.writableEnded) this.#raw.once("finish", onTaken);
    // Every write calls back there, so nothing is under way.
    else if (this.#failsOnEmptyWrite) process.nextTick(onTaken);
    else this.#raw.write(NO_BYTES, onTaken);
  }

  /** The operating system has taken a write, unless the raw socket has failed. */
  #afterWrite(error: Error | null | undefined): void {
    this.#callbacks--;
    // What was thrown away with its socket has not been taken.
    if ((error ?? null) !== null || this.#raw.destroyed) return;
    // Later writes call back too: until the last of them has, more frames may be gathered.
    if (this.#raw.writableLength === 0 || this.#callbacks === 0) this.#writeBlock();
    if (!this.#isDrainDue) return;
    if (this.bufferedAmount > 0) {
      if (this.#waitingBytes === 0) this.#ensureCallback();
      return;
    }
    this.#isDrainDue = false;
    this.#owner.onWritten();
  }

  /** Puts what waits behind the frames that are gathered already. */
  #gather(): void {
    const ranges = this.#earlier;
    const [lastStart, lastEnd] = [this.#start, this.#end];
    this.#dropWaiting();
    for (let i = 0; ranges !== undefined && i < ranges.length; i += 2) this.#gatherRange(ranges[i], ranges[i + 1]);
    this.#gatherRange(lastStart, lastEnd);
    // The block is written by the write before it, when that calls back; the first has to be such a write.
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

  /** The block with room for so many bytes more, or as many as the largest block has. */
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

  /** The frame is encoded into memory of its own, header in front, and goes out in one write. */
  #sendLargeText(text: string): void {
    if (lastLargeFrame === undefined || text !== lastLargeText) {
      const byteLength = Buffer.byteLength(text);
      lastLargeFrame = Buffer.allocUnsafeSlow(headerBytes(byteLength) + byteLength);
      lastLargeFrame.write(text, encodeHeader(lastLargeFrame, 0, Opcode.TEXT, byteLength));
      lastLargeText = text;
      scheduleFlush();
    }
    this.writeAll();
    this.#write(lastLargeFrame);
  }

  #sendLentText({ payload, readers }: LentText): void {
    readers.push(this.#raw);
    this.#sendLargeBytes(Opcode.TEXT, payload);
  }

  /** The payload is not copied: unless there is room in front of it, its header joins what waits, and it follows as a write of its own. */
  #sendLargeBytes(opcode: number, payload: Uint8Array): void {
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
    // What is corked only waits for the next line but one.
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

/** The frame of a message whose header goes in front of its payload. To many sockets, too: a payload is only ever sent as what it came as, so it is always the same header. */
function frameInPlace(opcode: number, { buffer, byteOffset, length }: Uint8Array): Buffer {
  const room = headerBytes(length);
  const frame = Buffer.from(buffer as ArrayBuffer, byteOffset - room, room + length);
  encodeHeader(frame, 0, opcode, length);
  return frame;
}

/** A frame with a copy of its payload. */
function frameInOwnMemory(opcode: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafeSlow(headerBytes(payload.length) + payload.length);
  frame.set(payload, encodeHeader(frame, 0, opcode, payload.length));
  return frame;
}

/** Whether a frame still has the payload's bytes: the same array may have been filled anew, or resized. */
function isUnchanged(payload: Uint8Array, { start, end }: Encoded): boolean {
  const { length } = payload;
  const from = start + headerBytes(length);
  return from + length === end && slab.compare(payload, 0, length, from, end) === 0;
}

/** Encodes a text message of less than `LARGE_FROM_BYTES` at `start` of the slab and gives its end. */
function encodeText(start: number, text: string): number {
  const length = text.length;
  const guess = start + headerBytes(length); // right for ASCII
  let end = length <= LOOP_UP_TO_CHARS ? encodeAscii(guess, text) : -1;
  if (end === -1) end = guess + slab.write(text, guess);
  const byteLength = end - guess;
  const shift = headerBytes(byteLength) - headerBytes(length);
  if (shift > 0) slab.copyWithin(guess + shift, guess, end);
  encodeHeader(slab, start, Opcode.TEXT, byteLength);
  return end + shift;
}

/** Writes the characters one by one and gives their end, or -1 when one is not ASCII. */
function encodeAscii(at: number, text: string): number {
  for (let i = 0; i < text.length; i++) {
    const charCode = text.charCodeAt(i);
    if (charCode >= 0x80) return -1;
    slab[at + i] = charCode;
  }
  return at + text.length;
}
