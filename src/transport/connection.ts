import { Buffer } from "node:buffer";
import type { Socket as RawSocket } from "node:net";
import { afterOtherSockets, codec, free, interruptReading, readsWhilePaused, resumeReading } from "../platform.ts";
import { CloseCode } from "../protocol/close.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { Opcode } from "../protocol/opcode.ts";
import type { ProtocolHandler } from "../protocol/protocol-handler.ts";
import { ServerProtocol } from "../protocol/server-protocol.ts";
import { MAX_UTF8_BYTES_PER_CHAR } from "../protocol/utf8.ts";
import { CompressingOutbox } from "./compressing-outbox.ts";
import type { ConnectionHandler, ConnectionSettings, SendResult } from "./connection-handler.ts";
import type { NegotiatedDeflate } from "./deflate/negotiated-deflate.ts";
import { destroyAfterWrites } from "./handshake-response.ts";
import { withSourceBytes } from "./lent-text.ts";
import { cork, Outbox, type OutboxOwner, uncork } from "./outbox.ts";
import type { HeartbeatTarget } from "./timers/heartbeat.ts";

/**
 * A socket whose reading has taken so long gives way to the others. What was sent until then is written, so a shorter turn
 * would cut a burst to many sockets into more writes: with 1 ms, twice as many bursts to 200 sockets are cut.
 */
const TURN_MS = 4;
/**
 * Chunks of this size and more are timed. A runtime reads one socket several times in a turn only while each time fills its buffer, of 64 KiB and more. For 16 messages of 1 KiB, two
 * calls of a clock would be 2 % of the work.
 */
const TIMED_FROM_BYTES = 32 * 1024;
/** Other sockets have had their turn when this one has rested for so many times as long as it was read. */
const REST_FACTOR = 4;

/** One property on the raw socket instead of a closure for each of its events. */
const CONNECTION = Symbol("duplex");

interface OwnedSocket extends RawSocket {
  [CONNECTION]: Connection;
}

/** Pongs that wait: the answer to the newest Ping, and the newest one that the application has sent of its own accord. */
interface WaitingPongs {
  reply?: Uint8Array;
  own?: Uint8Array;
}

function onData(this: RawSocket, chunk: Buffer): void {
  (this as OwnedSocket)[CONNECTION].receive(chunk);
}

function onEnd(this: RawSocket): void {
  (this as OwnedSocket)[CONNECTION].onPeerEnded();
}

function onClose(this: RawSocket): void {
  (this as OwnedSocket)[CONNECTION].onRawClosed();
}

/**
 * The pump between one raw socket and the protocol: chunks in, batched writes out, and the end of both. It starts paused, so that
 * nothing is read before its receiver is ready.
 */
export class Connection implements ProtocolHandler, HeartbeatTarget, OutboxOwner {
  #isAlive = true;
  /** Set while the operating system has not taken a Pong: then the next ones wait here. */
  #waitingPongs: WaitingPongs | undefined;
  isClosed = false;
  /** Whether reading has begun; a pause does not end it. */
  isStarted = false;
  /** What the message clock was last set for, see `#watchMessage`. */
  #watchedMessage = -1;
  #droppedMessages = 0;
  /** Whether the present reading is timed, from when on, and when the timed reading before it has ended. */
  #isTimed = false;
  #timedFromMs = 0;
  #timedToMs = 0;
  /** The reading of chunks from this size on is timed. Under TLS each record is a chunk, however small, and one turn of the event loop may bring thousands of them. */
  readonly #timedFromBytes: number;
  /** An event of the raw socket that is handled when all that came before it has been read. */
  #deferredEvent: "end" | "close" | undefined;
  #bytesReadAtPause = 0;
  readonly #raw: RawSocket;
  readonly #handler: ConnectionHandler;
  readonly #settings: ConnectionSettings;
  readonly #protocol: ServerProtocol;
  readonly #outbox: Outbox;
  readonly #compressingOutbox: CompressingOutbox | undefined;
  /** Somebody waits for `onDrain`, and the compressor has something left. */
  #isDrainDue = false;

