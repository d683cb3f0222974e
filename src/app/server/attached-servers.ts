import type { Buffer } from "node:buffer";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { setImmediate } from "node:timers";
import { HandshakeAttempt, type HandshakeFit } from "../../transport/handshake-attempt.ts";
import { show } from "../common/show.ts";
import { isObject } from "../common/validate.ts";
import { HandshakeGuard } from "./handshake-guard.ts";
import { SharedServer, type SharingApp } from "./shared-server.ts";
import { UnclaimedHandshakes } from "./unclaimed-handshakes.ts";

/** The functions of an app that attached servers call. */
export interface AttachedServersHandlers {
  /** Tells how well a handshake fits the routes of the app. */
  fitOf(message: IncomingMessage): HandshakeFit;
  /** Called for every handshake that the app has to respond to. */
  onHandshake(attempt: HandshakeAttempt): void;
  /** Called for every handshake that was left to other listeners, none of which has responded in time. */
  onUnclaimed(attempt: HandshakeAttempt): void;
}

/**
 * The HTTP servers that somebody else has made and that were given to `app.attach`, and the handshakes that were given
 * to `app.handleUpgrade`. The connections of both have a guard of their own.
 */
export class AttachedServers implements SharingApp {
  readonly #handlers: AttachedServersHandlers;
  readonly #guard: HandshakeGuard;
  readonly #unclaimed: UnclaimedHandshakes;
  readonly #servers = new Set<Server>();

  constructor(handshakeTimeoutMs: number, handlers: AttachedServersHandlers) {
    this.#guard = new HandshakeGuard(handshakeTimeoutMs);
    this.#unclaimed = new UnclaimedHandshakes(handshakeTimeoutMs, this.#guard, handlers.onUnclaimed);
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
    this.#servers.add(server);
    SharedServer.add(server, this);
  }

  /** True while one of the servers listens. */
  get isListening(): boolean {
    return [...this.#servers].some(({ listening }) => listening);
  }

  /** How many handshakes did not get a response of this app in time. */
  get handshakeTimeouts(): number {
    return this.#guard.timeouts;
  }

  fitOf(message: IncomingMessage): HandshakeFit {
    return this.#handlers.fitOf(message);
  }

  noteHandshake(message: IncomingMessage, raw: RawSocket): void {
    this.#guard.noteHandshake(message, raw);
  }

  noteRequest(response: ServerResponse): void {
    this.#guard.noteRequest(response);
  }

  take(message: IncomingMessage, raw: RawSocket, head: Buffer): void {
    // The response to an earlier request would go out behind the 101, into the middle of the WebSocket.
    if (this.#guard.hasPendingResponse(message.socket)) raw.destroy();
    else this.handleUpgrade(message, raw, head);
  }

  takeAfterOthers(message: IncomingMessage, raw: RawSocket, head: Buffer): void {
    setImmediate(() => {
      if (!this.#guard.isTakenByOther(raw)) this.take(message, raw, head);
    });
  }

  leaveToOthers(message: IncomingMessage, raw: RawSocket, head: Buffer): void {
    this.#unclaimed.add(new HandshakeAttempt(message, raw, head, this.#guard));
  }

  /** Takes one handshake, with the arguments of a server's `upgrade` event. */
  handleUpgrade(message: IncomingMessage, raw: RawSocket, head: Buffer): void {
    this.#guard.watch(raw);
    this.#handlers.onHandshake(new HandshakeAttempt(message, raw, head, this.#guard));
  }

  /**
   * Takes no more handshakes of any server, and refuses those that have no response yet. A client that has been refused
   * keeps its deadline, because the connection of a client that does not end its side would keep the process alive.
   */
  close(): void {
    for (const server of this.#servers) SharedServer.delete(server, this);
    this.#servers.clear();
    this.#guard.close();
  }

  /** Cuts the connections whose handshakes have no response yet. */
  terminateAll(): void {
    this.#guard.terminateAll();
  }
}
