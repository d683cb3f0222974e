import type { Socket as RawSocket } from "node:net";
import type { HandshakeAttempt } from "../../transport/handshake-attempt.ts";
import { destroyAfterWrites } from "../../transport/handshake-response.ts";
import { Deadlines } from "../../transport/timers/deadlines.ts";
import { EarlyBytes } from "./early-bytes.ts";
import type { HandshakeGuard } from "./handshake-guard.ts";

/**
 * Handshakes that were left to the other `upgrade` listeners of a server. One that no listener has taken within
 * `handshakeTimeoutMs` gets a refusal, since it would otherwise stay open, and keep its server from closing, for as
 * long as the client likes. A listener has taken a handshake when it has written to the connection, has begun to read
 * from it, or has ended it.
 *
 * A handshake keeps its deadline when the app closes: the other listeners may still respond, and the app waits for
 * none of them.
 */
export class UnclaimedHandshakes {
  readonly #guard: HandshakeGuard;
  readonly #deadlines: Deadlines<HandshakeAttempt>;
  readonly #earlyBytes: EarlyBytes;

  /** @param refuse is called with each handshake that nobody has taken */
  constructor(handshakeTimeoutMs: number, guard: HandshakeGuard, refuse: (attempt: HandshakeAttempt) => void) {
    this.#guard = guard;
    this.#deadlines = new Deadlines(handshakeTimeoutMs, (attempt) => {
      const { message, raw } = attempt;
      if (guard.isInOtherHands(raw)) return;
      // The refusal would go out behind the response to an earlier request that is not complete.
      if (guard.hasPendingResponse(message.socket)) return void raw.destroy();
      refuse(attempt);
      if (!raw.destroyed) destroyAfterWrites(raw);
    });
    this.#earlyBytes = new EarlyBytes(this.#unclaimed());
  }

  /** Leaves a handshake to the other listeners. */
  add(attempt: HandshakeAttempt): void {
    const { raw } = attempt;
    this.#deadlines.add(attempt);
    this.#earlyBytes.watch(raw);
    raw.once("close", () => this.#deadlines.delete(attempt));
  }

  /** A live view of the connections that nobody has taken yet. */
  #unclaimed(): Iterable<RawSocket> & { readonly size: number } {
    const deadlines = this.#deadlines;
    const guard = this.#guard;
    return {
      get size() {
        return deadlines.size;
      },
      *[Symbol.iterator]() {
        for (const { raw } of deadlines) if (!guard.isInOtherHands(raw)) yield raw;
      },
    };
  }
}
