import type { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { hasPeerEnded } from "../platform.ts";
import type { HandshakeError } from "../protocol/errors.ts";
import { listsToken, type UpgradeOffer } from "../protocol/handshake.ts";
import { acceptUpgrade, refuseUpgrade, type UpgradeExtras, writeRefusal } from "./handshake-response.ts";

/**
 * How well a handshake fits the routes of an app:
 *
 * - `"full"`: its path has a route.
 * - `"hookDecides"`: its path has a route whose hook may choose one of the subprotocols that the client offers.
 * - `"otherSubprotocols"`: its path has a route, but the client offers only subprotocols that the route does not speak.
 * - `"none"`: its path has no route.
 */
export type HandshakeFit = "full" | "hookDecides" | "otherSubprotocols" | "none";

/**
 * Tells whether a request asks for a WebSocket, even if its handshake is wrong otherwise. A request that asks for
 * another protocol only is a plain request, whose Upgrade header a server may ignore (RFC 9110 §7.8). Deno does not
 * show an Upgrade header behind a thousand other headers: such a request counts as a handshake, and is refused as one.
 */
export function asksForWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade === undefined || listsToken(headers.upgrade, "websocket");
}

/**
 * The part of a handshake guard that an attempt needs. The guard watches the connection until a response is written.
 */
export interface HandshakeClaims {
  /** True when another listener of the same server has responded to the handshake. */
  isTakenByOther(raw: RawSocket): boolean;
  /**
   * Reserves the response for this app, just before the response is written.
   *
   * @returns false when another listener has responded
   */
  claim(raw: RawSocket): boolean;
  /** Ends the watch over the connection, because the handshake is done. */
  unwatch(raw: RawSocket): void;
}

/**
 * One opening handshake, from its `upgrade` event to the response. Services and an `upgrade` hook may take time in
 * between, and another listener may respond, so the attempt checks its connection again each time before it writes.
 */
export class HandshakeAttempt {
  readonly message: IncomingMessage;
  readonly raw: RawSocket;
  /** The bytes that came directly behind the request. */
  readonly head: Buffer;
  /**
   * Called once the handshake has a response or is given up, with the status of the response and the error that the
   * response tells. Set while somebody traces the handshake.
   */
  onDone: ((status?: number, error?: unknown) => void) | undefined;
  readonly #claims: HandshakeClaims;

  constructor(message: IncomingMessage, raw: RawSocket, head: Buffer, claims: HandshakeClaims) {
    this.message = message;
    this.raw = raw;
    this.head = head;
    this.#claims = claims;
  }

  /**
   * True while the handshake can still be accepted: the connection exists, the server's side is not ended and has no
   * response, and the client has not ended its own side.
   */
  get canAccept(): boolean {
    const { raw } = this;
    return !raw.destroyed && raw.writable && !hasPeerEnded(raw) && !this.#claims.isTakenByOther(raw);
  }

  /**
   * Accepts the handshake with a 101 response, RFC 6455 §4.2.2. The connection belongs to the caller from then on.
   *
   * @throws TypeError for a header that would break out of its line; nothing has been written then
   */
  accept(offer: UpgradeOffer, extras: UpgradeExtras): void {
    this.#claims.claim(this.raw);
    acceptUpgrade(this.raw, offer, extras);
    this.#claims.unwatch(this.raw);
    this.onDone?.(101);
  }

  /**
   * Refuses the handshake with the status and message of the error.
   *
   * @returns false when the connection is gone or another listener has responded
   */
  refuse(error: HandshakeError): boolean {
    if (!this.#claimRefusal()) return false;
    refuseUpgrade(this.raw, error);
    this.onDone?.(error.status, error);
    return true;
  }

  /**
   * Refuses the handshake with a whole HTTP response.
   *
   * @returns false when the connection is gone or another listener has responded
   * @throws TypeError for a header that would break out of its line; nothing has been written then
   */
  respond(status: number, body: Uint8Array, headers: Iterable<readonly [name: string, value: string]>): boolean {
    if (!this.#claimRefusal()) return false;
    writeRefusal(this.raw, status, body, headers);
    this.onDone?.(status);
    return true;
  }

  /**
   * Gives no response to a handshake: the connection is cut, unless another listener has responded. A response that has
   * been written already, such as the 408 of the guard, still goes out.
   */
  abandon(): void {
    if (this.#claims.claim(this.raw) && !this.raw.writableEnded) this.raw.destroy();
    this.onDone?.();
  }

  /** Reserves the response; cuts the connection instead where nothing can be written any more. */
  #claimRefusal(): boolean {
    if (this.raw.writable) return this.#claims.claim(this.raw);
    this.abandon();
    return false;
  }
}
