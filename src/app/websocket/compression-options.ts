/** The option `compression`: its type, its defaults and its check. */
import type { CompressionSettings } from "../../transport/deflate/negotiated-deflate.ts";
import { checkNames, inRange, isObject, throwInvalidOption, timeoutMs } from "../common/validate.ts";

/**
 * How messages are compressed, for clients that offer permessage-deflate (RFC 7692). Every option may be left out.
 *
 * @example
 * ```ts
 * import { createApp } from "@spacenode/spacenode";
 *
 * const app = await createApp({ compression: { threshold: 4096, level: 6 } });
 * app.ws("/echo", (socket) => {
 *   socket.on("message", (data) => socket.send(data));
 * });
 * ```
 */
export interface CompressionOptions {
  /** The least size in bytes that a message must have to be compressed. Default 1,024. */
  threshold?: number | undefined;
  /** The `level` of zlib, from 1 (the fastest) to 9 (the smallest messages). Default 3. */
  level?: number | undefined;
  /** The `memLevel` of zlib, from 1 to 9: how much memory a compressor takes while it works. Default 8. */
  memLevel?: number | undefined;
  /**
   * Whether a compressed message may refer back to earlier messages of the same connection (RFC 7692 §7.1.1). Small
   * messages that resemble each other become much smaller, but each connection takes some 250 KiB more while it is in
   * use. Default false: compression then costs an idle connection no memory.
   */
  contextTakeover?: boolean | undefined;
  /**
   * The largest window that the server compresses with: the exponent of a power of two, from 9 to 15 (RFC 7692
   * §7.1.2.1). Default 15.
   */
  serverMaxWindowBits?: number | undefined;
  /**
   * The largest window that a client may compress with, from 9 to 15. It has no effect on clients that do not offer
   * `client_max_window_bits` (RFC 7692 §7.1.2.2). Default 15.
   */
  clientMaxWindowBits?: number | undefined;
  /**
   * With `contextTakeover`, the time in milliseconds after the last message to a client until the memory of the
   * connection's compressor is freed. Default 60,000.
   */
  idleTimeoutMs?: number | undefined;
  /**
   * Called for each message of `threshold` bytes or more. False sends the message uncompressed, for example an image
   * that is compressed already. Default: all of them are compressed.
   */
  filter?: ((data: string | Uint8Array) => boolean) | undefined;
}

const NAMES = [
  "threshold",
  "level",
  "memLevel",
  "contextTakeover",
  "serverMaxWindowBits",
  "clientMaxWindowBits",
  "idleTimeoutMs",
  "filter",
];

/**
 * Checks the option `compression` and puts the defaults in place.
 *
 * @returns undefined for `false`
 * @throws TypeError for an unknown name or a wrong type, RangeError for a number out of range
 */
export function resolveCompression(compression: boolean | CompressionOptions): CompressionSettings | undefined {
  if (compression === false) return undefined;
  const options = compression === true ? {} : compression;
  if (!isObject(options)) throwInvalidOption("compression", options, "true, false or an object of options");
  checkNames("compression", options, NAMES);
  const { contextTakeover = false, filter } = options;
  if (typeof contextTakeover !== "boolean") {
    throwInvalidOption("compression.contextTakeover", contextTakeover, "true or false");
  }
  if (filter !== undefined && typeof filter !== "function") {
    throwInvalidOption("compression.filter", filter, "a function (data)");
  }
  return Object.freeze({
    threshold: inRange("compression.threshold", options.threshold, 1024, 0, Number.MAX_SAFE_INTEGER),
    level: inRange("compression.level", options.level, 3, 1, 9),
    memLevel: inRange("compression.memLevel", options.memLevel, 8, 1, 9),
    contextTakeover,
    serverMaxWindowBits: inRange("compression.serverMaxWindowBits", options.serverMaxWindowBits, 15, 9, 15),
    clientMaxWindowBits: inRange("compression.clientMaxWindowBits", options.clientMaxWindowBits, 15, 9, 15),
    idleTimeoutMs: timeoutMs("compression.idleTimeoutMs", options.idleTimeoutMs, 60_000),
    filter,
  });
}
