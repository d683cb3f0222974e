import type { Buffer } from "node:buffer";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket as RawSocket } from "node:net";
import type { HandshakeGuard } from "./handshake-guard.ts";
import { isObject, show } from "../common/show.ts";

/** A listener of a server's `upgrade` event. */
export type OnUpgrade = (message: IncomingMessage, raw: RawSocket, head: Buffer) => void;

/** How many listeners of `upgrade` an app has at each server. */
const OWN_LISTENERS = 2;

/** The HTTP servers of others that an app answers the handshakes of. */
export class AttachedServers {
  readonly #owns: (message: IncomingMessage) => boolean;
  readonly #guard: HandshakeGuard;
  readonly #onUpgrade: OnUpgrade;
  readonly #attached = new Map<Server, OnUpgrade>();

  /** These two listen before the server's other listeners, which may answer at once. */
  readonly #onArrival: OnUpgrade = (_message, raw) => this.#guard.noteArrival(raw);
  readonly #onRequest = (_message: IncomingMessage, response: ServerResponse): void =>
    this.#guard.noteRequest(response);

  constructor(owns: (message: IncomingMessage) => boolean, guard: HandshakeGuard, onUpgrade: OnUpgrade) {
    this.#owns = owns;
    this.#guard = guard;
    this.#onUpgrade = onUpgrade;
  }

  /** @throws TypeError for what is no server */
  add(server: Server): void {
    if (!isObject(server) || typeof server.on !== "function" || typeof server.listenerCount !== "function") {
      throw new TypeError(`attach takes a server of node:http or node:https; got ${show(server)}`);
    }
    if (this.#attached.has(server)) return;
    const onUpgrade: OnUpgrade = (message, raw, head) => {
      // Another listener may know the path.
      if (server.listenerCount("upgrade") > OWN_LISTENERS && !this.#owns(message)) return;
      // The answer to a request before it would go out behind the 101, into the middle of the WebSocket.
      if (this.#guard.isAnswering(message.socket)) raw.destroy();
      else this.#onUpgrade(message, raw, head);
    };
    server.prependListener("request", this.#onRequest);
    server.prependListener("upgrade", this.#onArrival);
    server.on("upgrade", onUpgrade);
    this.#attached.set(server, onUpgrade);
  }

  /** Leaves all servers. */
  clear(): void {
    for (const [server, onUpgrade] of this.#attached) {
      server.off("request", this.#onRequest);
      server.off("upgrade", this.#onArrival);
      server.off("upgrade", onUpgrade);
    }
    this.#attached.clear();
  }
}
