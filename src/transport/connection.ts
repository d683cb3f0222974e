import { Buffer } from "node:buffer";
import type { Socket as RawSocket } from "node:net";
import type { TLSSocket } from "node:tls";
import {
  afterOtherSockets,
  codec,
  free,
  interruptReading,
  isOperatingSystemSocket,
  readsWhilePaused,
  resumeReading,
} from "../platform.ts";
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
 * After this time the reading of one socket gives way to the other sockets. The frames that were sent until then are
 * written at that point, so a shorter turn would cut a burst to many sockets into more writes: with 1 ms, twice as many
 * bursts to 200 sockets are cut.
 */
const TURN_MS = 4;
/**
 * The reading of chunks from this size on is timed. A runtime reads one socket several times in a turn only while each
 * read fills its buffer, which has 64 KiB and more. Two calls of a clock would be 2 % of the work for a chunk with 16
 * messages of 1 KiB.
 */
const TIMED_FROM_BYTES = 32 * 1024;
/** Other sockets have had their turn when this one has rested for this many times as long as it was read. */
const REST_FACTOR = 4;

/** The connection of a raw socket is a property of it, which costs less than a closure for each of its events. */
const CONNECTION = Symbol("connection");

interface OwnedSocket extends RawSocket {
  [CONNECTION]: Connection;
}

/** The payloads of the Pongs that wait until the operating system has taken the Pong before them. */
interface WaitingPongs {
  /** The answer to the newest Ping. */
  reply?: Uint8Array;
  /** The newest Pong that the application has sent of its own accord. */
  own?: Uint8Array;
}

function onData(this: RawSocket, chunk: Buffer): void {
  (this as OwnedSocket)[CONNECTION].receive(chunk);
}

/**
 * For a stream that is no socket of the operating system: chunks are unmasked in place and their memory is freed, while
 * somebody else may refer to the chunks of such a stream.
 */
function onForeignData(this: RawSocket, chunk: Buffer): void {
  (this as OwnedSocket)[CONNECTION].receive(Buffer.from(chunk));
}

function onEnd(this: RawSocket): void {
  (this as OwnedSocket)[CONNECTION].onPeerEnded();
}

function onClose(this: RawSocket): void {
  (this as OwnedSocket)[CONNECTION].onRawClosed();
}

/**
 * One WebSocket connection after its handshake. It moves bytes between the raw socket and the `ServerProtocol`, calls
 * the `ConnectionHandler`, and applies the limits of memory and time. It starts paused, so that nothing is read before
 * the handler is ready. In which order a connection ends is explained at "The raw socket" below.
 */
export class Connection implements ProtocolHandler, HeartbeatTarget, OutboxOwner {
  /** See `HeartbeatTarget`. */
  unansweredPings = 0;
  /** Set while the operating system has not taken a Pong that was sent with a callback: the next ones wait here. */
  #waitingPongs: WaitingPongs | undefined;
  /** True when the TCP connection has ended and `onClose` has been called, or is about to be. */
  isClosed = false;
  /** True when reading has begun. A pause does not change it. */
  isStarted = false;
  /** The message that has a deadline, counted as `completedUnits` counts; -1 when none has. See `#watchMessage`. */
  #watchedMessage = -1;
  #droppedMessages = 0;
  /** Whether the present reading is timed, when it has begun, and when the timed reading before it has ended. */
  #isTimed = false;
  #timedFromMs = 0;
  #timedToMs = 0;
  /**
   * The reading of chunks from this size on is timed. Under TLS all of it is: each record is a chunk, however small,
   * and one turn of the event loop may bring thousands of them.
   */
  readonly #timedFromBytes: number;
  /** An event of the raw socket that waits until all bytes that came before it have been read. See `#defers`. */
  #deferredEvent: "end" | "close" | undefined;
  #bytesReadAtPause = 0;
  readonly #raw: RawSocket;
  readonly #handler: ConnectionHandler;
  readonly #settings: ConnectionSettings;
  readonly #protocol: ServerProtocol;
  readonly #outbox: Outbox;
  readonly #compressingOutbox: CompressingOutbox | undefined;
  /** True when `onDrain` is awaited while messages still wait for their compression. */
  #isDrainDue = false;

