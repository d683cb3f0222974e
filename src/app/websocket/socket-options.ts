/** The options that an app has for all its WebSocket routes, and a route for itself: their defaults and their check. */
import type { CompressionSettings } from "../../transport/deflate/negotiated-deflate.ts";
import type { RateLimit } from "../../transport/timers/rate-limiter.ts";
import { checkNames, isObject, limit, throwInvalidOption, timeoutMs } from "../common/validate.ts";
import { type CompressionOptions, resolveCompression } from "./compression-options.ts";
import { compileOrigins, type OriginCheck, type WsOrigins } from "./origins.ts";

/** Options that `createApp` sets for all WebSocket routes, and that `app.ws` may set differently for one route. */
export interface SocketOptions {
  /**
   * The origins of the web pages that may connect. Pages of other origins get 403. See {@link WsOrigins}. Default:
   * pages of all origins may connect, and the first page of another origin is logged as a warning.
   */
  wsOrigins?: WsOrigins | undefined;
  /**
   * The largest message that a peer may send, in bytes, counted after decompression. Above it the socket is closed with
   * 1009. Default 1 MiB.
   */
  maxMessageBytes?: number | undefined;
  /**
   * The largest number of frames that one message of a peer may have, empty frames included. Above it the socket is
   * closed with 1008. Default 16,384.
   */
  maxFragments?: number | undefined;
  /**
   * The largest number of bytes that may wait to be sent to one peer. A peer for which more bytes wait is a slow
   * consumer. A message that waits to be compressed counts 300 bytes more, because it takes that much more memory.
   * Default 16 MiB.
   */
  maxBufferedBytes?: number | undefined;
  /**
   * What happens to a slow consumer: `"close"` closes its socket with 1013, `"drop"` drops messages to it until there
   * is room again. Default `"close"`.
   */
  slowConsumer?: "close" | "drop" | undefined;
  /**
   * The number of bytes that wait to be sent to one peer above which `send()` returns false. The message is queued all
   * the same. Default 64 KiB.
   */
  highWaterMark?: number | undefined;
  /**
   * How many messages are read from one socket: `messages` at once, and after that `messages` in each `perMs`
   * milliseconds, evenly. `{ messages: 100, perMs: 1_000 }` reads 100 messages at once, and then one every 10 ms.
   *
   * A client that sends more is not punished. Nothing is lost, and the socket stays open: reading pauses until there is
   * room for the next message, so that TCP slows the client down. The pause comes between two messages, and lasts
   * `perMs / messages` milliseconds, or up to 20 when that is more. `pause()` and `resume()` work besides it. The
   * heartbeat does not judge the client while reading is paused.
   *
   * Pings, Pongs and the fragments of a message are not counted. As during every pause, they wait, as does the client's
   * Close. When the client has ended its side of the TCP connection, what it has sent is read on at the same pace for
   * at most `closeTimeoutMs`. When the server closes the socket, the limit ends.
   *
   * `false` turns the limit of the app off for one route. Default: no limit.
   *
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = await createApp({ rateLimit: { messages: 100, perMs: 1_000 } });
   * app.ws("/chat", { rateLimit: { messages: 5, perMs: 10_000 } }, (socket) => {
   *   socket.subscribe("chat");
   *   socket.on("message", (text) => socket.publish("chat", text));
   * });
   * ```
   */
  rateLimit?: { messages: number; perMs: number } | false | undefined;
  /**
   * How old a connection may become, in milliseconds, counted from its handshake. Then its socket is closed with 1001,
   * behind all that was sent before, and the client connects again: so connections spread over new processes behind a
   * load balancer, and a client shows its credentials again after some time.
   *
   * The sockets that have come together do not leave together: each is closed at a moment of its own, which chance
   * chooses between four fifths of this age and all of it. The reason of the Close frame tells clients that their
   * connection was too old. A client that does not answer is cut after `closeTimeoutMs`.
   *
   * `false` turns the age of the app off for one route. Default: connections may become as old as they like.
   *
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = await createApp({ maxAgeMs: 3_600_000 }); // an hour
   * app.ws("/chat", (socket) => {
   *   socket.on("message", (text) => socket.send(text));
   * });
   * ```
   */
  maxAgeMs?: number | false | undefined;
  /**
   * Whether messages are compressed with permessage-deflate (RFC 7692), for clients that offer it: `true`, `false`, or
   * {@link CompressionOptions}. Default `false`.
   */
  compression?: boolean | CompressionOptions | undefined;
}

