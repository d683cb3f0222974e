import type { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { hasPeerEnded } from "../platform.ts";
import type { HandshakeError } from "../protocol/errors.ts";
import type { UpgradeOffer } from "../protocol/handshake.ts";
import { acceptUpgrade, refuseUpgrade, type UpgradeExtras, writeRefusal } from "./handshake-response.ts";

/** The side of a guard that a handshake attempt needs: the guard watches the connection until somebody has responded. */
export interface HandshakeClaims {
  /** Whether another listener of the same server has responded to the handshake. */
  isTakenByOther(raw: RawSocket): boolean;
  /** Reserves the response for this app, just before the response is written. False when another listener has responded. */
  claim(raw: RawSocket): boolean;
  /** Ends the watch over the connection: the handshake is done. */
  unwatch(raw: RawSocket): void;
}

/**
 * One opening handshake, from its `upgrade` event to the response. Services, an `upgrade` hook or another listener may
 * take their time in between, so the attempt looks at its connection again each time before it writes.
 */
export class HandshakeAttempt {
  readonly message: IncomingMessage;
  readonly raw: RawSocket;
  /** Bytes that came directly behind the request. */
  readonly head: Buffer;
  readonly #claims: HandshakeClaims;

  constructor(message: IncomingMessage, raw: RawSocket, head: Buffer, claims: HandshakeClaims) {
    this.message = message;
    this.raw = raw;
    this.head = head;
    this.#claims = claims;
  }

  /**
   * Whether the handshake can still be accepted: the connection is there, nobody has ended it or responded on the
   * server's side, and the client has not ended its own side.
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
  }

  /** Refuses the handshake. False when nobody waits for the refusal any more. */
  refuse(error: HandshakeError): boolean {
    if (!this.#claimRefusal()) return false;
    refuseUpgrade(this.raw, error);
    return true;
  }

  /**
   * Refuses the handshake with a whole HTTP response. False when nobody waits for the response any more.
   *
   * @throws TypeError for a header that would break out of its line; nothing has been written then
   */
  respond(status: number, body: Uint8Array, headers: Iterable<readonly [name: string, value: string]>): boolean {
    if (!this.#claimRefusal()) return false;
    writeRefusal(this.raw, status, body, headers);
    return true;
  }

  /**
   * Lets go of a handshake that nobody waits for any more, or to which another listener has responded. A response that
   * is under way, such as the 408 of the guard, still goes out.
   */
  abandon(): void {
    if (this.#claims.claim(this.raw) && !this.raw.writableEnded) this.raw.destroy();
  }

  #claimRefusal(): boolean {
    if (this.raw.writable) return this.#claims.claim(this.raw);
    this.abandon();
    return false;
  }
}
