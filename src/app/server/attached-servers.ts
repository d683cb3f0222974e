import type { Buffer } from "node:buffer";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { HandshakeAttempt } from "../../transport/handshake-attempt.ts";
import { show } from "../common/show.ts";
import { isObject } from "../common/validate.ts";
import { HandshakeGuard } from "./handshake-guard.ts";

/** What the attached servers need of an app. */
export interface AttachedServersHandlers {
  /** Whether the path of a handshake belongs to the app. */
  isOwned(message: IncomingMessage): boolean;
  onHandshake(attempt: HandshakeAttempt): void;
}

/** A listener of a server's `upgrade` event. */
type OnUpgrade = (message: IncomingMessage, raw: RawSocket, head: Buffer) => void;

/** How many listeners of `upgrade` an app has at each server. */
const OWN_LISTENERS = 2;

/** The HTTP servers of somebody else whose handshakes an app responds to. Their connections have a guard of their own. */
export class AttachedServers {
  readonly #handlers: AttachedServersHandlers;
  readonly #guard: HandshakeGuard;
  readonly #attached = new Map<Server, OnUpgrade>();

  /** These two listen before the other listeners of a server, which may respond at once. */
  readonly #onArrival: OnUpgrade = (_message, raw) => this.#guard.noteHandshake(raw);
  readonly #onRequest = (_message: IncomingMessage, response: ServerResponse): void =>
    this.#guard.noteRequest(response);

  constructor(handshakeTimeoutMs: number, handlers: AttachedServersHandlers) {
    this.#guard = new HandshakeGuard(handshakeTimeoutMs);
    this.#handlers = handlers;
  }

  /** @throws TypeError for a value that is no server */
  attach(server: Server): void {
    if (!isObject(server) || typeof server.on !== "function" || typeof server.listenerCount !== "function") {
      throw new TypeError(`attach takes a server of node:http or node:https; got ${show(server)}`);
    }
    if (this.#attached.has(server)) return;
    const onUpgrade: OnUpgrade = (message, raw, head) => {
      // Another listener may know the path.
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
    this.#guard.refuseAll();
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