  /**
   * @param raw must have had an `error` listener since it was accepted
   * @param head the bytes that came directly behind the handshake
   */
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
    // A TLS socket would otherwise end its own side with the peer's, before the last messages are read and answered.
    raw.allowHalfOpen = true;
    this.#timedFromBytes = (raw as Partial<TLSSocket>).encrypted === true ? 0 : TIMED_FROM_BYTES;
    raw.on("end", onEnd);
    raw.on("close", onClose);
    this.#protocol.pause();
    settings.traffic.receivedBytes += head.length;
    if (head.length > 0) this.#protocol.receive(isOperatingSystemSocket(raw) ? head : Buffer.from(head));
    settings.timers.heartbeat?.add(this);
  }

  get isOpen(): boolean {
    return this.#protocol.state === "open" && !this.isClosed && this.#deferredEvent !== "close";
  }

  get isPaused(): boolean {
    return this.isStarted && this.#protocol.isPaused;
  }

  /** True while the layer above wants a pause, for which `isPaused` need not be the only reason. */
  get isPauseWanted(): boolean {
    return this.isPaused;
  }

  get isBusy(): boolean {
    return this.#protocol.isBusy;
  }

  /** The bytes that were sent and that the operating system has not taken yet. */
  get bufferedAmount(): number {
    if (this.isClosed) return 0;
    return this.#outbox.bufferedAmount + (this.#compressingOutbox?.bufferedAmount ?? 0);
  }

  /** How many messages `slowConsumer: "drop"` has dropped. */
  get droppedMessages(): number {
    return this.#droppedMessages;
  }

  /** The bytes of frames that were handed to the raw socket; 0 once the traffic of all connections has them. */
  get sentBytes(): number {
    return this.#outbox.writtenBytes;
  }

  /** Begins to read. Does nothing once reading has begun. */
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

  /**
   * Looks at a paused connection whose runtime reads on into memory. The connection fails when that costs more memory
   * than a slow consumer may cost.
   */
  checkPause(): void {
    if (!this.isPaused || this.isClosed) return;
    const { maxBufferedBytes, timers } = this.#settings;
    if (this.#raw.bytesRead - this.#bytesReadAtPause <= maxBufferedBytes) return timers.pauses.add(this);
    this.fail(new ProtocolError(CloseCode.TRY_AGAIN_LATER, `More than ${maxBufferedBytes} bytes came during a pause`));
  }

  resume(): void {
    if (this.isClosed) return;
    // Nothing was read during the pause, so the peer cannot be blamed for its silence.
    this.#onSignOfLife();
    this.#begin();
    cork();
    try {
      this.#protocol.resume();
    } finally {
      uncork();
    }
    // A message that had waited may have made the handler pause again.
    if (this.#protocol.isSuspended) return;
    this.#endTime();
    this.#watchMessage();
    resumeReading(this.#raw);
    this.#runDeferredEvent();
  }

  /** Reads a chunk of the raw socket. The chunk belongs to the connection, which may change and free its memory. */
  receive(chunk: Buffer): void {
    this.#onSignOfLife();
    this.#settings.traffic.receivedBytes += chunk.length;
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

  /** Sends a message. `compress` decides whether it is compressed; undefined leaves that to the route's settings. */
  send(data: string | Uint8Array, compress?: boolean): SendResult {
    if (!this.isOpen) return "refused";
    const { highWaterMark, maxBufferedBytes, traffic } = this.#settings;
    const cost = this.#outbox.bufferedAmount +
      (this.#compressingOutbox === undefined ? 0 : this.#compressingOutbox.cost);
    // This is the most that a text can take as UTF-8. `#isSlow` counts its bytes.
    if (cost + data.length * MAX_UTF8_BYTES_PER_CHAR > maxBufferedBytes && this.#isSlow(data)) return "refused";
    traffic.sentMessages++;
    if (this.#compressingOutbox !== undefined) this.#compressingOutbox.send(data, compress);
    else if (typeof data === "string") this.#outbox.sendText(data);
    else this.#outbox.sendBytes(Opcode.BINARY, data);
    if (this.bufferedAmount <= highWaterMark) return "sent";
    this.notifyDrain();
    return "full";
  }

  /** Asks for one call of `onDrain`, which comes once nothing waits to be sent. */
  notifyDrain(): void {
    if (this.#compressingOutbox?.isIdle === false) this.#isDrainDue = true;
    else this.#outbox.notifyDrain();
  }

  /** Runs a task after the connections of the process have had a turn to read and write. */
  yieldToOthers(task: () => void): void {
    afterOtherSockets(task);
  }

  ping(payload: Uint8Array): void {
    if (this.isOpen) this.writeControl(Opcode.PING, payload);
  }

  /** Sends a Pong that answers no Ping. */
  pong(payload: Uint8Array): void {
    if (this.isOpen) this.#sendPong(payload, "own");
  }

  /**
   * Starts the closing handshake with a reason of at most 123 bytes of UTF-8. It ends a pause, because the peer's Close
   * has to be read. With `isTimed` false the caller bounds the wait for the peer's Close itself.
   */
  close(code: number, reason: string, isTimed = true): void {
    if (!this.isOpen) return;
    this.#protocol.close(code, reason, Buffer.from(reason));
    this.#handler.onClosing();
    if (isTimed) this.#settings.timers.closings.add(this);
    this.resume();
  }

  /** Fails the connection for a fault of the peer, with the Close code of the error. */
  fail(error: ProtocolError): void {
    this.#protocol.fail(error);
  }

  /** Cuts the TCP connection. All that waits to be sent is lost. */
  terminate(): void {
    this.#protocol.terminate();
    this.#compressingOutbox?.discard();
    this.#outbox.discard();
    this.#raw.destroy();
    this.#handler.onClosing();
    // The raw socket has closed already and emits no second event.
    if (this.#deferredEvent === "close") queueMicrotask(() => this.#runDeferredEvent());
  }

  // HeartbeatTarget

  sendPing(): void {
    // Behind bytes that the peer does not read, one Ping is enough.
    if (this.unansweredPings === 1 || !this.#outbox.isStalled) this.ping(NO_BYTES);
  }

  onHeartbeatTimeout(): boolean {
    // While reading is suspended, no answer of the peer can be seen. That the peer takes no Pong is seen without
    // reading: a peer whose Pings keep the server busy at all times could otherwise stay for ever.
    const { isPaused, isBusy } = this.#protocol;
    if (isPaused || (isBusy && this.#waitingPongs === undefined)) return true;
    this.#settings.timers.heartbeatTimeouts++;
    this.terminate();
    return false;
  }

  /**
   * Bytes from a peer that does not take its Pongs do not make it alive: such a peer could otherwise keep its
   * connection by sending Pings, without ever reading.
   */
  #onSignOfLife(): void {
    if (this.#waitingPongs === undefined) this.unansweredPings = 0;
  }

  // ProtocolHandler

  onBinary(payload: Uint8Array): void {
    this.#settings.traffic.receivedMessages++;
    this.#handler.onMessage(payload, true);
  }

  onText(text: string, payload?: Uint8Array): boolean {
    this.#settings.traffic.receivedMessages++;
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
    // The server has not read meanwhile, so the peer cannot be blamed for its silence.
    this.#onSignOfLife();
    this.#endTime();
    this.#watchMessage();
    if (this.#protocol.isSuspended) return;
    resumeReading(this.#raw);
    this.#runDeferredEvent();
  }

  isTurnOver(): boolean {
    const nowMs = performance.now();
    // The chunk is small, and the frames before this one took too little time to count.
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
      // Behind so many bytes, another Ping would tell nothing about the peer and would cost memory.
      if (this.#outbox.bufferedAmount <= this.#settings.maxBufferedBytes) this.#outbox.sendBytes(opcode, payload);
      return;
    }
    // A Close is always sent: after a fault without the messages that wait for compression, otherwise behind them.
    if (this.#protocol.error !== undefined) this.#compressingOutbox?.discard();
    this.#afterSends(() => this.#outbox.sendBytes(opcode, payload));
  }

  /**
   * The closing handshake is done, or the connection has failed. RFC 6455 §7.1.1: the server ends its side of the TCP
   * connection first. It reads until the peer has ended its side too, since bytes that are not read would cause a
   * reset, and a reset could overtake the server's Close.
   */
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

  /*
   * How a connection ends. Each of the steps 1 to 4 calls `onClosing`, and each of the steps 1 to 3 sets the `closings`
   * timer, which cuts the connection after `closeTimeoutMs`. (`close` with `isTimed` false does not set it.)
   *
   * 1. The server's Close (`close`) goes out behind all that was sent. Reading goes on until the peer's Close is in.
   * 2. The peer's Close is answered by the protocol, unless the server has sent its own. A fault of the peer sends a
   *    Close too. Both end in `onFinished`: nothing more is read as frames, the server ends its side of the TCP
   *    connection behind its last write, and `onError` reports a fault.
   * 3. The peer's FIN (`onPeerEnded`) comes behind 2, or instead of it. What was sent is still written, and the raw
   *    socket is destroyed after that.
   * 4. `terminate`, which a timer may call as well, destroys the raw socket at once.
   * 5. The raw socket has closed (`onRawClosed`), after any of these or by a reset. All timers forget the connection,
   *    and `onClose` is called, once: with the peer's Close if it was read, otherwise with the peer's fault, otherwise
   *    with 1006.
   *
   * The events of 3 and 5 may come while bytes that came before them are still to be read: reading is paused, another
   * socket has its turn, or a message is being inflated. `#defers` keeps such an event back until they are read, so
   * that no message is lost that came before the end.
   */

  /**
   * The peer has ended its side and sends nothing more. All that the peer was sent before is still written, for at most
   * `closeTimeoutMs`: a peer that does not read could otherwise keep its socket.
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

  /** The TCP connection has ended. */
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
    const { timers, traffic } = this.#settings;
    timers.messages.delete(this);
    timers.heartbeat?.delete(this);
    timers.closings.delete(this);
    timers.pauses.delete(this);
    traffic.sentBytes += this.#outbox.writtenBytes;
    this.#outbox.writtenBytes = 0;
    this.isClosed = true;
    this.#handler.onClosing();
    if (closeReceived !== undefined) this.#handler.onClose(closeReceived.code, closeReceived.reason, true);
    else if (error !== undefined) this.#handler.onClose(error.closeCode, error.message, false);
    else this.#handler.onClose(CloseCode.ABNORMAL, "", false);
  }

  /**
   * Keeps an event of the raw socket back while bytes that came before it are still to be read, for at most
   * `closeTimeoutMs`.
   *
   * @returns true when the event waits
   */
  #defers(event: "end" | "close"): boolean {
    const { state, isBusy, isSuspended, hasUnread } = this.#protocol;
    // A pause counts for `end`, since the reader of the messages may only be slow. It does not count for a `close`
    // without an `end` before it, which is a reset: that connection is gone at once.
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

  /**
   * Begins to listen for chunks. Until then the stream reads no more than its own buffer takes, so that an idle
   * connection need not be paused, which would cost a system call.
   */
  #begin(): void {
    if (this.isStarted) return;
    this.isStarted = true;
    this.#raw.on("data", isOperatingSystemSocket(this.#raw) ? onData : onForeignData);
  }

  /**
   * Begins to time the reading. Reading that has ended shortly before counts too, because one turn of the event loop
   * may bring many chunks of one socket.
   */
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

  /** Sets the deadline of each message at its first byte, and removes it after the last one and during a pause. */
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

  /** Leaves the connection to the `closings` timer alone, because no frames are read any more. */
  #awaitClose(): void {
    const { timers } = this.#settings;
    timers.messages.delete(this);
    timers.heartbeat?.delete(this);
    timers.closings.add(this);
  }

  /**
   * RFC 6455 §5.5.3: of several Pings only the newest need be answered. While the peer reads, all of them are. Behind
   * bytes that the peer does not read there is one Pong at a time, and the newest of each kind waits until that one is
   * taken. A peer that sends Pings and never reads thus costs a few hundred bytes.
   */
  #sendPong(payload: Uint8Array, kind: keyof WaitingPongs): void {
    // A copy, since the payload may be a view of a large chunk.
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
    this.#onSignOfLife();
    // No frame follows a Close.
    if (!this.isOpen) return;
    if (reply !== undefined) this.#sendPong(reply, "reply");
    if (own !== undefined) this.#sendPong(own, "own");
  }

  /** Runs a task behind the messages that are being compressed. */
  #afterSends(task: () => void): void {
    if (this.#compressingOutbox === undefined) task();
    else this.#compressingOutbox.after(task);
  }

  /** The operating system has taken all that was handed to the outbox. */
  onWritten(): void {
    if (this.isClosed) return;
    if (this.#compressingOutbox?.isIdle === false) this.#isDrainDue = true;
    else this.#handler.onDrain();
  }

  /** All messages that waited for their compression are in the outbox. */
  #onCompressed(): void {
    if (!this.#isDrainDue) return;
    this.#isDrainDue = false;
    this.#outbox.notifyDrain();
  }

  /**
   * Decides whether a message would take more memory than `maxBufferedBytes`. If so, the message is dropped, or the
   * connection fails, as `slowConsumer` says.
   */
  #isSlow(data: string | Uint8Array): boolean {
    // Frames that wait only for the end of the turn are not the peer's fault.
    this.#outbox.flush();
    const cost = this.#outbox.bufferedAmount + (this.#compressingOutbox?.cost ?? 0);
    if (cost === 0 || cost + Buffer.byteLength(data) <= this.#settings.maxBufferedBytes) return false;
    if (this.#settings.slowConsumer === "drop") {
      this.#droppedMessages++;
      this.#settings.traffic.droppedMessages++;
      this.notifyDrain();
    } else {
      this.#settings.traffic.slowConsumers++;
      this.fail(
        new ProtocolError(CloseCode.TRY_AGAIN_LATER, `Slow consumer: what waits to be read takes ${cost} bytes`),
      );
    }
    return true;
  }
}

const NO_BYTES = new Uint8Array(0);
