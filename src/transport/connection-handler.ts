import type { MessageLimits } from "../protocol/message.ts";
import type { ConnectionTimers } from "./timers/connection-timers.ts";

/** What a connection may use, and what its timers are. */
export interface ConnectionSettings extends MessageLimits {
  /** Above it `send` asks the sender to wait. */
  readonly highWaterMark: number;
  /** Above it the peer is a slow consumer. */
  readonly maxBufferedBytes: number;
  readonly slowConsumer: "close" | "drop";
  readonly timers: ConnectionTimers;
}

/** What became of a message: `full` is sent too, but more than `highWaterMark` bytes wait now. */
export type SendResult = "sent" | "full" | "refused";

/** Who hears of what comes in. Nothing here may throw. */
export interface ConnectionHandler {
  onMessage(data: string | Uint8Array, isBinary: boolean): void;
  onPing(payload: Uint8Array): void;
  onPong(payload: Uint8Array): void;
  /** All that was sent has been taken by the operating system, after `send` had returned false. */
  onDrain(): void;
  onError(error: Error): void;
  /** Nothing more can be sent. Called at least once before `onClose`, and at once when it is so. */
  onClosing(): void;
  /** The TCP connection has ended. Called once, after all others. */
  onClose(code: number, reason: string, wasClean: boolean): void;
}
