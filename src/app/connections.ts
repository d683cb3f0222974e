import { HandshakeError } from "../protocol/errors.ts";
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
export class Connections {
  readonly #sockets = new Set<ServerSocket>();
  readonly #perIp = new Map<string, number>();
  readonly #limits: ConnectionLimits;
  #onEmpty: (() => void) | undefined;
  /** Connections that have ended with the closing handshake, and those that have ended without. */
  closed = 0;
  terminated = 0;
  readonly view: SocketView;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
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
    if ((this.#perIp.get(ip) ?? 0) >= maxConnectionsPerIp) {
      throw new HandshakeError(429, "There are too many connections from this address");
    }
  }

  add(socket: ServerSocket): void {
    this.#sockets.add(socket);
    const { remoteAddress } = socket;
    this.#perIp.set(remoteAddress, (this.#perIp.get(remoteAddress) ?? 0) + 1);
  }

  delete(socket: ServerSocket, wasClean: boolean): void {
    if (!this.#sockets.delete(socket)) return;
    if (wasClean) this.closed++;
    else this.terminated++;
    const { remoteAddress } = socket;
    const left = (this.#perIp.get(remoteAddress) ?? 0) - 1;
    if (left > 0) this.#perIp.set(remoteAddress, left);
    else this.#perIp.delete(remoteAddress);
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
}
