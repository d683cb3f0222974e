import { CloseCode } from "../../protocol/close.ts";

/** The part of a socket that an age limit needs. */
export interface AgingSocket {
  close(code: number, reason: string): void;
}

/** A socket ends in this last part of its time, at a moment of its own. */
const SPREAD_PARTS = 5;
/** The sockets are looked at so many times in their time, or once a second if that is more often. */
const LOOKS = 256;
const MAX_LOOK_MS = 1_000;
const REASON = "The connection has reached its maximum age";

/**
 * Closes the sockets of a route when they have reached their age, with one timer for all of them. Sockets that have
 * come together, after a restart for example, must not leave and come back together, so each gets an age of its own by
 * chance: from four fifths of `maxAgeMs` to all of it. No socket is older, unless the process was busy at that moment.
 *
 * The timer does not keep the process alive.
 */
export class AgeLimit {
  readonly #leastAgeMs: number;
  readonly #spreadMs: number;
  readonly #lookMs: number;
  /** When each socket is to be closed, the oldest socket first. */
  readonly #dueAtMs = new Map<AgingSocket, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(maxAgeMs: number) {
    this.#lookMs = Math.min(maxAgeMs / LOOKS, MAX_LOOK_MS);
    this.#leastAgeMs = maxAgeMs - maxAgeMs / SPREAD_PARTS;
    // A socket is closed at the look that follows its time.
    this.#spreadMs = maxAgeMs - this.#leastAgeMs - this.#lookMs;
  }

  /** The number of sockets that are watched. */
  get size(): number {
    return this.#dueAtMs.size;
  }

  /** Begins to watch a socket, whose age is 0 now. */
  add(socket: AgingSocket): void {
    this.#dueAtMs.set(socket, performance.now() + this.#leastAgeMs + Math.random() * this.#spreadMs);
    if (this.#timer === undefined) this.#startTimer(this.#leastAgeMs);
  }

  delete(socket: AgingSocket): void {
    this.#dueAtMs.delete(socket);
  }

  clear(): void {
    this.#dueAtMs.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #startTimer(delayMs: number): void {
    this.#timer = setTimeout(() => this.#look(), delayMs).unref();
  }

  #look(): void {
    const nowMs = performance.now();
    let oldestDueAtMs: number | undefined;
    for (const [socket, dueAtMs] of this.#dueAtMs) {
      if (dueAtMs <= nowMs) {
        this.#dueAtMs.delete(socket);
        // 1001 and not 1012, with which clients are asked to stay away for some seconds.
        socket.close(CloseCode.GOING_AWAY, REASON);
        continue;
      }
      oldestDueAtMs ??= dueAtMs;
      // This socket, and each behind it, is too young for any age that it may have got.
      if (dueAtMs - this.#spreadMs > nowMs) break;
    }
    this.#timer = undefined;
    if (oldestDueAtMs !== undefined) {
      // Nothing can be due before the oldest socket has reached the least age.
      this.#startTimer(Math.max(oldestDueAtMs - this.#spreadMs - nowMs, this.#lookMs));
    }
  }
}
