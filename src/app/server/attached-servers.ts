import type { Buffer } from "node:buffer";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { HandshakeAttempt } from "../../transport/handshake-attempt.ts";
import { show } from "../common/show.ts";
import { isObject } from "../common/validate.ts";
import { HandshakeGuard } from "./handshake-guard.ts";

/** The functions of an app that attached servers call. */
export interface AttachedServersHandlers {
  /** Tells whether the path of a handshake belongs to the app. */
  isOwned(message: IncomingMessage): boolean;
  /** Called for every handshake that the app has to respond to. */
  onHandshake(attempt: HandshakeAttempt): void;
}

/** A listener of a server's `upgrade` event. */
type OnUpgrade = (message: IncomingMessage, raw: RawSocket, head: Buffer) => void;

/** The number of `upgrade` listeners that an app adds to each server. */
const OWN_LISTENERS = 2;

/**
 * The HTTP servers that somebody else has made and that were given to `app.attach`, and the handshakes that were given
 * to `app.handleUpgrade`. The connections of both have a guard of their own.
 */
export class AttachedServers {
  readonly #handlers: AttachedServersHandlers;
  readonly #guard: HandshakeGuard;
  readonly #attached = new Map<Server, OnUpgrade>();

  /**
   * This listener and the next one are called before the other listeners of a server, because those may respond at
   * once.
   */
  readonly #onArrival: OnUpgrade = (_message, raw) => this.#guard.noteHandshake(raw);
  readonly #onRequest = (_message: IncomingMessage, response: ServerResponse): void =>
    this.#guard.noteRequest(response);

  constructor(handshakeTimeoutMs: number, handlers: AttachedServersHandlers) {
    this.#guard = new HandshakeGuard(handshakeTimeoutMs);
    this.#handlers = handlers;
  }

  /**
   * Begins to respond to the handshakes of a server. A second call for the same server has no effect.
   *
   * @throws TypeError for a value that is no server
   */
  attach(server: Server): void {
    if (!isObject(server) || typeof server.on !== "function" || typeof server.listenerCount !== "function") {
      throw new TypeError(`attach takes a server of node:http or node:https; got ${show(server)}`);
    }
    if (this.#attached.has(server)) return;
    const onUpgrade: OnUpgrade = (message, raw, head) => {
      // If there are other listeners, one of them may know a path that the app does not know.
      if (server.listenerCount("upgrade") > OWN_LISTENERS && !this.#handlers.isOwned(message)) return;
      // The response to an earlier request would go out behind the 101, into the middle of the WebSocket.
      if (this.#guard.hasPendingResponse(message.socket)) raw.destroy();
      else this.handleUpgrade(message, raw, head);
    };
    server.prependListener("request", this.#onRequest);
    server.prependListener("upgrade", this.#onArrival);
    server.on("upgrade", onUpgrade);
    this.#attached.set(server, onUpgrade);
  }

  /** Takes one handshake, with the arguments of a server's `upgrade` event. */
  handleUpgrade(message: IncomingMessage, raw: RawSocket, head: Buffer): void {
    this.#guard.watch(raw);
    this.#handlers.onHandshake(new HandshakeAttempt(message, raw, head, this.#guard));
  }

  /** Takes no more handshakes of any server, and refuses those that have no response yet. */
  close(): void {
    for (const [server, onUpgrade] of this.#attached) {
      server.off("request", this.#onRequest);
      server.off("upgrade", this.#onArrival);
      server.off("upgrade", onUpgrade);
    }
    this.#attached.clear();
    this.#guard.close();
  }

  /** Cuts the connections whose handshakes have no response yet. */
  terminateAll(): void {
    this.#guard.terminateAll();
  }

  /** Stops all timers. */
  stop(): void {
    this.#guard.stop();
  }
}
