/** The class behind the public `Socket` interface. */
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import type { Socket as RawSocket } from "node:net";
import { CloseCode, MAX_CONTROL_PAYLOAD_BYTES } from "../../protocol/close.ts";
import type { ConnectionHandler, ConnectionSettings, SendResult } from "../../transport/connection-handler.ts";
import { Connection } from "../../transport/connection.ts";
import type { NegotiatedDeflate } from "../../transport/deflate/negotiated-deflate.ts";
import { RateLimitedConnection } from "../../transport/rate-limited-connection.ts";
import type { Traffic } from "../../transport/traffic.ts";
import { type BinaryData, toBytes } from "../common/bytes.ts";
import { Emitter } from "../common/emitter.ts";
import { entryOf, type Logger } from "../common/logger.ts";
import { show } from "../common/show.ts";
import type { Followed } from "../pubsub/history/topic-history.ts";
import type { FollowOptions, Member, PubSub, SubscribeOptions } from "../pubsub/pubsub.ts";
import { checkClose } from "./close.ts";
import { closings, errors, messages } from "./diagnostics.ts";
import {
  addListener,
  binaryTypeOf,
  removeListener,
  setBinaryType,
  type SocketBinaryType,
  type SocketEventListener,
  type SocketListenerOptions,
} from "./event-target.ts";
import { Inbox, type InboxOwner } from "./inbox.ts";
import { readSendArguments, type SendCallback, type SendOptions } from "./send-arguments.ts";
import type { Socket, SocketEvents } from "./socket.ts";
import { readableOf, writableOf } from "./web-streams.ts";

const NOT_OPEN = "The message was not sent: the socket is not open";
const DROPPED = "The message was not sent: more than maxBufferedBytes would wait for this client";
const CONNECTION_EVENTS = ["close", "error", "ping", "pong", "drain"] as const;
const EVENTS = ["message", ...CONNECTION_EVENTS] as const;

/** The parts of the app and the options of the route with which a socket works. */
export interface ServerSocketSettings extends ConnectionSettings {
  readonly logger: Logger;
  readonly pubSub: PubSub<ServerSocket>;
  /** Called once, after the `close` event. */
  readonly onClosed: (socket: ServerSocket, wasClean: boolean, code: number) => void;
}

/** What the opening handshake has told: the client's address, and the results of the negotiations. */
export interface Agreed {
  /** The client's IP address. Empty if it is not known. */
  readonly ip: string;
  readonly subprotocol?: string | undefined;
  readonly compression?: NegotiatedDeflate | undefined;
}

/** The arguments of the `close` event. */
interface CloseDetails {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
}

/** The socket that handlers get: the events and methods of {@link Socket} over a {@link Connection}. */
export class ServerSocket extends Emitter<SocketEvents> implements Socket, Member, ConnectionHandler, InboxOwner {
  readonly protocol: string;
  readonly remoteAddress: string;
  data: unknown;
  /** The topics of this socket. `PubSub` makes the set at the first subscription, because most sockets have none. */
  subscriptions: Set<string> | undefined;
  #id: string | undefined;
  /** Made when a loop or a stream is asked for, or when a message has to wait. Most sockets need none. */
  #inbox: Inbox | undefined;
  /** True when the application has asked for a loop or a stream: messages wait for its next reader from then on. */
  #isIterated = false;
  /** True when the handler has returned, and its promise, if there is one, has settled. */
  #isHandlerDone = false;
  #closeDetails: CloseDetails | undefined;
  /** The error that loops over the messages throw after an unclean close. */
  #closeError: Error | undefined;
  /** True when `send()` has returned false and `drain` has not been emitted since. */
  #isDrainDue = false;
  #readable: ReadableStream<string | Buffer> | undefined;
  #writable: WritableStream<string | BinaryData> | undefined;
  #drainWaiters: PromiseWithResolvers<void>[] | undefined;
  readonly #compression: NegotiatedDeflate | undefined;
  readonly #settings: ServerSocketSettings;
  readonly #connection: Connection;

