import type { Buffer } from "node:buffer";
import type { Socket as RawSocket } from "node:net";
import type { ConnectionHandler, ConnectionSettings } from "./connection-handler.ts";
import { Connection } from "./connection.ts";
import type { NegotiatedDeflate } from "./deflate/negotiated-deflate.ts";
import type { LimitedReader, RateLimiter } from "./timers/rate-limiter.ts";

/**
 * A connection that reads no more messages than its limit allows. It pauses behind a message that has used up the room,
 * also in the middle of a chunk, until there is room for the next one. A class of its own, so that connections without
 * a limit pay nothing for it.
 *
 * Two may want a pause now: the limit, and the layer above by `pause`. Reading goes on when neither does.
 */
export class RateLimitedConnection extends Connection implements LimitedReader {
  readonly #limiter: RateLimiter;
  /** How many messages may be read, as counted at `#countedAtMs`. A fraction grows to the room for a message. */
  #room: number;
  #countedAtMs = performance.now();
  /** True while the limit wants a pause. */
  #isWaiting = false;
  /** True while the layer above wants a pause. */
  #isPauseWanted = false;
  /** True when the server has begun to close: the peer's Close has to be read, whatever comes before it. */
  #isUnlimited = false;

  /** The parameters are those of `Connection`, and the limit. */
  constructor(
    raw: RawSocket,
    head: Buffer,
    settings: ConnectionSettings,
    handler: ConnectionHandler,
    compression: NegotiatedDeflate | undefined,
    limiter: RateLimiter,
  ) {
    super(raw, head, settings, handler, compression);
    this.#limiter = limiter;
    this.#room = limiter.messages;
  }

  override get isPauseWanted(): boolean {
    return this.#isPauseWanted;
  }

  override pause(): void {
    super.pause();
    this.#isPauseWanted = this.isPaused;
  }

  override resume(): void {
    this.#isPauseWanted = false;
    if (!this.#isWaiting) super.resume();
  }

  override close(code: number, reason: string, isTimed?: boolean): void {
    this.#isUnlimited = true;
    this.#endWait();
    super.close(code, reason, isTimed);
  }

  // LimitedReader

  onRoom(): void {
    this.#isWaiting = false;
    if (!this.#isPauseWanted) super.resume();
  }

  // ProtocolHandler

  override onBinary(payload: Uint8Array): void {
    super.onBinary(payload);
    this.#count();
  }

  override onText(text: string, payload?: Uint8Array): boolean {
    const isPayloadUsed = super.onText(text, payload);
    this.#count();
    return isPayloadUsed;
  }

  override onRawClosed(): void {
    super.onRawClosed();
    if (this.isClosed) this.#endWait();
  }

  /** Counts a message that was read, and pauses when there is no room for another one. */
  #count(): void {
    if (this.#isUnlimited) return;
    const { messages, intervalMs } = this.#limiter;
    const nowMs = performance.now();
    this.#room = Math.min(messages, this.#room + (nowMs - this.#countedAtMs) / intervalMs) - 1;
    this.#countedAtMs = nowMs;
    if (this.#room >= 1) return;
    this.#isWaiting = true;
    this.#limiter.wait(this);
    super.pause();
  }

  #endWait(): void {
    this.#isWaiting = false;
    this.#limiter.delete(this);
  }
}
