import { Deadlines } from "./deadlines.ts";

/** How many messages are read from one peer: `messages` at once, and then as many in each `perMs`, evenly. */
export interface RateLimit {
  readonly messages: number;
  readonly perMs: number;
}

/** The part of a connection that a rate limiter needs. */
export interface LimitedReader {
  /** Called when there is room for at least one more message. */
  onRoom(): void;
}

/**
 * A connection waits at least this long, unless that would cost it messages. A peer that sends far too much, under a
 * limit of thousands of messages in a second, would otherwise be stopped and started at each of them.
 */
const MIN_WAIT_MS = 20;

/** The rate limit of one route, and the connections that wait until they may read on. */
export class RateLimiter {
  readonly messages: number;
  /** The time after which there is room for one more message. */
  readonly intervalMs: number;
  readonly #waiting: Deadlines<LimitedReader>;

  constructor({ messages, perMs }: RateLimit) {
    this.messages = messages;
    this.intervalMs = perMs / messages;
    // Room is counted up to `messages`, so a wait of half of `perMs` loses nothing that the peer may send.
    const waitMs = Math.max(this.intervalMs, Math.min(MIN_WAIT_MS, perMs / 2));
    this.#waiting = new Deadlines(Math.ceil(waitMs), (connection) => connection.onRoom());
  }

  /** The number of connections that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Calls `onRoom` of a connection that has no room left, once there is room again. */
  wait(connection: LimitedReader): void {
    this.#waiting.add(connection);
  }

  delete(connection: LimitedReader): void {
    this.#waiting.delete(connection);
  }

  clear(): void {
    this.#waiting.clear();
  }
}
