import { HandshakeError } from "../../protocol/errors.ts";
import type { ServerSocket } from "./server-socket.ts";
import type { Socket } from "./socket.ts";

/** The open sockets of an app: a view that is always up to date and cannot be changed. */
export interface SocketView extends Iterable<Socket> {
  /** How many there are. */
  readonly size: number;
  /** Whether a socket is one of them. */
  has(socket: Socket): boolean;
}

export interface ConnectionLimits {
  readonly maxConnections: number;
  readonly maxConnectionsPerIp: number;
}

/** Who is connected, and whether there is room for more. */
export class SocketRegistry {
  readonly #sockets = new Set<ServerSocket>();
  /** Addresses are counted only where a limit asks for it: a text that has just come is hashed for each look at the map. */
  readonly #perIp: Map<string, number> | undefined;
  readonly #limits: ConnectionLimits;
  #onEmpty: (() => void) | undefined;
  /** Connections that have ended with the closing handshake, and those that have ended without. */
  closed = 0;
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

  /** @throws HandshakeError 503 or 429 when there is no room for one more from this address */
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

  delete(socket: ServerSocket, wasClean: boolean): void {
    if (!this.#sockets.delete(socket)) return;
    if (wasClean) this.closed++;
    else this.terminated++;
    this.#count(socket.remoteAddress, -1);
    if (this.#sockets.size === 0) this.#onEmpty?.();
  }

  /** Resolves once nobody is connected. */
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
