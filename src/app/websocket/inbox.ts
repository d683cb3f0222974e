/** The queue between a socket and the loops over its messages. */
import type { Buffer } from "node:buffer";

type Message = string | Buffer;

/** The part of a socket that an inbox needs: to stop and to start the reading. */
export interface Pausable {
  pause(): void;
  resume(): void;
}

/** The promise of a call of `next()` for which no message has arrived yet. */
interface Waiter {
  resolve(result: IteratorResult<Message, undefined>): void;
  reject(error: Error): void;
}

/**
 * The iterator behind `for await` over a socket. The socket is paused after each message until the loop asks for the
 * next one, so that at most one message waits in the inbox. All loops over a socket share its inbox: a message that one
 * loop has left is the first of the next loop.
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

  /** Whether a message waits for a loop. */
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

  /** Called when a loop is left. Messages that wait stay for the next loop. */
  return(): Promise<IteratorResult<Message, undefined>> {
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Gives a message to the call of `next()` that has waited longest, or keeps the message. */
  push(value: Message): void {
    const waiter = this.#waiters.shift();
    // The socket is paused also when a loop takes the message at once: a Close frame right behind the message must not
    // be answered before the loop has worked on the message.
    if (this.#waiters.length === 0) this.#tap.pause();
    if (waiter === undefined) this.#messages.push(value);
    else waiter.resolve({ done: false, value });
  }

  /** Ends the iteration when the socket is closed. After an unclean close, the loops throw `error`. */
  finish(error: Error | undefined): void {
    this.#isEnded = true;
    this.#error = error;
    for (const waiter of this.#waiters.splice(0)) {
      if (this.#error !== undefined) waiter.reject(this.#takeError()!);
      else waiter.resolve({ done: true, value: undefined });
    }
  }

  /** Gives the error only once: the call of `next()` after it is told that the iteration is over. */
  #takeError(): Error | undefined {
    const error = this.#error;
    this.#error = undefined;
    return error;
  }
}
