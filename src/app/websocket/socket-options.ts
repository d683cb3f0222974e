import type { CompressionSettings } from "../../transport/deflate/negotiated-deflate.ts";
import { checkNames, limit, throwInvalidOption } from "../common/validate.ts";
import { type CompressionOptions, resolveCompression } from "./compression-options.ts";
import { compileOrigins, type OriginCheck, type WsOrigins } from "./origins.ts";

/** What may be set for all routes in `createApp`, and again for one route in `app.ws`. */
export interface SocketOptions {
  /** Which web pages may connect. Default: any, with one warning. See {@link WsOrigins}. */
  wsOrigins?: WsOrigins | undefined;
  /** Bytes of a whole message. Above it the socket is closed with 1009. Default 1 MiB. */
  maxMessageBytes?: number | undefined;
  /** Frames of one message, empty ones included. Above it the socket is closed with 1008. Default 16,384. */
  maxFragments?: number | undefined;
  /** Unsent bytes of one socket, above which it is a slow consumer. A message that waits to be compressed counts 300 bytes more, which is what it costs. Default 16 MiB. */
  maxBufferedBytes?: number | undefined;
  /** What happens to a slow consumer: it is closed with 1013, or messages to it are dropped. Default `"close"`. */
  slowConsumer?: "close" | "drop" | undefined;
  /** Unsent bytes of one socket, above which `send()` returns false. Default 64 KiB. */
  highWaterMark?: number | undefined;
  /** permessage-deflate (RFC 7692), for clients that offer it: `true`, or how. Default `false`. See {@link CompressionOptions}. */
  compression?: boolean | CompressionOptions | undefined;
}

/** Socket options with every default in place. */
export interface ResolvedSocketOptions {
  readonly isOriginAllowed: OriginCheck | undefined;
  readonly maxMessageBytes: number;
  readonly maxFragments: number;
  readonly maxBufferedBytes: number;
  readonly slowConsumer: "close" | "drop";
  readonly highWaterMark: number;
  readonly compression: CompressionSettings | undefined;
}

export const SOCKET_DEFAULTS: ResolvedSocketOptions = {
  isOriginAllowed: undefined,
  maxMessageBytes: 1024 * 1024,
  maxFragments: 16_384,
  maxBufferedBytes: 16 * 1024 * 1024,
  slowConsumer: "close",
  highWaterMark: 64 * 1024,
  compression: undefined,
};

export const SOCKET_OPTION_NAMES = [
  "wsOrigins",
  "maxMessageBytes",
  "maxFragments",
  "maxBufferedBytes",
  "slowConsumer",
  "highWaterMark",
  "compression",
];

/** Checks what a route sets for itself; what it does not set is as the app has it. `otherNames` are checked elsewhere. */
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
    compression: options.compression === undefined ? defaults.compression : resolveCompression(options.compression),
  });
}
