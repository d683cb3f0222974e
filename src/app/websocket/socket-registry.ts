/** The list of an app's sockets, with the limits of their number. */
import { HandshakeError } from "../../protocol/errors.ts";
import type { ServerSocket } from "./server-socket.ts";
import type { Socket } from "./socket.ts";

/**
 * The sockets of an app that are open or still closing: an iterable view that is always up to date and cannot be
 * changed.
 *
 * The type of the sockets is that of a route without schemas. `send` takes strings and bytes on every socket, but on a
 * route with the option `message` the messages are values.
 *
 * @example
 * ```ts
 * import { createApp } from "@spacenode/spacenode";
 *
 * const app = await createApp();
 * app.ws("/news", () => {});
 * app.get("/tell/:news", (req) => {
 *   for (const socket of app.sockets) socket.send(req.params.news);
 *   return `${app.sockets.size} sockets were told`;
 * });
 * ```
 */
export interface SocketView extends Iterable<Socket> {
  /** The number of sockets. */
  readonly size: number;
  /** Tells whether a socket is one of them. */
  // deno-lint-ignore no-explicit-any -- a socket with any types of messages
  has(socket: Socket<unknown, any, any>): boolean;
}

/** How many sockets may be open at once, in all and from one address. `Infinity` is no limit. */
export interface ConnectionLimits {
  readonly maxConnections: number;
  readonly maxConnectionsPerIp: number;
}

/** The sockets of an app that are open or still closing, and the limits of their number. */
export class SocketRegistry {
  readonly #sockets = new Set<ServerSocket>();
  /**
   * The number of sockets of each address. It exists only if there is a limit, because each look into the map has to
   * hash an address whose string has just been made.
   */
  readonly #perIp: Map<string, number> | undefined;
  readonly #limits: ConnectionLimits;
  #onEmpty: (() => void) | undefined;
  /** The number of connections that have ended with the closing handshake. */
  closed = 0;
  /** The number of connections that have ended without it. */
  terminated = 0;
  readonly view: SocketView;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
    if (limits.maxConnectionsPerIp !== Infinity) this.#perIp = new Map();
    const sockets = this.#sockets;
    this.view = Object.freeze({
      get size(): number {
        return sockets.size;
      },
      has: (socket: Socket): boolean => sockets.has(socket as ServerSocket),
      [Symbol.iterator]: (): Iterator<Socket> => sockets.values(),
    });
  }

  /** @throws HandshakeError 503 when `maxConnections` is reached, 429 when `maxConnectionsPerIp` is reached */
  checkRoom(ip: string): void {
    const { maxConnections, maxConnectionsPerIp } = this.#limits;
    if (this.#sockets.size >= maxConnections) {
      throw new HandshakeError(503, "The server has no room for more connections");
    }
    if ((this.#perIp?.get(ip) ?? 0) >= maxConnectionsPerIp) {
      throw new HandshakeError(429, "There are too many connections from this address");
    }
  }

  add(socket: ServerSocket): void {
    this.#sockets.add(socket);
    this.#count(socket.remoteAddress, 1);
  }

  /** Removes a closed socket, and counts whether the close was clean. */
  delete(socket: ServerSocket, wasClean: boolean): void {
    if (!this.#sockets.delete(socket)) return;
    if (wasClean) this.closed++;
    else this.terminated++;
    this.#count(socket.remoteAddress, -1);
    if (this.#sockets.size === 0) this.#onEmpty?.();
  }

  /** Resolves once there is no socket any more. */
  whenEmpty(): Promise<void> {
    if (this.#sockets.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onEmpty = resolve);
  }

  [Symbol.iterator](): Iterator<ServerSocket> {
    return this.#sockets.values();
  }

  get size(): number {
    return this.#sockets.size;
  }

  #count(ip: string, change: 1 | -1): void {
    if (this.#perIp === undefined) return;
    const count = (this.#perIp.get(ip) ?? 0) + change;
    if (count > 0) this.#perIp.set(ip, count);
    else this.#perIp.delete(ip);
  }
}
