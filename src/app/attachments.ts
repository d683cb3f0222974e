import type { Buffer } from "node:buffer";
import type { IncomingMessage, Server } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { isObject, show } from "./values.ts";

/** A listener of a server's `upgrade` event. */
export type OnUpgrade = (message: IncomingMessage, raw: RawSocket, head: Buffer) => void;

/** The HTTP servers of others that an app answers the handshakes of. */
export class Attachments {
  readonly #owns: (message: IncomingMessage) => boolean;
  readonly #onUpgrade: OnUpgrade;
  readonly #attached = new Map<Server, OnUpgrade>();

  constructor(owns: (message: IncomingMessage) => boolean, onUpgrade: OnUpgrade) {
    this.#owns = owns;
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
      if (server.listenerCount("upgrade") > 1 && !this.#owns(message)) return;
      this.#onUpgrade(message, raw, head);
    };
    server.on("upgrade", onUpgrade);
    this.#attached.set(server, onUpgrade);
  }

  /** Leaves all servers. */
  clear(): void {
    for (const [server, onUpgrade] of this.#attached) server.off("upgrade", onUpgrade);
    this.#attached.clear();
  }
}
