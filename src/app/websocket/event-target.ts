/**
 * The events of a socket in the form of the browser's interface: `addEventListener`, `removeEventListener` and
 * `binaryType`. Each listener becomes one of `Socket.on`, so that messages that wait, the end of the connection, and
 * exceptions are treated as there.
 *
 * Module state: `targets`, with what belongs to each socket that has been used in this way. A socket enters the map
 * with its first listener, and leaves it by being collected. So a socket has no field for these listeners, and sockets
 * without them cost nothing.
 */
import type { Buffer } from "node:buffer";
import { show } from "../common/show.ts";
import { isObject, throwInvalidOption } from "../common/validate.ts";

/**
 * The form in which {@link SocketMessageEvent.data} has the bytes of a binary message: `"nodebuffer"` for a `Buffer`,
 * `"arraybuffer"` for an `ArrayBuffer` and `"blob"` for a `Blob`.
 */
export type SocketBinaryType = "nodebuffer" | "arraybuffer" | "blob";

/** The members that all events for `Socket.addEventListener` have. */
export interface SocketEvent<Target = unknown> {
  /** The name of the event. */
  readonly type: string;
  /** The socket. */
  readonly target: Target;
  /** The socket. */
  readonly currentTarget: Target;
}

/** A message, for a listener that `Socket.addEventListener` has added. */
export interface SocketMessageEvent<Target = unknown, Message = string | Buffer> extends SocketEvent<Target> {
  /** `"message"`. */
  readonly type: "message";
  /**
   * A string for a text message. For a binary message, what `Socket.binaryType` says: a `Buffer` by default. On a route
   * with a schema for its messages, what the schema has made of the message.
   */
  readonly data: Message | (Buffer extends Message ? ArrayBuffer | Blob : never);
}

/** The end of the connection, for a listener that `Socket.addEventListener` has added. */
export interface SocketCloseEvent<Target = unknown> extends SocketEvent<Target> {
  /** `"close"`. */
  readonly type: "close";
  /** The code, as in the event `close` of `Socket.on`. */
  readonly code: number;
  /** The reason that the peer has given, or `""`. */
  readonly reason: string;
  /** True when Close frames went both ways (RFC 6455 §7.1.4). */
  readonly wasClean: boolean;
}

/** An error, for a listener that `Socket.addEventListener` has added. */
export interface SocketErrorEvent<Target = unknown> extends SocketEvent<Target> {
  /** `"error"`. */
  readonly type: "error";
  /** A fault of the client, or what a handler or a listener has thrown. */
  readonly error: Error;
  /** The message of the error. */
  readonly message: string;
}

/** The events of `Socket.addEventListener`, by their types. */
export interface SocketEventMap<Target = unknown, Message = string | Buffer> {
  /** A whole message has arrived. */
  message: SocketMessageEvent<Target, Message>;
  /** The connection is over. */
  close: SocketCloseEvent<Target>;
  /** The client has broken a rule or a limit, or a handler or a listener has thrown. */
  error: SocketErrorEvent<Target>;
  /** Never happens, because the socket is open before the handler gets it. */
  open: SocketEvent<Target>;
}

/** A listener for `Socket.addEventListener`: a function, or an object with a method `handleEvent`. */
export type SocketEventListener<Event> = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };

/** Options of `Socket.addEventListener`. */
export interface SocketListenerOptions {
  /** Removes the listener before its first call. Default: false. */
  once?: boolean | undefined;
  /** Removes the listener when the signal aborts. A signal that has aborted adds nothing. Default: none. */
  signal?: AbortSignal | undefined;
  /** Has no effect, because the events of a socket do not travel through a tree. */
  capture?: boolean | undefined;
  /** Has no effect, because the events of a socket have no default action. */
  passive?: boolean | undefined;
}

/** The arguments of the socket's own listeners. */
interface SocketEventArguments {
  readonly message: readonly [data: unknown, isBinary: boolean];
  readonly close: readonly [code: number, reason: string, wasClean: boolean];
  readonly error: readonly [error: Error];
}

/** The socket's own listeners, which carry those of this file. */
interface Source {
  on(event: string, listener: Relay): unknown;
  off(event: string, listener: Relay): unknown;
}

type Relay = (...args: unknown[]) => unknown;
type AnyListener = SocketEventListener<never>;

/** One listener of one type. */
interface Entry {
  readonly type: string;
  readonly listener: AnyListener;
  /** The function that the socket has in place of the listener. */
  readonly relay: Relay;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: () => void;
}

/** What is kept for a socket that has been used as an event target. */
interface Target {
  binaryType: SocketBinaryType;
  entries: readonly Entry[];
  /** True when the end of the socket removes the listeners, because one of them has a signal. */
  endsSignals: boolean;
}

/** The types whose events happen. */
const TYPES: readonly string[] = ["message", "close", "error"];
const BINARY_TYPES: readonly unknown[] = ["nodebuffer", "arraybuffer", "blob"];
const targets = new WeakMap<object, Target>();

