import { CloseCode } from "../protocol/close.ts";
import { show } from "./common/show.ts";
import { checkNames, isObject, MAX_TIMEOUT_MS } from "./common/validate.ts";
import { checkClose } from "./websocket/close.ts";

/** How an app says goodbye. */
export interface CloseOptions {
  /** The close code for every socket. Default 1001, "going away". */
  code?: number;
  /** The reason for every socket, at most 123 bytes. Default none. */
  reason?: string;
  /** How long everybody has to answer. Default: the app's `closeTimeoutMs`. */
  timeoutMs?: number;
}

/** @throws TypeError or RangeError for what cannot be sent */
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
