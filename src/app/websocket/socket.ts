/** The public interface of a WebSocket connection on the server: methods, properties and events. */
import type { Buffer } from "node:buffer";
import type { BinaryData } from "../common/bytes.ts";
import type { SubscribeOptions } from "../pubsub/pubsub.ts";

/** The events of a {@link Socket}, with the arguments that a listener of each event gets. */
export interface SocketEvents {
  /**
   * A whole message has arrived. The data is a string for a text message, and a `Buffer` for a binary message. The
   * `Buffer` belongs to the listener, together with its memory: keep it, change it, send it on, or hand it to a worker,
   * copied or transferred (`worker.postMessage(data, [data.buffer])`). `data.buffer` has no bytes of anything else. It
   * may be up to 14 bytes longer than the message, because the frame's own header is in front of it, so a view has to
   * begin at `data.byteOffset`: `new Float32Array(data.buffer, data.byteOffset, data.length / 4)`. `data.byteOffset` is
   * a multiple of eight, as such views need.
   */
  message: [data: string | Buffer, isBinary: boolean];
  /**
   * The connection is over. This event comes exactly once. The code and the reason are those of the peer's Close
   * frame, with 1005 for a Close frame without a code. Without a Close frame of the peer the code is 1006, or the code
   * with which the server failed the connection because of a fault. `wasClean` is true when Close frames went both
   * ways (RFC 6455 §7.1.4).
   */
  close: [code: number, reason: string, wasClean: boolean];
  /**
   * The peer has broken a rule or a limit, or a handler or a listener has thrown. An error without a listener is
   * ignored.
   */
  error: [error: Error];
  /**
   * A Ping has arrived. SpaceNode answers the Ping by itself, also without a listener. While the peer does not read,
   * SpaceNode answers only the newest of its Pings (RFC 6455 §5.5.3).
   */
  ping: [payload: Buffer];
  /** A Pong has arrived, as the answer to a Ping or unasked (RFC 6455 §5.5.3). */
  pong: [payload: Buffer];
  /** `bufferedAmount` has fallen to zero after a call of `send()` had returned false. */
  drain: [];
}

/** Options of one call of {@link Socket.send}. */
export interface SendOptions {
  /**
   * Whether to compress this message, if the client has agreed to permessage-deflate (RFC 7692). `true` compresses the
   * message and `false` does not, whatever the route's `threshold` and `filter` say. Default: `threshold` and `filter`
   * decide.
   */
  compress?: boolean | undefined;
}