/** The form of binary messages in the events of a socket. */
export function binaryTypeOf(socket: object): SocketBinaryType {
  return targets.get(socket)?.binaryType ?? "nodebuffer";
}

/**
 * Sets the form of binary messages in the events of a socket.
 *
 * @throws TypeError for a form that does not exist
 */
export function setBinaryType(socket: object, binaryType: SocketBinaryType): void {
  if (!BINARY_TYPES.includes(binaryType)) {
    throwInvalidOption("binaryType", binaryType, '"nodebuffer", "arraybuffer" or "blob"');
  }
  targetOf(socket).binaryType = binaryType;
}

/**
 * Adds a listener, unless the same one was added for this type already. As in a browser, a type that does not exist is
 * no error: an event of this type never happens.
 *
 * @throws TypeError for a listener that is neither a function nor an object, and for wrong options
 */
export function addListener(
  socket: Source,
  type: string,
  listener: AnyListener | null,
  options: SocketListenerOptions | boolean | undefined,
): void {
  if (listener === null) return;
  checkListener(type, listener);
  const { once, signal } = readOptions(options);
  if (!TYPES.includes(type) || signal?.aborted === true || entryOf(socket, type, listener) !== undefined) return;
  const target = targetOf(socket);
  const entry: Entry = {
    type,
    listener,
    signal,
    relay: (...args) => {
      if (once) removeEntry(socket, entry);
      const details = detailsOf(type, args, target.binaryType);
      const event = { type, target: socket, currentTarget: socket, ...details } as never;
      return typeof listener === "function" ? listener.call(socket, event) : listener.handleEvent(event);
    },
    onAbort: () => removeEntry(socket, entry),
  };
  target.entries = [...target.entries, entry];
  socket.on(type, entry.relay);
  if (signal === undefined) return;
  signal.addEventListener("abort", entry.onAbort, { once: true });
  if (target.endsSignals) return;
  target.endsSignals = true;
  // A signal may live as long as the app. It must not keep the sockets that have ended.
  socket.on("close", () => endSignals(target));
}

/** Removes a listener. Nothing happens when there is no such listener. */
export function removeListener(socket: Source, type: string, listener: AnyListener | null): void {
  const entry = listener === null ? undefined : entryOf(socket, type, listener);
  if (entry !== undefined) removeEntry(socket, entry);
}

function targetOf(socket: object): Target {
  const present = targets.get(socket);
  if (present !== undefined) return present;
  const target: Target = { binaryType: "nodebuffer", entries: [], endsSignals: false };
  targets.set(socket, target);
  return target;
}

function entryOf(socket: Source, type: string, listener: AnyListener): Entry | undefined {
  return targets.get(socket)?.entries.find((entry) => entry.type === type && entry.listener === listener);
}

function removeEntry(socket: Source, entry: Entry): void {
  const target = targetOf(socket);
  target.entries = target.entries.filter((other) => other !== entry);
  entry.signal?.removeEventListener("abort", entry.onAbort);
  socket.off(entry.type, entry.relay);
}

function endSignals({ entries }: Target): void {
  for (const { signal, onAbort } of entries) signal?.removeEventListener("abort", onAbort);
}

/** The members of an event besides those that all events have, from the arguments of a listener of `Socket.on`. */
function detailsOf(type: string, args: readonly unknown[], binaryType: SocketBinaryType): object {
  if (type === "close") {
    const [code, reason, wasClean] = args as SocketEventArguments["close"];
    return { code, reason, wasClean };
  }
  if (type === "error") {
    const [error] = args as SocketEventArguments["error"];
    return { error, message: error.message };
  }
  const [data, isBinary] = args as SocketEventArguments["message"];
  return { data: isBinary ? inForm(binaryType, data as Buffer) : data };
}

function inForm(binaryType: SocketBinaryType, data: Buffer): Buffer | ArrayBuffer | Blob {
  if (binaryType === "nodebuffer") return data;
  const bytes = data as Buffer<ArrayBuffer>;
  // The memory of the message begins with the header of its frame, so that it cannot be handed out whole.
  if (binaryType === "arraybuffer") return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  return new Blob([bytes]);
}

function checkListener(type: string, listener: unknown): void {
  if (typeof listener === "function" || isObject(listener)) return;
  throw new TypeError(
    `The listener of ${show(type)} must be a function or an object with handleEvent; got ${show(listener)}`,
  );
}

function readOptions(options: SocketListenerOptions | boolean | undefined): SocketListenerOptions {
  if (options === undefined || typeof options === "boolean") return {};
  if (!isObject(options)) return throwInvalidOption("The third argument of addEventListener", options, "an object");
  const { once, signal } = options;
  // A signal of another realm is none of this realm's AbortSignal.
  if (signal !== undefined && typeof signal?.addEventListener !== "function") {
    throwInvalidOption("signal", signal, "an AbortSignal");
  }
  return { once: once === true, signal };
}