  constructor(raw: RawSocket, head: Buffer, agreed: Agreed, data: unknown, settings: ServerSocketSettings) {
    super();
    this.protocol = agreed.subprotocol ?? "";
    this.#compression = agreed.compression;
    this.data = data;
    this.remoteAddress = agreed.ip;
    this.#settings = settings;
    const { rateLimiter } = settings;
    this.#connection = rateLimiter === undefined
      ? new Connection(raw, head, settings, this, agreed.compression)
      : new RateLimitedConnection(raw, head, settings, this, agreed.compression, rateLimiter);
  }

  protected get owner(): string {
    return "A socket";
  }

  protected get events(): typeof EVENTS {
    return EVENTS;
  }

  get CONNECTING(): 0 {
    return 0;
  }

  get OPEN(): 1 {
    return 1;
  }

  get CLOSING(): 2 {
    return 2;
  }

  get CLOSED(): 3 {
    return 3;
  }

  get isOpen(): boolean {
    return this.#connection.isOpen;
  }

  get readyState(): 1 | 2 | 3 {
    return this.#connection.isOpen ? 1 : this.#connection.isClosed ? 3 : 2;
  }

  get id(): string {
    return this.#id ??= randomUUID();
  }

  get extensions(): string {
    return this.#compression?.header ?? "";
  }

  get bufferedAmount(): number {
    return this.#connection.bufferedAmount;
  }

  /** Whether no more than `highWaterMark` waits to be sent. */
  get hasRoom(): boolean {
    return this.#connection.bufferedAmount <= this.#settings.highWaterMark;
  }

  get isPaused(): boolean {
    return this.#connection.isPaused;
  }

  /** The number of messages that were dropped because the peer is a slow consumer. */
  get droppedMessages(): number {
    return this.#connection.droppedMessages;
  }

  /** The figures of this socket's route, to which the socket adds. */
  get traffic(): Traffic {
    return this.#settings.traffic;
  }

  /** The bytes that were sent and are not in `traffic` yet. */
  get sentBytes(): number {
    return this.#connection.sentBytes;
  }

  send(data: string | BinaryData, options?: SendOptions | SendCallback, callback?: SendCallback): boolean {
    if (options === undefined && callback === undefined) {
      return this.#send(typeof data === "string" ? data : toBytes(data), undefined) === "sent";
    }
    const args = readSendArguments(options, callback);
    const result = this.#send(typeof data === "string" ? data : toBytes(data), args.compress);
    if (args.callback !== undefined) this.#callBack(args.callback, result);
    return result === "sent";
  }

