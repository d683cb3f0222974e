/** The public interface of a WebSocket connection on the server: methods, properties and events. */
import type { Buffer } from "node:buffer";
import type { BinaryData } from "../common/bytes.ts";
import type { Followed } from "../pubsub/history/topic-history.ts";
import type { FollowOptions, SubscribeOptions } from "../pubsub/pubsub.ts";
import type { SocketBinaryType, SocketEventListener, SocketEventMap, SocketListenerOptions } from "./event-target.ts";
import type { SendCallback, SendOptions } from "./send-arguments.ts";

/**
 * The events of a {@link Socket}, with the arguments that a listener of each event gets. `Message` is the type of the
 * messages.
 */
export interface SocketEvents<Message = string | Buffer> {
  /**
   * A whole message has arrived. The data is a string for a text message, and a `Buffer` for a binary message. The
   * `Buffer` belongs to the listener, together with its memory: keep it, change it, send it on, or hand it to a worker,
   * copied or transferred (`worker.postMessage(data, [data.buffer])`). `data.buffer` has no bytes of anything else. It
   * may be up to 14 bytes longer than the message, because the frame's own header is in front of it, so a view has to
   * begin at `data.byteOffset`: `new Float32Array(data.buffer, data.byteOffset, data.length / 4)`. `data.byteOffset` is
   * a multiple of eight, as such views need.
   *
   * While a loop or a stream reads the messages too, the event comes at the moment at which the loop takes the message;
   * see {@link Socket}.
   *
   * On a route with a schema for its messages, the data is what the schema has made of the message, and `isBinary` is
   * false. See `message` in {@link RouteOptions}.
   */
  message: [data: Message, isBinary: boolean];
  /**
   * The connection is over. This event comes exactly once, and does not wait for messages that nobody has taken yet. A
   * listener that is added after the end is called soon after, also exactly once. The code and the reason are those of
   * the peer's Close frame, with 1005 for a Close frame without a code. Without a Close frame of the peer the code is
   * 1006, or the code with which the server failed the connection because of a fault. `wasClean` is true when Close
   * frames went both ways (RFC 6455 §7.1.4).
   */
  close: [code: number, reason: string, wasClean: boolean];
  /**
   * The peer has broken a rule or a limit, or a handler or a listener has thrown. An error without a listener is
   * ignored.
   */
  error: [error: Error];
  /**
   * A Ping has arrived. The event does not wait for messages that came before the Ping and that nobody has taken yet.
   * SpaceNode answers the Ping by itself, also without a listener. While the peer does not read, SpaceNode answers only
   * the newest of its Pings (RFC 6455 §5.5.3).
   */
  ping: [payload: Buffer];
  /** A Pong has arrived, as the answer to a Ping or unasked (RFC 6455 §5.5.3). */
  pong: [payload: Buffer];
  /** `bufferedAmount` has fallen to zero after a call of `send()` had returned false. */
  drain: [];
}

