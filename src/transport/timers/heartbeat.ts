import { Deadlines } from "./deadlines.ts";

/** What a heartbeat needs of a connection. */
export interface HeartbeatTarget {
  /** Whether anything has come from the peer since this was last set to false. While reading is paused it counts as heard. */
  isAlive: boolean;
  sendPing(): void;
  /** Called when a Ping has gone unanswered for too long. */
  onHeartbeatTimeout(): void;
}

export interface HeartbeatOptions {
  /** From one Ping to the next. */
  readonly intervalMs: number;
  /** How long a Ping may stay unanswered. */
  readonly timeoutMs: number;
}

/**
 * Pings every connection at its interval and gives up those that have not answered in time (RFC 6455 §5.5.2). Any byte from the
 * peer is an answer: one that is busy with a long frame cannot send a Pong inside it.
 *
 * Each connection stands in exactly one of two queues. The first runs for the shorter of the two times, the second for the
 * difference: to the next Ping if the time-out was the shorter, or to the verdict if the interval was.
 */
export class Heartbeat {
  readonly #first: Deadlines<HeartbeatTarget>;
  readonly #second: Deadlines<HeartbeatTarget>;

  constructor({ intervalMs, timeoutMs }: HeartbeatOptions) {
    const isTimeoutFirst = timeoutMs < intervalMs;
    const beat = (connection: HeartbeatTarget): void => this.#ping(connection);
    const judge = (connection: HeartbeatTarget): void =>
      connection.isAlive ? this.#ping(connection) : connection.onHeartbeatTimeout();

    this.#second = new Deadlines(Math.abs(intervalMs - timeoutMs), isTimeoutFirst ? beat : judge);
    this.#first = new Deadlines(Math.min(intervalMs, timeoutMs), (connection) => {
      if (intervalMs === timeoutMs) judge(connection);
      else if (connection.isAlive === isTimeoutFirst) this.#second.add(connection);
      else if (isTimeoutFirst) connection.onHeartbeatTimeout();
      else this.#ping(connection);
    });
  }

  /** How many connections are watched. */
  get size(): number {
    return this.#first.size + this.#second.size;
  }

  /** Begins to watch: the first Ping goes out one interval from now. */
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