  /** The raw socket must have had an `error` listener from its first moment. `head` are bytes that came with the handshake. */
  constructor(
    raw: RawSocket,
    head: Buffer,
    settings: ConnectionSettings,
    handler: ConnectionHandler,
    compression?: NegotiatedDeflate,
  ) {
    this.#raw = raw;
    this.#handler = handler;
    this.#settings = settings;
    this.#protocol = new ServerProtocol(this, codec, settings, compression?.inflater());
    this.#outbox = new Outbox(raw, this);
    if (compression !== undefined) {
      this.#compressingOutbox = new CompressingOutbox(compression, this.#outbox, () => this.#onCompressed());
    }
    (raw as OwnedSocket)[CONNECTION] = this;
    raw.setTimeout(0);
    raw.setNoDelay(true);
    // A TLS socket would otherwise end itself with the peer, before what came ahead of that end is read and answered.
    raw.allowHalfOpen = true;
    this.#timedFromBytes = "encrypted" in raw ? 0 : TIMED_FROM_BYTES;
    raw.on("end", onEnd);
    raw.on("close", onClose);
    this.#protocol.pause();
    if (head.length > 0) this.#protocol.receive(head);
    settings.timers.heartbeat?.add(this);
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** A peer that does not take the Pongs that it asks for is not heard: it could otherwise hold its connection without ever reading. */
  set isAlive(isHeard: boolean) {
    if (!isHeard || this.#waitingPongs === undefined) this.#isAlive = isHeard;
  }

  get isOpen(): boolean {
    return this.#protocol.state === "open" && !this.isClosed && this.#deferredEvent !== "close";
  }

  get isPaused(): boolean {
    return this.isStarted && this.#protocol.isPaused;
  }

  get isBusy(): boolean {
    return this.#protocol.isBusy;
  }

  /** Bytes that were sent and that the operating system has not taken. */
  get bufferedAmount(): number {
    if (this.isClosed) return 0;
    return this.#outbox.bufferedAmount + (this.#compressingOutbox?.bufferedAmount ?? 0);
  }

  /** Messages that `slowConsumer: "drop"` has thrown away. */
  get droppedMessages(): number {
    return this.#droppedMessages;
  }

  /** Begins to read. Later calls do nothing. */
  start(): void {
    if (!this.isStarted) this.resume();
  }

  pause(): void {
    this.#begin();
    if (this.#protocol.state !== "open") return;
    this.#protocol.pause();
    interruptReading(this.#raw);
    this.#watchMessage();
    if (!readsWhilePaused(this.#raw)) return;
    this.#bytesReadAtPause = this.#raw.bytesRead;
    this.#settings.timers.pauses.add(this);
  }

  /** Ends a pause that does not hold the peer back before it costs more memory than a slow consumer may. */
  checkPause(): void {
    if (!this.isPaused || this.isClosed) return;
    const { maxBufferedBytes, timers } = this.#settings;
    if (this.#raw.bytesRead - this.#bytesReadAtPause <= maxBufferedBytes) return timers.pauses.add(this);
    this.fail(new ProtocolError(CloseCode.TRY_AGAIN_LATER, `More than ${maxBufferedBytes} bytes came during a pause`));
  }

  resume(): void {
    if (this.isClosed) return;
    // The silence was ours, not the peer's.
    this.isAlive = true;
    this.#begin();
    cork();
    try {
      this.#protocol.resume();
    } finally {
      uncork();
    }
    // What had waited may have made the receiver pause again.
    if (this.#protocol.isSuspended) return;
    this.#endTime();
    this.#watchMessage();
    resumeReading(this.#raw);
    this.#runDeferredEvent();
  }

  receive(chunk: Buffer): void {
    this.isAlive = true;
    let isFree = false;
    const isLarge = chunk.length >= this.#timedFromBytes;
    if (isLarge && !this.#isTimed) this.#beginTime(performance.now());
    cork();
    try {
      isFree = this.#protocol.receive(chunk);
    } finally {
      uncork();
    }
    if (this.#isTimed && !this.#protocol.isBusy) {
      if (isLarge) this.#endTime();
      else this.#isTimed = false;
    }
    if (isFree) free(chunk);
    this.#watchMessage();
  }

  /** Sends a message, compressed or not as `compress` says, or as was agreed on. */
  send(data: string | Uint8Array, compress?: boolean): SendResult {
    if (!this.isOpen) return "refused";
    const { highWaterMark, maxBufferedBytes } = this.#settings;
    const cost = this.#outbox.bufferedAmount +
      (this.#compressingOutbox === undefined ? 0 : this.#compressingOutbox.cost);
    // A text has at most so many bytes; `#isSlow` counts them.
    if (cost + data.length * MAX_UTF8_BYTES_PER_CHAR > maxBufferedBytes && this.#isSlow(data)) return "refused";
    if (this.#compressingOutbox !== undefined) this.#compressingOutbox.send(data, compress);
    else if (typeof data === "string") this.#outbox.sendText(data);
    else this.#outbox.sendBytes(Opcode.BINARY, data);
    if (this.bufferedAmount <= highWaterMark) return "sent";
    this.notifyDrain();
    return "full";
  }

  /** Calls the receiver's `onDrain` as soon as nothing waits any more. */
  notifyDrain(): void {
    if (this.#compressingOutbox?.isIdle === false) this.#isDrainDue = true;
    else this.#outbox.notifyDrain();
  }

  ping(payload: Uint8Array): void {
    if (this.isOpen) this.writeControl(Opcode.PING, payload);
  }

  /** Sends a Pong that is no answer. */
  pong(payload: Uint8Array): void {
    if (this.isOpen) this.#sendPong(payload, "own");
  }

  /** Starts the closing handshake with a reason of at most 123 bytes. Reading goes on, also after a pause: the peer's Close has to be seen. Its caller may bound the wait itself. */
  close(code: number, reason: string, isTimed = true): void {
    if (!this.isOpen) return;
    this.#protocol.close(code, reason, Buffer.from(reason));
    this.#handler.onClosing();
    if (isTimed) this.#settings.timers.closings.add(this);
    this.resume();
  }

  /** Ends the connection for a fault of the peer. */
  fail(error: ProtocolError): void {
    this.#protocol.fail(error);
  }

  /** Cuts the TCP connection. What waits is lost. */
  terminate(): void {
    this.#protocol.terminate();
    this.#compressingOutbox?.discard();
    this.#outbox.discard();
    this.#raw.destroy();
    this.#handler.onClosing();
    if (this.#deferredEvent === "close") queueMicrotask(() => this.#runDeferredEvent());
  }

  // HeartbeatTarget

  sendPing(): void {
    this.ping(NO_BYTES);
  }

  onHeartbeatTimeout(): void {
    // While we do not read, no answer can be seen.
    if (this.#protocol.isSuspended) this.#settings.timers.heartbeat?.add(this);
    else this.terminate();
  }

  // ProtocolHandler

  onBinary(payload: Uint8Array): void {
    this.#handler.onMessage(payload, true);
  }

  onText(text: string, payload?: Uint8Array): boolean {
    if (payload !== undefined) return withSourceBytes(text, payload, () => this.#handler.onMessage(text, false));
    this.#handler.onMessage(text, false);
    return false;
  }

  onPing(payload: Uint8Array): void {
    this.#handler.onPing(payload);
  }

  onPong(payload: Uint8Array): void {
    this.#handler.onPong(payload);
  }

  onBusy(isBusy: boolean): void {
    if (isBusy) return interruptReading(this.#raw);
    // The server has not listened meanwhile, so that the peer counts as heard.
    this.isAlive = true;
    this.#endTime();
    this.#watchMessage();
    if (this.#protocol.isSuspended) return;
    resumeReading(this.#raw);
    this.#runDeferredEvent();
  }

  isTurnOver(): boolean {
    const nowMs = performance.now();
    // The chunk is small, and the frames before this one took too little time to be counted.
    if (!this.#isTimed) this.#beginTime(nowMs);
    return nowMs - this.#timedFromMs >= TURN_MS;
  }

  yieldTurn(resume: () => void): void {
    this.#isTimed = false;
    this.#timedFromMs = this.#timedToMs = 0;
    afterOtherSockets(() => {
      this.#beginTime(performance.now());
      cork();
      try {
        resume();
      } finally {
        uncork();
      }
    });
  }

  writeControl(opcode: Opcode, payload: Uint8Array): void {
    if (opcode === Opcode.PONG) return this.#sendPong(payload, "reply");
    if (opcode !== Opcode.CLOSE) {
      // One more Ping would tell nothing of a slow consumer.
      if (this.#outbox.bufferedAmount <= this.#settings.maxBufferedBytes) this.#outbox.sendBytes(opcode, payload);
      return;
    }
    // A Close is always said: after a fault at once, else behind all that was sent.
    if (this.#protocol.error !== undefined) this.#compressingOutbox?.discard();
    this.#afterSends(() => this.#outbox.sendBytes(opcode, payload));
  }

  /** §7.1.1: the server ends the TCP connection, and reads until the peer has done so too: a reset could overtake our Close. */
  onFinished(): void {
    const { error } = this.#protocol;
    this.#afterSends(() => {
      this.#outbox.writeAll();
      this.#raw.end();
    });
    resumeReading(this.#raw);
    this.#awaitClose();
    this.#handler.onClosing();
    if (error !== undefined) this.#handler.onError(error);
    if (this.#deferredEvent !== undefined) queueMicrotask(() => this.#runDeferredEvent());
  }

  // The raw socket

  /**
   * The peer sends nothing more. What it has sent before is read first. What it was sent is still written, for as long as
   * `closeTimeoutMs`: a peer that does not read would otherwise keep its socket.
   */
  onPeerEnded(): void {
    if (this.#defers("end")) return;
    this.#protocol.terminate();
    this.#afterSends(() => {
      this.#outbox.writeAll();
      destroyAfterWrites(this.#raw);
    });
    this.#awaitClose();
    this.#handler.onClosing();
  }

  onRawClosed(): void {
    if (this.#defers("close")) {
      this.#outbox.discard();
      this.#handler.onClosing();
      return;
    }
    const { closeReceived, error } = this.#protocol;
    this.#protocol.terminate();
    this.#compressingOutbox?.close();
    this.#outbox.discard();
    const { timers } = this.#settings;
    timers.messages.delete(this);
    timers.heartbeat?.delete(this);
    timers.closings.delete(this);
    timers.pauses.delete(this);
    this.isClosed = true;
    this.#handler.onClosing();
    if (closeReceived !== undefined) this.#handler.onClose(closeReceived.code, closeReceived.reason, true);
    else if (error !== undefined) this.#handler.onClose(error.closeCode, error.message, false);
    else this.#handler.onClose(CloseCode.ABNORMAL, "", false);
  }

  /**
   * Keeps an event of the raw socket back while something that came before it is still to be read. The closing clock bounds that.
   *
   * @returns whether the event waits
   */
  #defers(event: "end" | "close"): boolean {
    const { state, isBusy, isSuspended, hasUnread } = this.#protocol;
    // `for await` pauses after each message, and goes on as soon as its body has ended.
    const waits = isBusy || (isSuspended && hasUnread && (event === "end" || this.#deferredEvent === "end"));
    if (!waits || state === "closed") return false;
    this.#deferredEvent = event;
    this.#settings.timers.closings.add(this);
    return true;
  }

  #runDeferredEvent(): void {
    const event = this.#deferredEvent;
    this.#deferredEvent = undefined;
    if (event === "end") this.onPeerEnded();
    else if (event === "close") this.onRawClosed();
  }

  /** Until somebody listens, a stream reads no more than its buffer holds: to pause it costs a system call that this does not. */
  #begin(): void {
    if (this.isStarted) return;
    this.isStarted = true;
    this.#raw.on("data", onData);
  }

  /** Begins to time the reading. What was read shortly before counts too: one turn of the event loop may bring many chunks of one socket. */
  #beginTime(nowMs: number): void {
    const spentMs = this.#timedToMs - this.#timedFromMs;
    const hasRested = nowMs - this.#timedToMs >= REST_FACTOR * spentMs;
    this.#timedFromMs = hasRested ? nowMs : nowMs - spentMs;
    this.#isTimed = true;
  }

  #endTime(): void {
    if (!this.#isTimed) return;
    this.#timedToMs = performance.now();
    this.#isTimed = false;
  }

  /** The clock runs from a message's first byte to its last, so it is set anew when another message has begun. */
  #watchMessage(): void {
    const protocol = this.#protocol;
    const { messages } = this.#settings.timers;
    if (!protocol.isMidMessage || protocol.isPaused) {
      if (this.#watchedMessage === -1) return;
      this.#watchedMessage = -1;
      messages.delete(this);
    } else if (this.#watchedMessage !== protocol.completedUnits) {
      this.#watchedMessage = protocol.completedUnits;
      messages.add(this);
    }
  }

  /** Nothing more is read, so only the closing clock still has something to watch. */
  #awaitClose(): void {
    const { timers } = this.#settings;
    timers.messages.delete(this);
    timers.heartbeat?.delete(this);
    timers.closings.add(this);
  }

  /**
   * §5.5.3: of several Pings only the newest need be answered. While the peer reads, all of them are. Behind what the peer has not read there is one Pong at a time, and
   * one of each kind waits for that to be taken: a peer that sends Pings and never reads costs a few hundred bytes.
   */
  #sendPong(payload: Uint8Array, kind: keyof WaitingPongs): void {
    // A copy, since the payload may lie in a large chunk.
    if (this.#waitingPongs !== undefined) this.#waitingPongs[kind] = new Uint8Array(payload);
    else if (!this.#outbox.isStalled) this.#outbox.sendBytes(Opcode.PONG, payload);
    else {
      this.#waitingPongs = {};
      this.#outbox.sendAwaited(Opcode.PONG, payload, () => this.#onPongTaken());
    }
  }

  #onPongTaken(): void {
    const { reply, own } = this.#waitingPongs!;
    this.#waitingPongs = undefined;
    this.isAlive = true;
    // Nothing follows a Close.
    if (!this.isOpen) return;
    if (reply !== undefined) this.#sendPong(reply, "reply");
    if (own !== undefined) this.#sendPong(own, "own");
  }

  #afterSends(task: () => void): void {
    if (this.#compressingOutbox === undefined) task();
    else this.#compressingOutbox.after(task);
  }

  /** The operating system has taken all that was written. */
  onWritten(): void {
    if (this.isClosed) return;
    if (this.#compressingOutbox?.isIdle === false) this.#isDrainDue = true;
    else this.#handler.onDrain();
  }

  /** All that was being compressed is in the outbox. */
  #onCompressed(): void {
    if (!this.#isDrainDue) return;
    this.#isDrainDue = false;
    this.#outbox.notifyDrain();
  }

  /** Decides about a message that does not fit, and deals with the peer that has let it come so far. */
  #isSlow(data: string | Uint8Array): boolean {
    // What waits only for the end of the turn is not the peer's fault.
    this.#outbox.flush();
    const cost = this.#outbox.bufferedAmount + (this.#compressingOutbox?.cost ?? 0);
    if (cost === 0 || cost + Buffer.byteLength(data) <= this.#settings.maxBufferedBytes) return false;
    if (this.#settings.slowConsumer === "drop") {
      this.#droppedMessages++;
      this.notifyDrain();
    } else {
      this.fail(
        new ProtocolError(CloseCode.TRY_AGAIN_LATER, `Slow consumer: what waits to be read takes ${cost} bytes`),
      );
    }
    return true;
  }
}

const NO_BYTES = new Uint8Array(0);
