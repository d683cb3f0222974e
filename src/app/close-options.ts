/** What `close` of an app takes, and the check of it. */
import { CloseCode } from "../protocol/close.ts";
import { show } from "./common/show.ts";
import { checkNames, inRange, isObject, MAX_TIMEOUT_MS } from "./common/validate.ts";
import { checkClose } from "./websocket/close.ts";

/** Options of {@link App.close}: how an app closes its sockets. */
export interface CloseOptions {
  /** The close code that every socket gets (RFC 6455 §7.4). Default: 1001, "going away". */
  code?: number;
  /** The close reason that every socket gets: at most 123 bytes of UTF-8. Default: an empty string, no reason. */
  reason?: string;
  /**
   * How long, in milliseconds, all sockets together have to complete the closing handshake before they are cut. 0 cuts
   * them at once, behind the Close frame. Default: the app's `closeTimeoutMs`.
   */
  timeoutMs?: number;
  /**
   * Over how long, in milliseconds, the app says goodbye: its sockets get their Close frames evenly spread over this
   * time, the oldest first, so that their clients do not all connect elsewhere at once. Until then, a socket works as
   * before. Nobody new gets in meanwhile: the port of the app is closed, and a handshake that still comes gets 503.
   * `timeoutMs` begins when the last socket has got its Close frame. As soon as all sockets have left, the app goes on
   * closing. Default: 0, all sockets get their Close frames at once.
   */
  overMs?: number;
}

/**
 * Checks what `close` takes, and puts the defaults in place.
 *
 * @param closeTimeoutMs the default of `timeoutMs`
 * @param where names the place of the options in error messages: the method, or an option of the app
 * @throws TypeError or RangeError if an option is not valid
 */
export function resolveClose(
  options: CloseOptions,
  closeTimeoutMs: number,
  where: string = "close",
): Required<CloseOptions> {
  if (!isObject(options)) {
    throw new TypeError(`${where} takes { code, reason, timeoutMs, overMs }; got ${show(options)}`);
  }
  checkNames(where, options, ["code", "reason", "timeoutMs", "overMs"]);
  const { code = CloseCode.GOING_AWAY, reason = "" } = options;
  const prefix = where === "close" ? "" : `${where}.`;
  checkClose(code, reason);
  return {
    code,
    reason,
    timeoutMs: inRange(`${prefix}timeoutMs`, options.timeoutMs, closeTimeoutMs, 0, MAX_TIMEOUT_MS),
    overMs: inRange(`${prefix}overMs`, options.overMs, 0, 0, MAX_TIMEOUT_MS),
  };
}