/**
 * The server's end of one WebSocket connection. The handler of a route gets one for each client.
 *
 * **Who gets a message.** Messages are read with `message` listeners, with `for await`, or as the stream `readable`.
 * Each message is handed out once, in the order of arrival:
 *
 * - With listeners alone, they get every message at once.
 * - While a loop or a stream reads, it gets every message, and the listeners get the same message at the same moment.
 *   While the loop is busy, the next messages wait for it.
 * - When the loop is left, the listeners go on with the next message. A listener that is added while the loop is busy
 *   gets the next messages too, until the loop asks again: so a listener inside a loop can wait for "stop".
 * - While nobody reads, messages wait for the next listener, loop or stream. When the handler has ended without ever
 *   having asked for a loop or a stream, messages without a listener are dropped.
 *
 * **While messages wait**, because the handler is still setting itself up or a loop is busy, everything else goes on:
 * Pings are answered, the heartbeat finds a dead peer, and the peer's Close is replied to and changes `readyState`. The
 * messages that came before the Close stay, and the loop ends behind them. At most 1,024 messages wait, and no more
 * bytes than one message may have (`maxMessageBytes`, or `highWaterMark` if that is more). When more come, the
 * connection is paused until half of them have been taken. During such a pause, TCP slows the peer down, and nothing is
 * heard of it: no Ping is answered, its Close is not seen, and the heartbeat does not judge it. A handler that runs
 * long and wants no messages adds a listener that does nothing, so that none waits.
 *
 * **Types.** `Data` is the type of `data`, `Message` that of the messages that come, and `Reply` that of the messages
 * that are sent. Messages are strings and bytes, unless the route has a schema for them; see `message` and `reply` in
 * {@link RouteOptions}.
 *
 * **AsyncLocalStorage.** A loop keeps the store in which it runs. A listener has no store of its own: it runs in that
 * of whatever has caused the event, which for a message is mostly none. `AsyncLocalStorage.bind(listener)` of
 * `node:async_hooks` gives a listener the store in which it was added.
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
export interface Socket<Data = unknown, Message = string | Buffer, Reply = string | BinaryData>
  extends AsyncIterable<Message> {
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
  /**
   * True while reading is paused: by `pause()`, because too many messages wait for a reader, or because of the option
   * `rateLimit`.
   */
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
   * @param data a string, a `Buffer`, an `ArrayBuffer` or `SharedArrayBuffer`, or a view of one; of any realm. On a
   * route with `reply`, a value that is sent as JSON
   * @param options see {@link SendOptions}. A callback may stand in this place too
   * @param callback called once, after this call has returned: without an argument when the message is sent and there
   * is room for more, which may be later; and with an Error when the message is not sent, or the connection has ended
   * before there was room. A callback that throws closes this socket with 1011, as a listener does
   * @returns true when the message is sent and there is room for more. False when more than `highWaterMark` bytes are
   * waiting: the message is queued all the same, and the sender should wait for `drain`. Also false when the message
   * is not sent, because the socket is not open, or because the peer is a slow consumer and `slowConsumer` says what
   * happens to it.
   * @throws TypeError for data that is neither a string nor bytes, or that JSON cannot write; for a wrong option, and
   * for a callback that is no function
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = await createApp();
   * app.ws("/", (socket) => {
   *   socket.send("hello");
   *   socket.send("a long text", { compress: true }, (error) => console.log(error ?? "sent"));
   * });
   * ```
   */
  send(data: Reply, options?: SendOptions | SendCallback, callback?: SendCallback): boolean;

  /**
   * Starts the closing handshake (RFC 6455 §7.1.2). All messages that were sent before are delivered first. Messages
   * that the peer sends before its own Close frame still reach the listeners and loops, but are dropped while as many
   * messages wait as may wait. If the connection is not over after `closeTimeoutMs`, it is cut. On a socket that is not
   * open, the call has no effect.
   *
   * @param code 1000 by default; a registered code that may be sent (1001–1003, 1007–1014), or a code of your own
   * from 3000 to 4999. 1005 sends a Close frame without a code
   * @param reason a text for the peer of at most 123 bytes of UTF-8; `""` by default
   * @throws RangeError for a code that must not be sent, a reason that is too long, or a reason with 1005; TypeError
   * for a code that is no number or a reason that is no string
   */
  close(code?: number, reason?: string): void;

  /**
   * Cuts the TCP connection now, without a Close frame. Bytes that have not been written yet are lost, and messages
   * that wait for a reader are dropped.
   */
  terminate(): void;

  /**
   * Stops reading: no messages, Pings or Pongs are emitted until `resume()`, and loops and streams get nothing. A peer
   * that goes on sending is slowed down by TCP itself, and messages that have already arrived wait. Nothing is heard of
   * the peer: its Pings are not answered, its Close is not seen, and the heartbeat does not judge it. `close()` ends a
   * pause, because the peer's Close frame has to be read.
   */
  pause(): void;

  /**
   * Starts reading again after `pause()`. Does not end a pause that lasts because too many messages wait, or because of
   * the option `rateLimit`.
   */
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
   * Follows a topic with a history, which {@link App.topic} has given it: the socket gets the messages behind a
   * position, in order and each once, and then all new ones, without a gap. To follow is to subscribe: the topic is in
   * `topics`, and `unsubscribe` ends it.
   *
   * What the socket gets is by default a JSON text for each message, `{ "topic", "id", "data" }`. A client keeps the
   * last `id`, and hands it in as `since` when it comes back. Before the messages comes one notice,
   * `{ "topic", "id", "recovered" }`. When `recovered` is false, nothing of the past follows: the client has to load
   * anew what it shows, and has missed nothing from then on. The same notice comes later if messages were lost to the
   * socket, because it was too slow for the history, or because the broker has lost it.
   *
   * A socket that takes the messages slowly has no more than `highWaterMark` and one message in memory: the other
   * messages wait in the history.
   *
   * @param topic a string of 1 to 512 characters
   * @param options where to begin, see {@link FollowOptions}
   * @returns a promise that resolves when the notice is sent. While the broker is away, the promise waits. A socket
   *   that closes meanwhile gets `{ recovered: false, id: "" }`
   * @throws through the promise: TypeError or RangeError for a wrong topic or option, RangeError above
   *   `maxTopicsPerSocket`, Error if the topic has no history or the socket follows it already
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = await createApp();
   * app.topic("room/*", { history: { size: 1_000, maxAgeMs: 300_000 } });
   *
   * app.ws("/rooms/:room", async (socket, req) => {
   *   const topic = `room/${req.params.room}`;
   *   socket.on("message", (text) => socket.publish(topic, text));
   *   await socket.follow(topic, { since: req.query.get("since") });
   * });
   * ```
   */
  follow(topic: string, options?: FollowOptions): Promise<Followed>;

  /**
   * Ends the subscription to a topic.
   *
   * @returns true when the socket was subscribed
   * @throws TypeError or RangeError for a wrong topic
   */
  unsubscribe(topic: string): boolean;

  /**
   * Sends a message to all sockets that are subscribed to a topic, in this process and behind the broker, except to
   * this socket. At a topic with a history, see {@link App.publish}, this socket gets the message too.
   *
   * @param data as for {@link Socket.send}. A value for JSON is encoded once for all sockets
   * @returns the number of sockets of this process that the message was sent to
   * @throws TypeError or RangeError for a wrong topic, TypeError for data that is neither a string nor bytes, or that
   * JSON cannot write
   */
  publish(topic: string, data: Reply): number;

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
   * No message is lost before a listener is added, as long as the route's handler has not ended: the handler has
   * returned, and its promise, if there is one, has settled. See {@link Socket} for messages that wait, and for
   * AsyncLocalStorage.
   *
   * @throws TypeError for an event that does not exist or a listener that is no function
   */
  on<Event extends keyof SocketEvents>(
    event: Event,
    listener: (...args: SocketEvents<Message>[Event]) => unknown,
  ): this;

  /** Adds a listener for the next event of this name only. Otherwise like {@link Socket.on}. */
  once<Event extends keyof SocketEvents>(
    event: Event,
    listener: (...args: SocketEvents<Message>[Event]) => unknown,
  ): this;

  /**
   * Removes a listener that `on` or `once` has added. A listener that was added twice is removed once. Throws as `on`
   * does.
   */
  off<Event extends keyof SocketEvents>(
    event: Event,
    listener: (...args: SocketEvents<Message>[Event]) => unknown,
  ): this;

  /** The number of listeners that an event has, those of `addEventListener` included. */
  listenerCount(event: keyof SocketEvents): number;

  /**
   * Adds a listener as in a browser, for code that was written for that interface. The listener gets one event, and is
   * called in its turn among those of {@link Socket.on}, in the same cases: messages wait for it, a `close` listener
   * that is added late is called, and an exception closes this socket with 1011. For code of your own, `on` is shorter.
   *
   * A listener that was added for the same type already is not added again. The event `open` never happens, because the
   * socket is open before the handler gets it. A type that does not exist is ignored.
   *
   * @param type `"message"`, `"close"` or `"error"`
   * @param listener a function, which gets the socket as `this`, or an object with a method `handleEvent`. null is
   * ignored
   * @param options see {@link SocketListenerOptions}. A boolean is ignored
   * @throws TypeError for a listener that is neither a function nor an object, and for a wrong signal
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = await createApp();
   * app.ws("/echo", (socket) => {
   *   socket.addEventListener("message", ({ data, target }) => {
   *     if (typeof data === "string") target.send(data);
   *   });
   * });
   * ```
   */
  addEventListener<Type extends keyof SocketEventMap>(
    type: Type,
    listener: SocketEventListener<SocketEventMap<Socket<Data, Message, Reply>, Message>[Type]> | null,
    options?: SocketListenerOptions | boolean,
  ): void;

  /** Removes a listener that `addEventListener` has added. Without such a listener, the call has no effect. */
  removeEventListener<Type extends keyof SocketEventMap>(
    type: Type,
    listener: SocketEventListener<SocketEventMap<Socket<Data, Message, Reply>, Message>[Type]> | null,
    options?: SocketListenerOptions | boolean,
  ): void;

  /**
   * The form of binary messages in the events of `addEventListener`: `"nodebuffer"` (the default), `"arraybuffer"` or
   * `"blob"`. Listeners of `on`, loops and streams get a `Buffer` all the same. Setting another value throws a
   * TypeError.
   */
  binaryType: SocketBinaryType;

  /**
   * The messages as a web stream. The stream is made when this property is first read. While nobody reads from the
   * stream, messages wait, and the connection is paused when too many do; see {@link Socket}. The stream closes after a
   * clean close, and fails after an unclean one, in both cases behind the messages that wait. Cancelling the stream
   * closes the socket. The stream and `for await` share the messages: each message goes to one of them.
   */
  readonly readable: ReadableStream<Message>;

  /**
   * A web stream that sends every chunk as a message. The stream is made when this property is first read. When more
   * than `highWaterMark` bytes are waiting, a write waits until the operating system has taken all of them. Closing
   * the stream closes the socket, and aborting the stream cuts the connection.
   */
  readonly writable: WritableStream<Reply>;

  /**
   * The messages one by one, for `for await`. While the loop is busy with a message, the next ones wait, and the
   * connection is paused when too many do; see {@link Socket}. When the loop is left, the next loop, stream or
   * `message` listener goes on with the next message. The loop ends after a clean close. After an unclean close the
   * loop throws an Error with the code and the reason. Both come behind the messages that wait.
   *
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = await createApp();
   * app.ws("/chat", async (socket) => {
   *   for await (const name of socket) {
   *     socket.data = name;
   *     break;
   *   }
   *   socket.on("message", (data) => socket.send(`${socket.data}: ${data}`));
   * });
   * ```
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message>;
}
