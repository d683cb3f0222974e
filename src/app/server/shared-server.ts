/**
 * A server that somebody else has made, as all apps of this process share it.
 *
 * Module state: `sharedServers`, the servers that have an app. `SharedServer.add` adds a server with its first app, and
 * `SharedServer.delete` removes it with its last one.
 */
import type { Buffer } from "node:buffer";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { asksForWebSocket, type HandshakeFit } from "../../transport/handshake-attempt.ts";

/** The functions of an app that a shared server calls. */
export interface SharingApp {
  fitOf(message: IncomingMessage): HandshakeFit;
  /** Called for every handshake, before any listener of the server that was added after the app can respond. */
  noteHandshake(message: IncomingMessage, raw: RawSocket): void;
  noteRequest(response: ServerResponse): void;
  /** The app has to respond. */
  take(message: IncomingMessage, raw: RawSocket, head: Buffer): void;
  /** The app has to respond, unless another listener responds within this turn. */
  takeAfterOthers(message: IncomingMessage, raw: RawSocket, head: Buffer): void;
  /** The app has to respond, unless another listener takes the handshake within `handshakeTimeoutMs`. */
  leaveToOthers(message: IncomingMessage, raw: RawSocket, head: Buffer): void;
}

/** A listener of a server's `upgrade` event. */
type OnUpgrade = (message: IncomingMessage, raw: RawSocket, head: Buffer) => void;

/** The function by which a server of node:http decides between the events `upgrade` and `request`. */
type ShouldUpgrade = (this: Server, message: IncomingMessage) => boolean;

/** Versions of the runtimes before this function, and some servers, do not have the member. */
type UpgradingServer = Omit<Server, "shouldUpgradeCallback"> & { shouldUpgradeCallback?: ShouldUpgrade | undefined };

/** The number of `upgrade` listeners that all apps together add to a server. */
const OWN_LISTENERS = 2;

/**
 * The protocols that clients offer by themselves with plain requests: those of the JDK and of curl offer HTTP/2, and
 * that of Apache offers TLS.
 */
const OPTIONAL_PROTOCOL = /^\s*(?:h2c|TLS\/[0-9.]+)\s*$/i;

/** How well a handshake has to fit so that an app is preferred to another one. */
const FITS: readonly HandshakeFit[] = ["none", "otherSubprotocols", "hookDecides", "full"];

const sharedServers = new WeakMap<Server, SharedServer>();

/**
 * The apps that are attached to one server. For each handshake, one of them is chosen that responds: at once if the
 * handshake is certainly for the app or the server has no other `upgrade` listeners, and otherwise when the other
 * listeners had their time. So exactly one response is sent, however many apps there are.
 */
export class SharedServer {
  readonly #server: Server;
  readonly #apps = new Set<SharingApp>();
  /** What the server has done without apps. Undefined where it has no such function. */
  readonly #shouldUpgradeBefore: ShouldUpgrade | undefined;

  /**
   * This listener and the next one are called before the other listeners of a server, because those may respond at
   * once.
   */
  readonly #onArrival: OnUpgrade = (message, raw) => {
    for (const app of this.#apps) app.noteHandshake(message, raw);
  };
  readonly #onRequest = (_message: IncomingMessage, response: ServerResponse): void => {
    for (const app of this.#apps) app.noteRequest(response);
  };
  readonly #onUpgrade: OnUpgrade = (message, raw, head) => {
    // An earlier listener of the same event may have closed the last app.
    if (this.#apps.size === 0) return this.#server.listenerCount("upgrade") === 0 ? void raw.destroy() : undefined;
    const [app, fit] = this.#choose(message);
    if (fit === "full" || !this.#hasOtherListeners) app.take(message, raw, head);
    else if (fit === "hookDecides") app.takeAfterOthers(message, raw, head);
    else app.leaveToOthers(message, raw, head);
  };
  readonly #shouldUpgrade: ShouldUpgrade = (message) => this.#isUpgrade(message);

  private constructor(server: Server) {
    this.#server = server;
    const upgrading = server as UpgradingServer;
    this.#shouldUpgradeBefore = upgrading.shouldUpgradeCallback;
    upgrading.shouldUpgradeCallback = this.#shouldUpgrade;
    server.prependListener("request", this.#onRequest);
    server.prependListener("upgrade", this.#onArrival);
    server.on("upgrade", this.#onUpgrade);
  }

  /** Adds an app to a server. */
  static add(server: Server, app: SharingApp): void {
    let shared = sharedServers.get(server);
    if (shared === undefined) sharedServers.set(server, shared = new SharedServer(server));
    shared.#apps.add(app);
  }

  /** Removes an app from a server. The server is as before when its last app is removed. */
  static delete(server: Server, app: SharingApp): void {
    const shared = sharedServers.get(server);
    if (shared === undefined || !shared.#apps.delete(app) || shared.#apps.size > 0) return;
    sharedServers.delete(server);
    shared.#leave();
  }

  #leave(): void {
    const server = this.#server;
    server.off("request", this.#onRequest);
    server.off("upgrade", this.#onArrival);
    server.off("upgrade", this.#onUpgrade);
    const upgrading = server as UpgradingServer;
    // Somebody who has replaced the function since may still call this one, which then decides as the one before it.
    if (upgrading.shouldUpgradeCallback !== this.#shouldUpgrade) return;
    if (this.#shouldUpgradeBefore === undefined) delete upgrading.shouldUpgradeCallback;
    else upgrading.shouldUpgradeCallback = this.#shouldUpgradeBefore;
  }

  get #hasOtherListeners(): boolean {
    return this.#server.listenerCount("upgrade") > OWN_LISTENERS;
  }

  /**
   * Decides whether a request with an Upgrade header becomes an `upgrade` event. Otherwise the header is ignored, as
   * RFC 9110 §7.8 allows, and the request is a plain one. A handshake for an app is always one. Another protocol than
   * WebSocket is left to the other `upgrade` listeners, if there are any, and if the protocol is not one that clients
   * offer with every request.
   */
  #isUpgrade(message: IncomingMessage): boolean {
    if (this.#apps.size > 0 && !asksForWebSocket(message)) {
      if (!this.#hasOtherListeners || OPTIONAL_PROTOCOL.test(message.headers.upgrade ?? "")) return false;
    }
    if (this.#shouldUpgradeBefore?.call(this.#server, message) ?? this.#server.listenerCount("upgrade") > 0) {
      return true;
    }
    return this.#apps.size > 0 && asksForWebSocket(message) && this.#choose(message)[1] !== "none";
  }

  /** The app that a handshake fits best, the first one of several, and how well. There has to be an app. */
  #choose(message: IncomingMessage): [SharingApp, HandshakeFit] {
    const isWebSocket = asksForWebSocket(message);
    let best: [SharingApp, HandshakeFit] | undefined;
    for (const app of this.#apps) {
      const fit = isWebSocket ? app.fitOf(message) : "none";
      if (best === undefined || FITS.indexOf(fit) > FITS.indexOf(best[1])) best = [app, fit];
    }
    return best!;
  }
}