/**
 * The server's end of one WebSocket connection. The handler of a route gets one for each client.
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
  /** The state 0. A server's socket never has this state, because handlers run after the handshake. */
  readonly CONNECTING: 0;
  /** The state 1: messages can go both ways. */
  readonly OPEN: 1;
  /**
   * The state 2: a Close frame was sent or received, or the TCP connection is about to end. Nothing more can be sent.
   */
  readonly CLOSING: 2;
  /** The state 3: the TCP connection is over. */
  readonly CLOSED: 3;
  /** The present state: one of the four constants, with the same values as in a browser. */
  readonly readyState: 0 | 1 | 2 | 3;
  /** The unique name of this connection: a random UUID. */
  readonly id: string;
  /**
   * The client's IP address, the same as {@link AppRequest.ip}: that of the peer or, with the option `trustProxy`, the
   * one that the trusted proxies name. `""` for a Unix socket. The address stays readable after the connection is
   * closed.
   */
  readonly remoteAddress: string;
  /** The subprotocol that the handshake agreed on, or `""` (RFC 6455 §1.9). */
  readonly protocol: string;
  /** The extensions that the handshake agreed on, as in `Sec-WebSocket-Extensions`, or `""` (RFC 6455 §9.1). */
  readonly extensions: string;
  /** The number of bytes, frame headers included, that were sent but that the operating system has not taken yet. */
  readonly bufferedAmount: number;
  /** True while reading is paused: by `pause()`, or because a `for await` loop is busy with a message. */
  readonly isPaused: boolean;
  /**
   * The application's own value for this connection. It begins as the value that the route's `upgrade` hook has
   * returned.
   */
  data: Data;

  /**
   * Sends a message: a string as a text message, bytes as a binary message (RFC 6455 §5.6). All messages that are sent
   * in one turn of the event loop leave in one write. Bytes are copied, so that their array may be filled anew, and its
   * memory transferred, as soon as the call has returned.
   *
   * @param data a string, a `Buffer`, an `ArrayBuffer` or `SharedArrayBuffer`, or a view of one; of any realm
   * @param options see {@link SendOptions}
   * @returns true when the message is sent and there is room for more. False when more than `highWaterMark` bytes are
   * waiting: the message is queued all the same, and the sender should wait for `drain`. Also false when the message
   * is not sent, because the socket is not open, or because the peer is a slow consumer and `slowConsumer` says what
   * happens to it.
   * @throws TypeError for data that is neither a string nor bytes, and for a wrong option
   */
  send(data: string | BinaryData, options?: SendOptions): boolean;

  /**
   * Starts the closing handshake (RFC 6455 §7.1.2). All messages that were sent before are delivered first. Messages
   * that the peer sends before its own Close frame still reach the `message` listeners. If the connection is not over
   * after `closeTimeoutMs`, it is cut. On a socket that is not open, the call has no effect.
   *
   * @param code 1000 by default; a registered code that may be sent (1001–1003, 1007–1014), or a code of your own
   * from 3000 to 4999. 1005 sends a Close frame without a code
   * @param reason a text for the peer of at most 123 bytes of UTF-8; `""` by default
   * @throws RangeError for a code that must not be sent, a reason that is too long, or a reason with 1005; TypeError
   * for a code that is no number or a reason that is no string
   */
  close(code?: number, reason?: string): void;

  /** Cuts the TCP connection now, without a Close frame. Bytes that have not been written yet are lost. */
  terminate(): void;

  /**
   * Stops reading: no messages, Pings or Pongs are emitted until `resume()`. A peer that goes on sending is slowed
   * down by TCP itself, and messages that have already arrived wait. `close()` ends a pause, because the peer's Close
   * frame has to be read.
   */
  pause(): void;

  /** Starts reading again after `pause()`. */
  resume(): void;

  /**
   * Sends a Ping (RFC 6455 §5.5.2). The heartbeat sends Pings by itself. On a socket that is not open, the call has no
   * effect.
   *
   * @param data a payload of at most 125 bytes, which the peer's Pong repeats; empty by default
   * @throws TypeError for data that is neither a string nor bytes, RangeError for more than 125 bytes
   */
  ping(data?: string | BinaryData): void;

  /**
   * Sends an unasked Pong (RFC 6455 §5.5.3). The peer's Pings are answered without this method. While the peer does
   * not read, only the newest unasked Pong waits for it. On a socket that is not open, the call has no effect.
   *
   * @param data a payload of at most 125 bytes; empty by default
   * @throws TypeError for data that is neither a string nor bytes, RangeError for more than 125 bytes
   */
  pong(data?: string | BinaryData): void;

  /**
   * Subscribes to a topic: from now on the socket gets every message that is published there, until the socket
   * unsubscribes or begins to close. A second call for the same topic can change `presence`, and nothing else.
   *
   * If the client chooses the topic, check the name with `isTopic(topic)` first. If the client chooses how many topics
   * there are, compare the length of `topics` with a limit of your own.
   *
   * @param topic a string of 1 to 512 characters
   * @param options see {@link SubscribeOptions}
   * @returns true when the subscription is new; false when the socket was subscribed already or is not open
   * @throws TypeError or RangeError for a wrong topic or a wrong `presence`; RangeError above `maxTopicsPerSocket`
   */
  subscribe(topic: string, options?: SubscribeOptions): boolean;

  /**
   * Ends the subscription to a topic.
   *
   * @returns true when the socket was subscribed
   * @throws TypeError or RangeError for a wrong topic
   */
  unsubscribe(topic: string): boolean;

  /**
   * Sends a message to all sockets that are subscribed to a topic, in this process and behind the broker, except to
   * this socket.
   *
   * @returns the number of sockets of this process that the message was sent to
   * @throws TypeError or RangeError for a wrong topic, TypeError for data that is neither a string nor bytes
   */
  publish(topic: string, data: string | BinaryData): number;

  /** The topics that the socket is subscribed to, the oldest subscription first. */
  readonly topics: string[];

  /**
   * Waits until all that was sent has been taken by the operating system.
   *
   * @returns a promise that resolves when `bufferedAmount` is zero, and rejects when the connection is over before
   * that
   */
  drained(): Promise<void>;

  /**
   * Adds a listener. If a listener throws, or returns a promise that rejects, the error is logged and emitted as
   * `error`, and this socket is closed with 1011.
   *
   * The server begins to read from the connection when the route's handler has returned and its promise, if there is
   * one, has settled, or when the first `message` listener is added. No message is lost before that.
   *
   * @throws TypeError for an event that does not exist or a listener that is no function
   */
  on<Event extends keyof SocketEvents>(event: Event, listener: (...args: SocketEvents[Event]) => unknown): this;

  /** Adds a listener for the next event of this name only. Otherwise like {@link Socket.on}. */
  once<Event extends keyof SocketEvents>(event: Event, listener: (...args: SocketEvents[Event]) => unknown): this;

  /**
   * Removes a listener that `on` or `once` has added. A listener that was added twice is removed once. Throws as `on`
   * does.
   */
  off<Event extends keyof SocketEvents>(event: Event, listener: (...args: SocketEvents[Event]) => unknown): this;

  /** The number of listeners that an event has. */
  listenerCount(event: keyof SocketEvents): number;

  /**
   * The messages as a web stream. The stream is made when this property is first read. While nobody reads from the
   * stream, the connection is paused. The stream closes after a clean close, and fails after an unclean one.
   * Cancelling the stream closes the socket. The stream and `for await` share the messages: each message goes to one
   * of them.
   */
  readonly readable: ReadableStream<string | Buffer>;

  /**
   * A web stream that sends every chunk as a message. The stream is made when this property is first read. When more
   * than `highWaterMark` bytes are waiting, a write waits until the operating system has taken all of them. Closing
   * the stream closes the socket, and aborting the stream cuts the connection.
   */
  readonly writable: WritableStream<string | BinaryData>;

  /**
   * The messages one by one, for `for await`. The connection is paused while the loop is busy with a message. It stays
   * paused when the loop is left, so that another loop can go on where this one has stopped. The loop ends after a
   * clean close. After an unclean close the loop throws an Error with the code and the reason.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<string | Buffer>;
}
