import { Deadlines } from "./deadlines.ts";
import { Heartbeat, type HeartbeatOptions } from "./heartbeat.ts";
import { MessageDeadlines } from "./message-deadlines.ts";
import { type RateLimit, RateLimiter } from "./rate-limiter.ts";

/** The part of a connection that its timers need. */
export interface TimedConnection {
  terminate(): void;
  checkPause(): void;
}

export interface TimerOptions {
  readonly heartbeat: HeartbeatOptions | false;
  readonly messageTimeoutMs: number;
  readonly closeTimeoutMs: number;
}

/** How often the memory of a paused connection is looked at, where its runtime reads on during the pause. */
const PAUSE_CHECK_MS = 100;

/** The timers of all connections with the same options: a handful of them, however many connections there are. */
export class ConnectionTimers {
  /** Undefined when it is turned off. */
  readonly heartbeat: Heartbeat | undefined;
  /** The time from a message's first byte to its last. */
  readonly messages: MessageDeadlines;
  /**
   * The time from the first sign that a connection ends to the end of its TCP connection. The signs are a Close frame,
   * sent or received, and the peer's FIN. When the time is over, the connection is cut.
   */
  readonly closings: Deadlines<TimedConnection>;
  /** The time from one look to the next at a paused connection whose runtime reads on into memory. */
  readonly pauses: Deadlines<TimedConnection>;
  readonly #rateLimiters: RateLimiter[] = [];
  /** How many connections were cut because their peers were silent for too long. */
  heartbeatTimeouts = 0;
  /** How many connections were cut because they had begun to end and did not end in time. */
  closeTimeouts = 0;

  constructor({ heartbeat, messageTimeoutMs, closeTimeoutMs }: TimerOptions) {
    this.heartbeat = heartbeat === false ? undefined : new Heartbeat(heartbeat);
    this.closings = new Deadlines(closeTimeoutMs, (connection) => {
      this.closeTimeouts++;
      connection.terminate();
    });
    this.pauses = new Deadlines(PAUSE_CHECK_MS, (connection) => connection.checkPause());
    this.messages = new MessageDeadlines(messageTimeoutMs);
  }

  /** Makes the rate limiter of a route. */
  addRateLimiter(limit: RateLimit): RateLimiter {
    const limiter = new RateLimiter(limit);
    this.#rateLimiters.push(limiter);
    return limiter;
  }

  /** Stops all timers. */
  stop(): void {
    this.heartbeat?.clear();
    this.messages.clear();
    this.closings.clear();
    this.pauses.clear();
    for (const limiter of this.#rateLimiters) limiter.clear();
  }
}