  /** Calls the callback of `send`, never inside the call of `send`: when there is room for more, or with an Error. */
  #callBack(callback: SendCallback, result: SendResult): void {
    const room = result === "full" ? this.drained() : Promise.resolve();
    const refusal = result === "refused" ? new Error(this.isOpen ? DROPPED : NOT_OPEN) : undefined;
    room.then(() => refusal === undefined ? callback() : callback(refusal), callback)
      .catch((error) => this.onHandlerError("callback of send()", error));
  }

  /**
   * Sends a published message. Tells whether the message was taken: it was also taken when there is no room for more.
   */
  deliver(data: string | Uint8Array): boolean {
    return this.#send(data, undefined) !== "refused";
  }

  get topics(): string[] {
    return [...this.subscriptions ?? []];
  }

  subscribe(topic: string, options: SubscribeOptions = {}): boolean {
    return this.#settings.pubSub.subscribe(this, topic, options);
  }

  follow(topic: string, options: FollowOptions = {}): Promise<Followed> {
    return this.#settings.pubSub.follow(this, topic, options);
  }

  unsubscribe(topic: string): boolean {
    return this.#settings.pubSub.unsubscribe(this, topic);
  }

  publish(topic: string, data: string | BinaryData): number {
    return this.#settings.pubSub.publish(topic, data, this);
  }

  close(code: number = CloseCode.NORMAL, reason: string = ""): void {
    checkClose(code, reason);
    this.#connection.close(code, reason);
  }

  terminate(): void {
    this.#inbox?.discard();
    this.#connection.terminate();
  }

  /**
   * Starts the closing handshake because the app closes. The app bounds the time of all sockets together, so
   * `closeTimeoutMs` does not apply.
   */
  closeWithApp(code: number, reason: string): void {
    this.#connection.close(code, reason, false);
  }

  pause(): void {
    if (this.isOpen) this.#inbox?.pause();
    this.#connection.pause();
  }

  resume(): void {
    if (this.#inbox === undefined) this.#connection.resume();
    else this.#inbox.resume();
  }

  ping(data: string | BinaryData = ""): void {
    this.#connection.ping(toControlPayload(data));
  }

  pong(data: string | BinaryData = ""): void {
    this.#connection.pong(toControlPayload(data));
  }

  drained(): Promise<void> {
    const waiter = Promise.withResolvers<void>();
    const { isClosed } = this.#connection;
    if (isClosed || this.bufferedAmount === 0) {
      // Nothing is settled at once: a loop that sends and waits would hold the event loop, for ever when the socket is
      // closing, since the loop would never see the end of the connection.
      this.#connection.yieldToOthers(() => isClosed ? waiter.reject(ended()) : waiter.resolve());
      return waiter.promise;
    }
    (this.#drainWaiters ??= []).push(waiter);
    this.#connection.notifyDrain();
    return waiter.promise;
  }

  #send(data: string | Uint8Array, compress: boolean | undefined): SendResult {
    const result = this.#connection.send(data, compress);
    if (result !== "sent") this.#isDrainDue = true;
    return result;
  }

  override on<Event extends keyof SocketEvents>(
    event: Event,
    listener: (...args: SocketEvents[Event]) => unknown,
  ): this {
    super.on(event, listener);
    if (event === "message") this.#inbox?.takeFromLoop();
    // Messages that wait are not handed out inside this call, because the handler may have more listeners to add.
    if (event === "message" ? this.#inbox !== undefined : event === "close" && this.#closeDetails !== undefined) {
      queueMicrotask(() => this.#catchUp());
    }
    return this;
  }

  addEventListener(
    type: string,
    listener: SocketEventListener<never> | null,
    options?: SocketListenerOptions | boolean,
  ): void {
    addListener(this, type, listener, options);
  }

  removeEventListener(type: string, listener: SocketEventListener<never> | null): void {
    removeListener(this, type, listener);
  }

  get binaryType(): SocketBinaryType {
    return binaryTypeOf(this);
  }

  set binaryType(binaryType: SocketBinaryType) {
    setBinaryType(this, binaryType);
  }

  /** Gives listeners that were added late the messages that wait and the end of the connection. */
  #catchUp(): void {
    this.#inbox?.drain();
    if (this.#closeDetails === undefined) return;
    const { code, reason, wasClean } = this.#closeDetails;
    this.emit("close", code, reason, wasClean);
    this.removeListeners("close");
  }

  get readable(): ReadableStream<string | Buffer> {
    return this.#readable ??= readableOf(this);
  }

  get writable(): WritableStream<string | BinaryData> {
    return this.#writable ??= writableOf(this);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<string | Buffer> {
    this.#isIterated = true;
    return this.openInbox();
  }

  protected openInbox(): Inbox {
    if (this.#inbox !== undefined) return this.#inbox;
    this.#inbox = this.createInbox(this.#connection.isPauseWanted);
    if (this.#closeDetails !== undefined) this.#finishInbox(this.#closeDetails);
    return this.#inbox;
  }

  protected createInbox(isPaused: boolean): Inbox {
    return new Inbox(this, isPaused);
  }

  /**
   * Ends the loops over the messages. Creating an Error is the most expensive part of closing a socket, so one is
   * created only if there may be a loop that throws the error.
   */
  #finishInbox({ code, reason, wasClean }: CloseDetails): void {
    if (!wasClean) this.#closeError = new Error(`The socket has ended with ${code} ${reason}`.trimEnd());
    this.#inbox?.finish(this.#closeError);
  }

  /**
   * Begins to read, because the handler has returned. Messages wait until there is a listener, a loop or a stream, or
   * until the handler has ended without one. Further calls have no effect.
   */
  start(): void {
    this.#connection.start();
  }

  /** The handler is done: messages wait no longer, unless a loop or a stream was asked for. */
  onHandlerEnd(): void {
    this.#isHandlerDone = true;
    this.#inbox?.drain();
  }

  /**
   * Closes this socket with 1011, because its handler or a listener has thrown. The server and its other sockets go on.
   *
   * @param where names the function that has thrown, in the log
   */
  onHandlerError(where: string, error: unknown): void {
    // A loop over the messages has thrown because of an unclean close. The `close` event has reported that already, and
    // the handler is not at fault.
    if (this.#closeError !== undefined && error === this.#closeError) return;
    this.#settings.logger.error(entryOf(`SpaceNode: the ${where} has thrown, its socket is closed with 1011`, error));
    // One exception is enough: the message listeners do not get the messages that wait or still arrive.
    this.removeListeners("message");
    this.onHandlerEnd();
    this.onError(error instanceof Error ? error : new Error(show(error), { cause: error }));
    this.#connection.close(CloseCode.INTERNAL_ERROR, "");
  }

  protected onListenerError(event: keyof SocketEvents, error: unknown): void {
    // An `error` listener that throws must not be called with its own exception.
    if (event !== "error") return this.onHandlerError(`listener of "${event}"`, error);
    this.#settings.logger.error(entryOf('SpaceNode: the listener of "error" has thrown', error));
  }

  // InboxOwner

  get dropsUnread(): boolean {
    return this.#isHandlerDone && !this.#isIterated;
  }

  get maxWaitingBytes(): number {
    return Math.max(this.#settings.highWaterMark, this.#settings.maxMessageBytes);
  }

  hasMessageListener(): boolean {
    return this.listenerCount("message") > 0;
  }

  emitMessage(message: string | Buffer): void {
    this.emitPair("message", message, typeof message !== "string");
  }

  pauseWire(): void {
    this.#connection.pause();
  }

  resumeWire(): void {
    this.#connection.resume();
  }

  // ConnectionHandler

  onMessage(data: string | Uint8Array, isBinary: boolean): void {
    if (!messages.hasSubscribers) return this.take(data, isBinary);
    messages.runStores({ socket: this, data, isBinary }, () => this.take(data, isBinary));
  }

  /** Hands a message out, or keeps it until somebody reads. */
  protected take(data: string | Uint8Array, isBinary: boolean): void {
    // Most sockets have a listener and no inbox.
    if (this.#inbox === undefined && (this.#isHandlerDone || this.hasMessageListener())) {
      this.emitPair("message", data as string | Buffer, isBinary);
    } else {
      this.openInbox().push(data as string | Buffer);
    }
  }

  onPing(payload: Uint8Array): void {
    this.emit("ping", payload as Buffer);
  }

  onPong(payload: Uint8Array): void {
    this.emit("pong", payload as Buffer);
  }

  onDrain(): void {
    for (const waiter of this.#drainWaiters?.splice(0) ?? []) waiter.resolve();
    if (!this.#isDrainDue) return;
    this.#isDrainDue = false;
    this.emit("drain");
  }

  onClosing(): void {
    if (this.subscriptions !== undefined) this.#settings.pubSub.leaveAll(this);
    this.#inbox?.endPause();
  }

  onError(error: Error): void {
    if (errors.hasSubscribers) errors.publish({ socket: this, error });
    this.emit("error", error);
  }

  onClose(code: number, reason: string, wasClean: boolean): void {
    for (const waiter of this.#drainWaiters?.splice(0) ?? []) waiter.reject(ended());
    this.#closeDetails = { code, reason, wasClean };
    if (this.#inbox !== undefined) this.#finishInbox(this.#closeDetails);
    if (closings.hasSubscribers) closings.publish({ socket: this, code, reason, wasClean });
    this.emit("close", code, reason, wasClean);
    // The message listeners stay while a loop still takes messages that came before the end.
    if (this.#inbox?.isEmpty === false) { for (const event of CONNECTION_EVENTS) this.removeListeners(event); }
    else this.removeListeners();
    this.#settings.onClosed(this, wasClean, code);
  }
}

function ended(): Error {
  return new Error("The socket has ended");
}

/**
 * The payload of a Ping or Pong as bytes.
 *
 * @throws RangeError above 125 bytes (RFC 6455 §5.5), TypeError for data that is neither a string nor bytes
 */
function toControlPayload(data: string | BinaryData): Uint8Array {
  const payload = typeof data === "string" ? Buffer.from(data) : toBytes(data);
  if (payload.length <= MAX_CONTROL_PAYLOAD_BYTES) return payload;
  throw new RangeError(`A Ping or Pong carries at most 125 bytes; got ${payload.length}`);
}
