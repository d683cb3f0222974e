import type { Buffer } from "node:buffer";
import type { IncomingMessage, Server } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { isObject, show } from "./values.ts";

/** A listener of a server's `upgrade` event. */
export type OnUpgrade = (message: IncomingMessage, raw: RawSocket, head: Buffer) => void;

/** How many listeners of `upgrade` an app has at each server. */
const OWN_LISTENERS = 2;

/** The HTTP servers of others that an app answers the handshakes of. */
export class Attachments {
  readonly #owns: (message: IncomingMessage) => boolean;
  readonly #onArrival: OnUpgrade;
  readonly #onUpgrade: OnUpgrade;
  readonly #attached = new Map<Server, OnUpgrade>();

  /** `onArrival` is called before the server's other listeners can answer a handshake. */
  constructor(owns: (message: IncomingMessage) => boolean, onArrival: OnUpgrade, onUpgrade: OnUpgrade) {
    this.#owns = owns;
    this.#onArrival = onArrival;
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
      this.#onUpgrade(message, raw, head);
    };
    server.prependListener("upgrade", this.#onArrival);
    server.on("upgrade", onUpgrade);
    this.#attached.set(server, onUpgrade);
  }

  /** Leaves all servers. */
  clear(): void {
    for (const [server, onUpgrade] of this.#attached) {
      server.off("upgrade", this.#onArrival);
      server.off("upgrade", onUpgrade);
    }
    this.#attached.clear();
  }
}