/** The options of a route, checked, with every default in place. */
export interface ResolvedSocketOptions {
  /** Undefined when pages of all origins may connect. */
  readonly isOriginAllowed: OriginCheck | undefined;
  readonly maxMessageBytes: number;
  readonly maxFragments: number;
  readonly maxBufferedBytes: number;
  readonly slowConsumer: "close" | "drop";
  readonly highWaterMark: number;
  /** Undefined when messages are read as fast as they come. */
  readonly rateLimit: RateLimit | undefined;
  /** Undefined when connections may become as old as they like. */
  readonly maxAgeMs: number | undefined;
  /** Undefined when messages are not compressed. */
  readonly compression: CompressionSettings | undefined;
}

export const SOCKET_DEFAULTS: ResolvedSocketOptions = {
  isOriginAllowed: undefined,
  maxMessageBytes: 1024 * 1024,
  maxFragments: 16_384,
  maxBufferedBytes: 16 * 1024 * 1024,
  slowConsumer: "close",
  highWaterMark: 64 * 1024,
  rateLimit: undefined,
  maxAgeMs: undefined,
  compression: undefined,
};

export const SOCKET_OPTION_NAMES = [
  "wsOrigins",
  "maxMessageBytes",
  "maxFragments",
  "maxBufferedBytes",
  "slowConsumer",
  "highWaterMark",
  "rateLimit",
  "maxAgeMs",
  "compression",
];

/**
 * Checks options of sockets, and puts defaults in place of those that are not set.
 *
 * @param where names the place of the options in error messages, such as `createApp` or a route
 * @param defaults for a route, the options of its app
 * @param otherNames names that the options may have besides, and that are checked elsewhere
 * @throws TypeError for an unknown name or a wrong type, RangeError for a number out of range
 */
export function resolveSocketOptions(
  where: string,
  options: SocketOptions,
  defaults: ResolvedSocketOptions,
  otherNames: readonly string[] = [],
): ResolvedSocketOptions {
  checkNames(where, options, [...SOCKET_OPTION_NAMES, ...otherNames]);
  const { wsOrigins, slowConsumer = defaults.slowConsumer } = options;
  if (slowConsumer !== "close" && slowConsumer !== "drop") {
    throwInvalidOption("slowConsumer", slowConsumer, '"close" or "drop"');
  }
  return Object.freeze({
    isOriginAllowed: wsOrigins === undefined ? defaults.isOriginAllowed : compileOrigins(wsOrigins),
    maxMessageBytes: limit("maxMessageBytes", options.maxMessageBytes, defaults.maxMessageBytes),
    maxFragments: limit("maxFragments", options.maxFragments, defaults.maxFragments),
    maxBufferedBytes: limit("maxBufferedBytes", options.maxBufferedBytes, defaults.maxBufferedBytes),
    slowConsumer,
    highWaterMark: limit("highWaterMark", options.highWaterMark, defaults.highWaterMark),
    rateLimit: options.rateLimit === undefined ? defaults.rateLimit : resolveRateLimit(options.rateLimit),
    maxAgeMs: options.maxAgeMs === undefined ? defaults.maxAgeMs : resolveMaxAge(options.maxAgeMs),
    compression: options.compression === undefined ? defaults.compression : resolveCompression(options.compression),
  });
}

function resolveRateLimit(value: NonNullable<SocketOptions["rateLimit"]>): RateLimit | undefined {
  if (value === false) return undefined;
  if (!isObject(value)) throwInvalidOption("rateLimit", value, "false, or { messages, perMs }");
  checkNames("rateLimit", value, ["messages", "perMs"]);
  const { messages, perMs } = value;
  for (const [name, given] of Object.entries({ messages, perMs })) {
    if (given === undefined) throwInvalidOption(`rateLimit.${name}`, given, "a whole number from 1 on");
  }
  return Object.freeze({
    messages: limit("rateLimit.messages", messages, NaN),
    perMs: timeoutMs("rateLimit.perMs", perMs, NaN),
  });
}

function resolveMaxAge(value: number | false): number | undefined {
  if (value === false) return undefined;
  if (typeof value !== "number") throwInvalidOption("maxAgeMs", value, "false, or a whole number of milliseconds");
  return timeoutMs("maxAgeMs", value, NaN);
}
