/** The messages of a socket that wait for their reader, and the choice of who reads each of them. */
import type { Buffer } from "node:buffer";

type Message = string | Buffer;

/**
 * No more messages than this wait. The number bounds what small messages cost, which take more memory than their bytes.
 */
export const MAX_WAITING_MESSAGES = 1024;

/** The part of a socket that its inbox needs. */
export interface InboxOwner {
  /** False from the first sign of the connection's end: the wire cannot be paused any more. */
  readonly isOpen: boolean;
  /** True when a message that nobody reads is dropped: the handler has ended, and has asked for no loop or stream. */
  readonly dropsUnread: boolean;
  /** The number of bytes that may wait. */
  readonly maxWaitingBytes: number;
  hasMessageListener(): boolean;
  /** Gives a message to the `message` listeners. */
  emitMessage(message: Message): void;
  pauseWire(): void;
  resumeWire(): void;
}

/** The promise of a call of `next()` for which no message has arrived yet. */
interface Waiter {
  resolve(result: IteratorResult<Message, undefined>): void;
  reject(error: Error): void;
}

/**
 * Hands the messages of a socket out in their order, each of them once: to the call of `next()` that has waited
 * longest, and at the same moment to the `message` listeners. While a loop is busy with a message, the next ones wait
 * for the loop. They go to the listeners alone when the loop is left, and when a listener is added while the loop is
 * busy.
 *
 * While messages wait, the wire is read on, so that control frames are answered and the peer's Close is seen. Only when
 * too many messages wait is the wire paused, until half of them have been taken.
 *
 * All loops over a socket share its inbox. Without an owner, an inbox is the iterator alone, and keeps what comes.
 */
export class Inbox implements AsyncIterableIterator<Message, undefined> {
  readonly #owner: InboxOwner | undefined;
  readonly #messages: Message[] = [];
  readonly #waiters: Waiter[] = [];
  /** The length of the messages that wait. A character counts as one byte. */
  #waitingBytes = 0;
  /** True from a call of `next()` until the loop is left. */
  #isLooping = false;
  /** True while nothing is handed out, because the application has paused the socket. */
  #isPaused: boolean;
  /** True from the moment when too much waits until half of it has been taken. */
  #isFull = false;
  /** True while messages are handed out, so that a call from inside a listener does not overtake. */
  #isDraining = false;
  #isEnded = false;
  #error: Error | undefined;

  constructor(owner?: InboxOwner, isPaused: boolean = false) {
    this.#owner = owner;
    this.#isPaused = isPaused;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** True when no message waits. */
  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    this.#isLooping = true;
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Message, undefined>>();
    this.#waiters.push({ resolve, reject });
    this.drain();
    return promise;
  }

  /** Called when a loop is left. Messages that wait go to the listeners, or stay for the next reader. */
  return(): Promise<IteratorResult<Message, undefined>> {
    this.takeFromLoop();
    this.drain();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Takes the messages from a loop that has not asked for one, for a listener that has come after the loop. */
  takeFromLoop(): void {
    if (this.#waiters.length === 0) this.#isLooping = false;
  }

  /** Hands a message out, or keeps it until somebody reads. */
  push(message: Message): void {
    if (this.isEmpty && !this.#isDraining && this.hasReader()) return this.handOut(message);
    // A socket that is closing reads on in any case, because the peer's Close has to be read. A peer that sends
    // messages instead of its Close could fill the memory.
    if (this.#isFull && this.#owner?.isOpen === false) return;
    this.#messages.push(message);
    this.#waitingBytes += message.length;
    if (this.#owner === undefined || this.#isFull || this.#fits(1)) return;
    this.#isFull = true;
    this.#owner.pauseWire();
  }

  /** Hands out the messages that wait, as far as somebody reads them. */
  drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    while (this.#messages.length > 0 && this.hasReader()) {
      const message = this.#messages.shift()!;
      this.#waitingBytes -= message.length;
      this.handOut(message);
    }
    this.#isDraining = false;
    if (this.#isEnded && this.isEmpty) this.#endWaiters();
    if (!this.#isFull || !this.#fits(2)) return;
    this.#isFull = false;
    if (!this.#isPaused) this.#owner?.resumeWire();
  }

  /** Hands nothing out until `resume`. The caller pauses the wire. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Ends a pause: what waits is handed out, and then the wire is read, unless too much still waits. */
  resume(): void {
    this.endPause();
    if (!this.#isFull && !this.#isPaused) this.#owner?.resumeWire();
  }

  /** Ends a pause, because the socket is closing. The caller lets the wire be read. */
  endPause(): void {
    this.#isPaused = false;
    this.drain();
  }

  /** Drops the messages that wait. */
  discard(): void {
    this.#messages.length = 0;
    this.#waitingBytes = 0;
  }

  /** Ends the iteration behind the messages that wait. After an unclean close, the loops throw `error`. */
  finish(error: Error | undefined): void {
    this.#isEnded = true;
    this.#error = error;
    this.endPause();
  }

  /** Tells whether the next message may be handed out. */
  protected hasReader(): boolean {
    if (this.#isPaused) return false;
    if (this.#waiters.length > 0) return true;
    const owner = this.#owner;
    return owner !== undefined && !this.#isLooping && (owner.hasMessageListener() || owner.dropsUnread);
  }

  /** True when somebody gets the next message: not when it would only be dropped. */
  protected get hasTaker(): boolean {
    return this.#waiters.length > 0 || this.#owner?.hasMessageListener() === true;
  }

  /** Takes a message out of the inbox. There may be nobody who gets it. */
  protected handOut(message: Message): void {
    this.give(message);
  }

  /** Gives a message to the loop that has waited longest and to the listeners. */
  protected give(message: Message): void {
    this.#waiters.shift()?.resolve({ done: false, value: message });
    this.#owner?.emitMessage(message);
  }

  /** True when what waits is no more than one part of what may wait, of that many. */
  #fits(parts: number): boolean {
    const maxWaitingBytes = this.#owner?.maxWaitingBytes ?? Infinity;
    return this.#messages.length * parts <= MAX_WAITING_MESSAGES && this.#waitingBytes * parts <= maxWaitingBytes;
  }

  #endWaiters(): void {
    for (const waiter of this.#waiters.splice(0)) {
      // The error is thrown once: the calls of `next()` after it are told that the iteration is over.
      const error = this.#error;
      this.#error = undefined;
      if (error === undefined) waiter.resolve({ done: true, value: undefined });
      else waiter.reject(error);
    }
  }
}
