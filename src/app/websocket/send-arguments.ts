/** The arguments of `Socket.send` behind the data: options, and the callback that code for the package `ws` passes. */
import { checkNames, throwInvalidOption } from "../common/validate.ts";

const SEND_OPTIONS = ["compress"];

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
 * Called once for the message of one call of `Socket.send`: without an argument when the message was taken and there is
 * room for more, and with an Error when the message was not taken, or when the connection has ended before there was
 * room.
 */
export type SendCallback = (error?: Error) => unknown;

/** The arguments behind the data, sorted. */
export interface SendArguments {
  readonly compress: boolean | undefined;
  readonly callback: SendCallback | undefined;
}

/**
 * Sorts the arguments behind the data: options, a callback, both in this order, or neither. Wrong options are refused,
 * because a misspelt name would otherwise be ignored silently.
 *
 * @throws TypeError for a wrong option, and for a callback that is no function
 */
export function readSendArguments(
  options: SendOptions | SendCallback | undefined,
  callback: SendCallback | undefined,
): SendArguments {
  if (typeof options === "function") {
    if (callback !== undefined) throw new TypeError("send takes its callback as the last argument; got two callbacks");
    return { compress: undefined, callback: options };
  }
  if (callback !== undefined && typeof callback !== "function") {
    throwInvalidOption("The callback of send", callback, "a function");
  }
  if (options === undefined) return { compress: undefined, callback };
  checkNames("send", options, SEND_OPTIONS);
  const { compress } = options;
  if (compress !== undefined && typeof compress !== "boolean") {
    throwInvalidOption("compress", compress, "true or false");
  }
  return { compress, callback };
}
