import { CloseCode } from "../../protocol/close.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import { Deadlines } from "./deadlines.ts";
import { Heartbeat, type HeartbeatOptions } from "./heartbeat.ts";

/** The part of a connection that its timers need. */
export interface TimedConnection {
  /** True while reading waits for the server's own work. */
  readonly isBusy: boolean;
  fail(error: ProtocolError): void;
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
  /** The time from a message's first byte to its last. When it is over, the connection fails. */
  readonly messages: Deadlines<TimedConnection>;
  /**
   * The time from the first sign that a connection ends to the end of its TCP connection. The signs are a Close frame,
   * sent or received, and the peer's FIN. When the time is over, the connection is cut.
   */
  readonly closings: Deadlines<TimedConnection>;
  /** The time from one look to the next at a paused connection whose runtime reads on into memory. */
  readonly pauses: Deadlines<TimedConnection>;

  constructor({ heartbeat, messageTimeoutMs, closeTimeoutMs }: TimerOptions) {
    this.heartbeat = heartbeat === false ? undefined : new Heartbeat(heartbeat);
    this.closings = new Deadlines(closeTimeoutMs, (connection) => connection.terminate());
    this.pauses = new Deadlines(PAUSE_CHECK_MS, (connection) => connection.checkPause());
    this.messages = new Deadlines(messageTimeoutMs, (connection) => {
      // The rest of the message may have come already and wait until the server reads on.
      if (connection.isBusy) return this.messages.add(connection);
      const message = `A message was not complete after ${messageTimeoutMs} ms`;
      connection.fail(new ProtocolError(CloseCode.POLICY_VIOLATION, message));
    });
  }

  /** Stops all timers. */
  stop(): void {
    this.heartbeat?.clear();
    this.messages.clear();
    this.closings.clear();
    this.pauses.clear();
  }
}
