import { Deadlines } from "./deadlines.ts";

/** The part of a connection that the heartbeat needs. */
export interface HeartbeatTarget {
  /** True when bytes have come from the peer since the heartbeat set this to false. The end of a pause sets it too. */
  isAlive: boolean;
  sendPing(): void;
  /** Called when nothing has come from the peer within the time-out after a Ping. It is no longer watched then. */
  onHeartbeatTimeout(): void;
}

export interface HeartbeatOptions {
  /** The time from one Ping to the next. */
  readonly intervalMs: number;
  /** How long the peer may stay silent after a Ping. A Ping without an answer is not followed by another. */
  readonly timeoutMs: number;
}

/**
 * Sends a Ping to every connection at the interval, and times out the connections whose peers have not answered in time
 * (RFC 6455 §5.5.2). Any byte from the peer is an answer, because a peer that is sending a long frame cannot send a
 * Pong inside it.
 *
 * Each connection is in exactly one of two queues. It waits in the first for the shorter of the two times, and in the
 * second for the difference between them. The end of the second is the time of the next Ping where the time-out is the
 * shorter of the two, and the end of the time-out where the interval is.
 */
export class Heartbeat {
  readonly #first: Deadlines<HeartbeatTarget>;
  readonly #second: Deadlines<HeartbeatTarget>;

  constructor({ intervalMs, timeoutMs }: HeartbeatOptions) {
    const isTimeoutFirst = timeoutMs < intervalMs;
    const ping = (connection: HeartbeatTarget): void => this.#ping(connection);
    const pingOrTimeOut = (connection: HeartbeatTarget): void =>
      connection.isAlive ? this.#ping(connection) : connection.onHeartbeatTimeout();

    this.#second = new Deadlines(Math.abs(intervalMs - timeoutMs), isTimeoutFirst ? ping : pingOrTimeOut);
    this.#first = new Deadlines(Math.min(intervalMs, timeoutMs), (connection) => {
      if (intervalMs === timeoutMs) pingOrTimeOut(connection);
      else if (connection.isAlive === isTimeoutFirst) this.#second.add(connection);
      else if (isTimeoutFirst) connection.onHeartbeatTimeout();
      else this.#ping(connection);
    });
  }

  /** The number of connections that are watched. */
  get size(): number {
    return this.#first.size + this.#second.size;
  }

  /** Begins to watch a connection. Its first Ping goes out one interval from now. */
  add(connection: HeartbeatTarget): void {
    connection.isAlive = true;
    this.#first.add(connection);
  }

  delete(connection: HeartbeatTarget): void {
    this.#first.delete(connection);
    this.#second.delete(connection);
  }

  clear(): void {
    this.#first.clear();
    this.#second.clear();
  }

  #ping(connection: HeartbeatTarget): void {
    connection.isAlive = false;
    this.#first.add(connection);
    connection.sendPing();
  }
}
