import { CloseCode } from "../../protocol/close.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import { Deadlines } from "./deadlines.ts";

/** The part of a connection that the deadlines of its messages need. */
export interface MessageReader {
  /** True while reading waits for the server's own work. */
  readonly isBusy: boolean;
  fail(error: ProtocolError): void;
}

/**
 * The time from a message's first byte to its last. When the time is over, the connection fails.
 *
 * A connection that is busy at that moment gets the same time once more, because the rest of the message may have come
 * already and wait until the server reads on. It does not get the time a third time: a peer whose Pings keep the
 * server busy could otherwise leave a message open for ever.
 */
export class MessageDeadlines {
  readonly #first: Deadlines<MessageReader>;
  readonly #second: Deadlines<MessageReader>;
  /** How many connections have failed because a message was not complete in time. */
  timeouts = 0;

  constructor(durationMs: number) {
    const fail = (connection: MessageReader): void => {
      this.timeouts++;
      const message = `A message was not complete after ${durationMs} ms`;
      connection.fail(new ProtocolError(CloseCode.POLICY_VIOLATION, message));
    };
    this.#second = new Deadlines(durationMs, fail);
    this.#first = new Deadlines(durationMs, (connection) => {
      if (connection.isBusy) this.#second.add(connection);
      else fail(connection);
    });
  }

  /** The number of messages that have begun and are not complete. */
  get size(): number {
    return this.#first.size + this.#second.size;
  }

  /** Begins the time of a message, in place of the one before. */
  add(connection: MessageReader): void {
    this.#second.delete(connection);
    this.#first.add(connection);
  }

  delete(connection: MessageReader): void {
    this.#first.delete(connection);
    this.#second.delete(connection);
  }

  clear(): void {
    this.#first.clear();
    this.#second.clear();
  }
}
