/** What `close` of an app takes, and the check of it. */
import { CloseCode } from "../protocol/close.ts";
import { show } from "./common/show.ts";
import { checkNames, isObject, MAX_TIMEOUT_MS } from "./common/validate.ts";
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
}

/**
 * Checks what `close` takes, and puts the defaults in place.
 *
 * @param closeTimeoutMs the default of `timeoutMs`
 * @throws TypeError or RangeError if an option is not valid
 */
export function resolveClose(options: CloseOptions, closeTimeoutMs: number): Required<CloseOptions> {
  if (!isObject(options)) throw new TypeError(`close takes { code, reason, timeoutMs }; got ${show(options)}`);
  checkNames("close", options, ["code", "reason", "timeoutMs"]);
  const { code = CloseCode.GOING_AWAY, reason = "", timeoutMs = closeTimeoutMs } = options;
  checkClose(code, reason);
  if (!Number.isInteger(timeoutMs) || timeoutMs < 0 || timeoutMs > MAX_TIMEOUT_MS) {
    throw new RangeError(`timeoutMs must be a whole number from 0 to ${MAX_TIMEOUT_MS}; got ${show(timeoutMs)}`);
  }
  return { code, reason, timeoutMs };
}
