import { Buffer } from "node:buffer";
import { CloseCode, isValidCloseCode, MAX_REASON_BYTES } from "../../protocol/close.ts";
import { checkNames, isObject, MAX_TIMEOUT_MS, show } from "../common/show.ts";

/** Where an app listens: a port, or the path of a unix socket. */
export interface ListenOptions {
  /** 0 to 65535; 0 is any that is free. */
  port?: number | undefined;
  /** A name or address of this machine. Default: all addresses. */
  host?: string | undefined;
  /** Whether other processes may listen at the same port, and the system spreads the connections. Default false. */
  reusePort?: boolean | undefined;
  /** A unix socket, instead of port and host. */
  path?: string | undefined;
}

/** How an app says goodbye. */
export interface CloseOptions {
  /** The close code for every socket. Default 1001, "going away". */
  code?: number;
  /** The reason for every socket, at most 123 bytes. Default none. */
  reason?: string;
  /** How long everybody has to answer. Default: the app's `closeTimeoutMs`. */
  timeoutMs?: number;
}

const LISTEN_OPTION_NAMES = ["port", "host", "reusePort", "path"];

/** @throws TypeError or RangeError for what is no port and no path */
export function resolveListen(where: unknown): ListenOptions {
  const options = (typeof where === "number" ? { port: where } : where) as ListenOptions;
  if (!isObject(options)) throw new TypeError(`listen takes a port, or { port, host }; got ${show(where)}`);
  checkNames("listen", options, LISTEN_OPTION_NAMES);
  const { port, host, reusePort, path } = options;
  if (path !== undefined) {
    if (typeof path !== "string" || path === "") {
      throw new TypeError(`path must be the path of a unix socket; got ${show(path)}`);
    }
    if (port !== undefined || host !== undefined) {
      throw new TypeError("listen takes either a path, or a port and a host");
    }
    return { path };
  }
  if (typeof port !== "number") throw new TypeError(`port must be a number from 0 to 65535; got ${show(port)}`);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new RangeError(`port must be a whole number from 0 to 65535; got ${port}`);
  }
  if (host !== undefined && typeof host !== "string") throw new TypeError(`host must be a string; got ${show(host)}`);
  if (reusePort !== undefined && typeof reusePort !== "boolean") {
    throw new TypeError(`reusePort must be true or false; got ${show(reusePort)}`);
  }
  return { port, ...(host !== undefined && { host }), ...(reusePort && { reusePort }) };
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

/** Waits for a promise, but no longer than so long. Gives whether the promise has settled; its rejection is passed on. */
export async function settlesWithin(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const isTimeOver = Promise.withResolvers<false>();
  const timeout = setTimeout(() => isTimeOver.resolve(false), timeoutMs);
  try {
    return await Promise.race([promise.then((): true => true), isTimeOver.promise]);
  } finally {
    clearTimeout(timeout);
  }
}

/** @throws TypeError or RangeError for a code or reason that no Close frame may have, RFC 6455 §7.4 */
export function checkClose(code: number, reason: string): void {
  if (typeof code !== "number") throw new TypeError(`A close code is a number; got ${show(code)}`);
  if (code !== CloseCode.NO_STATUS && !(Number.isInteger(code) && isValidCloseCode(code))) {
    throw new RangeError(`A close code is 1000–1003, 1007–1014 or 3000–4999; got ${code}`);
  }
  if (typeof reason !== "string") throw new TypeError(`A close reason is a string; got ${show(reason)}`);
  const byteLength = Buffer.byteLength(reason);
  if (byteLength > MAX_REASON_BYTES) {
    throw new RangeError(`A close reason has at most ${MAX_REASON_BYTES} bytes of UTF-8; got ${byteLength}`);
  }
  if (code === CloseCode.NO_STATUS && reason !== "") throw new RangeError("A Close without a code has no reason");
}
