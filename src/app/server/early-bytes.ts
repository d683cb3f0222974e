import type { Socket as RawSocket } from "node:net";
import { readsWhilePaused } from "../../platform.ts";

/** The most bytes that may come behind a handshake before the response to the handshake is written. */
const MAX_EARLY_BYTES = 1024 * 1024;
/** The time between two checks. A connection can receive more than `MAX_EARLY_BYTES` within this time. */
const CHECK_INTERVAL_MS = 20;

/**
 * Cuts connections that send many bytes before the response to their handshake is written, on runtimes that read these
 * bytes into memory although the connection is paused. A client has no reason to do so: RFC 6455 §4.1 lets a client
 * send nothing before it has the response.
 */
export class EarlyBytes {
  readonly #connections: Iterable<RawSocket> & { readonly size: number };
  /** The bytes that had been read from a connection when the wait for its handshake began. */
  readonly #bytesReadBefore = new WeakMap<RawSocket, number>();
  /** Set while such a connection exists. */
  #interval: ReturnType<typeof setInterval> | undefined;

  /** @param connections a live view of the connections whose handshake is awaited */
  constructor(connections: Iterable<RawSocket> & { readonly size: number }) {
    this.#connections = connections;
  }

  /** Begins to count the bytes that arrive on one of the connections. */
  watch(raw: RawSocket): void {
    if (!readsWhilePaused(raw)) return;
    this.#bytesReadBefore.set(raw, raw.bytesRead);
    this.#interval ??= setInterval(() => this.#check(), CHECK_INTERVAL_MS).unref();
  }

  /** Stops the timer. */
  stop(): void {
    clearInterval(this.#interval);
    this.#interval = undefined;
  }

  #check(): void {
    for (const raw of this.#connections) {
      const earlyBytes = raw.bytesRead - (this.#bytesReadBefore.get(raw) ?? raw.bytesRead);
      // Bytes behind a refusal are thrown away when they arrive, so they take no memory.
      if (earlyBytes > MAX_EARLY_BYTES && !raw.writableEnded) raw.destroy();
    }
    if (this.#connections.size === 0) this.stop();
  }
}
