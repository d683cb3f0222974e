import { show } from "../common/show.ts";
import { checkNames, isObject } from "../common/validate.ts";

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
