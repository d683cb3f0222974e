import type { CompressionSettings } from "../../transport/deflate/negotiated-deflate.ts";
import { checkNames, inRange, isObject, throwInvalidOption, timeoutMs } from "../common/validate.ts";

/** How messages are compressed, where a client offers permessage-deflate (RFC 7692). */
export interface CompressionOptions {
  /** Bytes of a message below which it goes out as it is. Default 1,024. */
  threshold?: number | undefined;
  /** How hard to compress, as zlib has it: from 1, fast, to 9, small. Default 3. */
  level?: number | undefined;
  /** Memory of a compressor while it works, as zlib has it: from 1, little, to 9. Default 8. */
  memLevel?: number | undefined;
  /**
   * Whether both sides may refer back to earlier messages: small messages that resemble each other become much smaller, and each connection costs some 250 KiB more while it is in
   * use. Default false: compression then costs an idle connection nothing.
   */
  contextTakeover?: boolean | undefined;
  /** The window that we compress with, as a power of two, from 9 to 15. Default 15. */
  serverMaxWindowBits?: number | undefined;
  /** The window that clients may compress with, if they can be told, from 9 to 15. Default 15. */
  clientMaxWindowBits?: number | undefined;
  /** With `contextTakeover`: after so long without sending to it, a connection's compressor is given back. Default 60,000. */
  idleTimeoutMs?: number | undefined;
  /** Asked for each message of `threshold` bytes and more: false sends it as it is, such as an image that is compressed already. */
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

/** @throws TypeError or RangeError for what is wrong */
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
