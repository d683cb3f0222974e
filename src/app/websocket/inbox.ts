import type { Buffer } from "node:buffer";

type Message = string | Buffer;

/** What an inbox needs of its socket. */
export interface Pausable {
  pause(): void;
  resume(): void;
}

interface Waiter {
  resolve(result: IteratorResult<Message, undefined>): void;
  reject(error: Error): void;
}

/**
 * Messages for `for await`. One that comes while the loop is busy is kept, and the wire paused until the loop asks for more, so that at
 * most one waits here. All loops over a socket share its inbox: what one leaves, the next finds.
 */
export class Inbox implements AsyncIterableIterator<Message, undefined> {
  readonly #tap: Pausable;
  readonly #messages: Message[] = [];
  readonly #waiters: Waiter[] = [];
  #isEnded = false;
  #error: Error | undefined;

  constructor(tap: Pausable) {
    this.#tap = tap;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Whether a message waits for the loop. */
  get isBehind(): boolean {
    return this.#messages.length > 0;
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    const value = this.#messages.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#error !== undefined) return Promise.reject(this.#takeError());
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Message, undefined>>();
    this.#waiters.push({ resolve, reject });
    this.#tap.resume();
    return promise;
  }

  /** Leaving a loop keeps what has come for the next one. */
  return(): Promise<IteratorResult<Message, undefined>> {
    return Promise.resolve({ done: true, value: undefined });
  }

  push(value: Message): void {
    const waiter = this.#waiters.shift();
    // Also when the loop takes it at once: a Close right behind it must not be answered before the loop has had its turn.
    if (this.#waiters.length === 0) this.#tap.pause();
    if (waiter === undefined) this.#messages.push(value);
    else waiter.resolve({ done: false, value });
  }

  /** The socket has ended, with an error when it was not clean. */
  finish(error: Error | undefined): void {
    this.#isEnded = true;
    this.#error = error;
    for (const waiter of this.#waiters.splice(0)) {
      if (this.#error !== undefined) waiter.reject(this.#takeError()!);
      else waiter.resolve({ done: true, value: undefined });
    }
  }

  /** An unclean end is told once; after it the loop is over. */
  #takeError(): Error | undefined {
    const error = this.#error;
    this.#error = undefined;
    return error;
  }
}
