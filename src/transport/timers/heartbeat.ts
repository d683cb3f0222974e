import { Deadlines } from "./deadlines.ts";

/** The part of a connection that the heartbeat needs. */
export interface HeartbeatTarget {
  /**
   * The number of Pings that the heartbeat has sent since bytes last came from the peer. The connection sets it to 0
   * with such bytes, and with the end of a pause.
   */
  unansweredPings: number;
  sendPing(): void;
  /**
   * Called when nothing has come from the peer within the time-out after a Ping. Returns true when an answer could not
   * have been seen: the peer then has the time-out once more. Otherwise it is no longer watched.
   */
  onHeartbeatTimeout(): boolean;
}

export interface HeartbeatOptions {
  /** The time from one Ping to the next. */
  readonly intervalMs: number;
  /** How long the peer may stay silent after a Ping. */
  readonly timeoutMs: number;
}

/**
 * Sends a Ping to every connection at the interval, and times out the connections whose peers have not answered in time
 * (RFC 6455 §5.5.2). Any byte from the peer is an answer, because a peer that is sending a long frame cannot send a
 * Pong inside it.
 *
 * A Ping goes out also while an earlier one is not answered yet: a proxy counts the time in which a connection is
 * silent, and would end the connection of a client that only answers late.
 *
 * Each connection is in exactly one of three queues. After a Ping it waits for the interval, or for the time-out if
 * that ends before, and then for what is left of the interval.
 */
export class Heartbeat {
  readonly #intervals: Deadlines<HeartbeatTarget>;
  readonly #timeouts: Deadlines<HeartbeatTarget>;
  readonly #remainders: Deadlines<HeartbeatTarget>;
  /** The number of Pings that go out, at the interval, before the time-out of the first one ends. */
  readonly #maxUnansweredPings: number;
  /** The time from the last of these Pings to the end of the time-out, or 0 when that is a whole interval. */
  readonly #restMs: number;

  constructor({ intervalMs, timeoutMs }: HeartbeatOptions) {
    this.#maxUnansweredPings = Math.ceil(timeoutMs / intervalMs);
    this.#restMs = timeoutMs % intervalMs;
    this.#intervals = new Deadlines(intervalMs, (connection) => {
      if (this.#keeps(connection, this.#maxUnansweredPings)) this.#ping(connection);
    });
    this.#timeouts = new Deadlines(this.#restMs, (connection) => {
      if (this.#keeps(connection, 1)) this.#remainders.add(connection);
    });
    this.#remainders = new Deadlines(intervalMs - this.#restMs, (connection) => this.#ping(connection));
  }

  /** The number of connections that are watched. */
  get size(): number {
    return this.#intervals.size + this.#timeouts.size + this.#remainders.size;
  }

  /** Begins to watch a connection. Its first Ping goes out one interval from now. */
  add(connection: HeartbeatTarget): void {
    connection.unansweredPings = 0;
    this.#intervals.add(connection);
  }

  delete(connection: HeartbeatTarget): void {
    this.#intervals.delete(connection);
    this.#timeouts.delete(connection);
    this.#remainders.delete(connection);
  }

  clear(): void {
    this.#intervals.clear();
    this.#timeouts.clear();
    this.#remainders.clear();
  }

  /** False when so many Pings of the connection were not answered that it has been timed out. */
  #keeps(connection: HeartbeatTarget, unansweredPings: number): boolean {
    if (connection.unansweredPings < unansweredPings) return true;
    if (!connection.onHeartbeatTimeout()) return false;
    connection.unansweredPings = 0;
    return true;
  }

  #ping(connection: HeartbeatTarget): void {
    connection.unansweredPings++;
    const isLast = connection.unansweredPings === this.#maxUnansweredPings;
    if (isLast && this.#restMs > 0) this.#timeouts.add(connection);
    else this.#intervals.add(connection);
    connection.sendPing();
  }
}
