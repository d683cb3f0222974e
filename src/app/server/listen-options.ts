/** The argument of `app.listen`: its type and its check. */
import { show } from "../common/show.ts";
import { checkNames, inRange, isObject } from "../common/validate.ts";

/**
 * The place at which an app listens: a port, the path of a unix socket, or a socket that listens already. One of
 * `port`, `path` and `fd` has to be set.
 *
 * @example
 * ```ts
 * import { createApp } from "@spacenode/spacenode";
 *
 * const app = await createApp();
 * await app.listen({ port: 3000, host: "127.0.0.1" });
 * ```
 */
export interface ListenOptions {
  /** A port from 0 to 65535. 0 stands for any free port; `app.address` then tells which one it is. */
  port?: number | undefined;
  /** A host name or an IP address of this machine. Default: all addresses, IPv6 and IPv4. */
  host?: string | undefined;
  /**
   * Whether other processes may listen at the same port, so that the operating system distributes the connections among
   * them. Default false.
   */
  reusePort?: boolean | undefined;
  /** The path of a unix socket, instead of a port and a host. */
  path?: string | undefined;
  /**
   * The number of a file descriptor, instead of a port and a host: a listening socket that this process has inherited.
   * With socket activation, systemd opens the sockets of a service and passes them on from 3 on, so that no connection
   * is refused while the service starts anew:
   *
   * ```ini
   * # chat.socket
   * [Socket]
   * ListenStream=443
   * ```
   *
   * The program then calls `app.listen({ fd: 3 })`, or `app.listen(process.env.LISTEN_FDS ? { fd: 3 } : 3000)`. Windows
   * passes no sockets on.
   */
  fd?: number | undefined;
}

const LISTEN_OPTION_NAMES = ["port", "host", "reusePort", "path", "fd"];

/**
 * Checks the argument of `app.listen`.
 *
 * @param where a port, or options
 * @throws TypeError for a value that is neither, for an unknown name or a wrong type, or for a path or an fd together
 * with a port or a host
 * @throws RangeError for a port or an fd out of range
 */
export function resolveListen(where: unknown): ListenOptions {
  const options = (typeof where === "number" ? { port: where } : where) as ListenOptions;
  if (!isObject(options)) {
    throw new TypeError(`listen takes a port, or { port, host }, { path } or { fd }; got ${show(where)}`);
  }
  checkNames("listen", options, LISTEN_OPTION_NAMES);
  const { port, host, reusePort, path, fd } = options;
  if (fd !== undefined) {
    if (port !== undefined || host !== undefined || path !== undefined || reusePort !== undefined) {
      throw new TypeError("listen takes either an fd, or a path, or a port, a host and reusePort");
    }
    return { fd: inRange("fd", fd, 0, 0, 2 ** 31 - 1) };
  }
  if (path !== undefined) {
    if (typeof path !== "string" || path === "") {
      throw new TypeError(`path must be the path of a unix socket; got ${show(path)}`);
    }
    if (port !== undefined || host !== undefined || reusePort !== undefined) {
      throw new TypeError("listen takes either a path, or a port, a host and reusePort");
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
