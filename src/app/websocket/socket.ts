import type { Buffer } from "node:buffer";
import type { BinaryData } from "../common/bytes.ts";
import type { SubscribeOptions } from "../pubsub/pubsub.ts";

/** What a socket emits, with the arguments of each event. */
export interface SocketEvents {
  /** A message: a string for text, a `Buffer` that is yours for binary. */
  message: [data: string | Buffer, isBinary: boolean];
  /**
   * The end, exactly once. The code is the peer's; 1005 when its Close frame had none, 1006 when there was no Close frame, and our own
   * when we ended the connection for a fault. Clean means that Close frames went both ways.
   */
  close: [code: number, reason: string, wasClean: boolean];
  /** A fault of the peer, or an exception of a handler. Without a listener nothing happens. */
  error: [error: Error];
  /** A Ping; it is answered without a listener. While the peer does not read, only the newest Ping is answered (RFC 6455 §5.5.3). */
  ping: [payload: Buffer];
  /** A Pong, asked for or not. */
  pong: [payload: Buffer];
  /** `bufferedAmount` has fallen to zero after `send()` had returned false. */
  drain: [];
}

/** How a message is sent. */
export interface SendOptions {
  /** Where permessage-deflate was agreed on: `true` compresses whatever `threshold` and `filter` say, `false` does not. Default: as they say. */
  compress?: boolean | undefined;
}

/**
 * One WebSocket connection.
 *
 * @example
 * ```ts
 * import { createApp } from "@spacenode/spacenode";
 *
 * const app = await createApp();
 * app.ws("/echo", (socket) => {
 *   socket.on("message", (data) => socket.send(data));
 * });
 * ```
 */
export interface Socket<Data = unknown> extends AsyncIterable<string | Buffer> {
  /** 0: never seen on a server, whose handlers run after the handshake. */
  readonly CONNECTING: 0;
  /** 1: messages go both ways. */
  readonly OPEN: 1;
  /** 2: a Close frame was sent or received. */
  readonly CLOSING: 2;
  /** 3: the TCP connection has ended. */
  readonly CLOSED: 3;
  /** One of the four constants, as in a browser. */
  readonly readyState: 0 | 1 | 2 | 3;
  /** A name of this connection that no other has. */
  readonly id: string;
  /** The peer's address, kept after the end. */
  readonly remoteAddress: string;
  /** The subprotocol that was agreed on, or `""`. */
  readonly protocol: string;
  /** The extensions that were agreed on, or `""`. */
  readonly extensions: string;
  /** Bytes that were sent, frame headers included, and that the operating system has not taken yet. */
  readonly bufferedAmount: number;
  /** Whether `pause()` is in force. */
  readonly isPaused: boolean;
  /** Yours: whatever belongs to this connection. */
  data: Data;

  /**
   * Sends a message: a string as text, bytes as binary (RFC 6455 §5.6). All that is sent in one turn of the event loop leaves in one write.
   * Bytes are not copied when they are many: leave them as they are until `drain`.
   *
   * @param options see {@link SendOptions}
   * @returns true; false when more than `highWaterMark` bytes are waiting, though the message is queued all the same: go on at `drain`.
   * Also false when the socket is not open, or when `slowConsumer: "drop"` dropped the message.
   * @throws TypeError for anything that is neither a string nor bytes, and for a wrong option
   */
  send(data: string | BinaryData, options?: SendOptions): boolean;

  /**
   * Starts the closing handshake (RFC 6455 §7.1.2). What was sent before is delivered first; what the peer sends until its own
   * Close still reaches `message` listeners. After `closeTimeoutMs` without an answer the connection is cut. Without effect on a socket that is not open.
   *
   * @param code 1000 by default; a registered code that may be sent, or 3000–4999. 1005 sends a Close without a code
   * @param reason at most 123 bytes of UTF-8
   * @throws RangeError for a code that must not be sent or a reason that is too long
   */
  close(code?: number, reason?: string): void;

  /** Cuts the TCP connection now, without a Close frame. What was not written yet is lost. */
  terminate(): void;

  /** Stops reading: the peer is slowed down by TCP itself. Messages that have come already wait for `resume()`. */
  pause(): void;

  /** Reads again. */
  resume(): void;

  /**
   * Sends a Ping (RFC 6455 §5.5.2). The heartbeat does so by itself.
   *
   * @throws TypeError for anything that is neither a string nor bytes, RangeError above 125 bytes
   */
  ping(data?: string | BinaryData): void;

  /** Sends a Pong that nobody asked for (RFC 6455 §5.5.3). Pings are answered without it. While the peer does not read, only the newest one waits. Throws as `ping` does. */
  pong(data?: string | BinaryData): void;

  /**
   * Subscribes to a topic: from now on the socket gets what is published there, until it unsubscribes or begins to close. Subscribing again changes its `presence`.
   *
   * Where the client chooses the topic, ask `isTopic(topic)` first; where it chooses how many, compare the length of `topics` with a limit of your own.
   *
   * @param topic at most 512 characters
   * @returns true when it is new; false also on a socket that is not open
   * @throws TypeError or RangeError for what is no topic or no presence, RangeError above `maxTopicsPerSocket`
   */
  subscribe(topic: string, options?: SubscribeOptions): boolean;

  /** Leaves a topic; true when the socket was subscribed to it. */
  unsubscribe(topic: string): boolean;

  /**
   * Sends a message to everyone who is subscribed to a topic, in this process and behind the broker, except to this socket.
   *
   * @returns how many sockets of this process that were
   * @throws TypeError or RangeError for what is no topic or no message
   */
  publish(topic: string, data: string | BinaryData): number;

  /** The topics that the socket is subscribed to, the first one first. */
  readonly topics: string[];

  /** Resolves once `bufferedAmount` is zero, and rejects when the socket ends before that. */
  drained(): Promise<void>;

  /**
   * Adds a listener. An exception in it, or the rejection of a promise that it returns, is logged, emitted as `error`, and closes this socket
   * with 1011.
   *
   * @throws TypeError for an event that does not exist or a listener that is no function
   */
  on<Event extends keyof SocketEvents>(event: Event, listener: (...args: SocketEvents[Event]) => unknown): this;

  /** Adds a listener for the next time only. */
  once<Event extends keyof SocketEvents>(event: Event, listener: (...args: SocketEvents[Event]) => unknown): this;

  /** Removes a listener. */
  off<Event extends keyof SocketEvents>(event: Event, listener: (...args: SocketEvents[Event]) => unknown): this;

  /** How many listeners an event has. */
  listenerCount(event: keyof SocketEvents): number;

  /**
   * The messages as a web stream, made on first use. It pauses the wire while nobody reads from it; cancelling it closes the socket. It takes its messages
   * from where `for await` does.
   */
  readonly readable: ReadableStream<string | Buffer>;

  /** Sends what is written to it, made on first use. A write waits until the peer has caught up; closing it closes the socket, aborting it cuts it. */
  readonly writable: WritableStream<string | BinaryData>;

  /**
   * The messages, one by one. While the loop is busy with one the wire is paused, and leaving the loop leaves it paused: another loop goes on where
   * this one stopped. The loop ends with a clean close and throws on an unclean one.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<string | Buffer>;
}
