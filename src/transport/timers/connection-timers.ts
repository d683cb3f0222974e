import { CloseCode } from "../../protocol/close.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import { Deadlines } from "./deadlines.ts";
import { Heartbeat, type HeartbeatOptions } from "./heartbeat.ts";

/** A connection that can run out of time. */
export interface TimedConnection {
  /** Whether reading waits for the server's own work. */
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

const PAUSE_CHECK_MS = 100;

/** All that is timed on open connections: a handful of timers, however many connections there are. */
export class ConnectionTimers {
  readonly heartbeat: Heartbeat | undefined;
  /** From a message's first byte to its last. */
  readonly messages: Deadlines<TimedConnection>;
  /** From a Close frame, sent or received, or from the peer's end where something before it is still to be read, to the end of the TCP connection. */
  readonly closings: Deadlines<TimedConnection>;
  /** From one look to the next at a paused connection that cannot really be paused. */
  readonly pauses: Deadlines<TimedConnection>;

  constructor({ heartbeat, messageTimeoutMs, closeTimeoutMs }: TimerOptions) {
    this.heartbeat = heartbeat === false ? undefined : new Heartbeat(heartbeat);
    this.closings = new Deadlines(closeTimeoutMs, (connection) => connection.terminate());
    this.pauses = new Deadlines(PAUSE_CHECK_MS, (connection) => connection.checkPause());
    this.messages = new Deadlines(messageTimeoutMs, (connection) => {
      // The rest of the message may have come already, and wait until the server reads on.
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
