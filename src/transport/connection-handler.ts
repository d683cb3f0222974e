import type { MessageLimits } from "../protocol/message.ts";
import type { ConnectionTimers } from "./timers/connection-timers.ts";
import type { RateLimiter } from "./timers/rate-limiter.ts";
import type { Traffic } from "./traffic.ts";

/** The limits and timers of a connection, and where it counts. */
export interface ConnectionSettings extends MessageLimits {
  /** Above this many waiting bytes, `send` asks the sender to wait. */
  readonly highWaterMark: number;
  /** Above this many waiting bytes, the peer is a slow consumer. */
  readonly maxBufferedBytes: number;
  /** A slow consumer's connection fails with 1013, or the messages that do not fit are dropped. */
  readonly slowConsumer: "close" | "drop";
  readonly timers: ConnectionTimers;
  /** Undefined when messages are read as fast as they come. */
  readonly rateLimiter?: RateLimiter | undefined;
  readonly traffic: Traffic;
}

/**
 * The result of sending a message. With `full` the message was sent, and more than `highWaterMark` bytes wait now. With
 * `refused` it was not: the connection is not open, or the peer is a slow consumer.
 */
export type SendResult = "sent" | "full" | "refused";

/** The layer above a connection, which gets its messages and events. Its methods must not throw. */
export interface ConnectionHandler {
  onMessage(data: string | Uint8Array, isBinary: boolean): void;
  onPing(payload: Uint8Array): void;
  onPong(payload: Uint8Array): void;
  /** The operating system has taken all that was sent. Called after a `send` that returned `full`, or `notifyDrain`. */
  onDrain(): void;
  /** The connection has failed for a fault of the peer. */
  onError(error: Error): void;
  /**
   * Nothing more can be sent. Called as soon as that is so, at least once before `onClose`, and maybe several times.
   */
  onClosing(): void;
  /** The TCP connection has ended. Called once, after all other events. */
  onClose(code: number, reason: string, wasClean: boolean): void;
}
