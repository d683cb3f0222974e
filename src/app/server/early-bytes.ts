import type { Socket as RawSocket } from "node:net";
import { readsWhilePaused } from "../../platform.ts";

/** The most bytes that may come behind a handshake before the response to the handshake is written. */
const MAX_EARLY_BYTES = 1024 * 1024;
/** How often the connections are looked at. The interval decides how many bytes more can come in between. */
const CHECK_INTERVAL_MS = 20;

/**
 * Cuts connections that send much before the response to their handshake, where the runtime reads on into memory though
 * nobody takes the bytes. RFC 6455 §4.1: a client sends nothing before it has the response.
 */
export class EarlyBytes {
  readonly #connections: Iterable<RawSocket> & { readonly size: number };
  /** How many bytes of a connection had been read when its handshake began to be awaited. */
  readonly #bytesReadBefore = new WeakMap<RawSocket, number>();
  /** Runs while such a connection is there. */
  #interval: ReturnType<typeof setInterval> | undefined;

  /** @param connections those whose handshake is awaited: a live view */
  constructor(connections: Iterable<RawSocket> & { readonly size: number }) {
    this.#connections = connections;
  }

  /** Begins to count what comes on one of the connections. */
  watch(raw: RawSocket): void {
    if (!readsWhilePaused(raw)) return;
    this.#bytesReadBefore.set(raw, raw.bytesRead);
    this.#interval ??= setInterval(() => this.#check(), CHECK_INTERVAL_MS).unref();
  }

  stop(): void {
    clearInterval(this.#interval);
    this.#interval = undefined;
  }

  #check(): void {
    for (const raw of this.#connections) {
      const earlyBytes = raw.bytesRead - (this.#bytesReadBefore.get(raw) ?? raw.bytesRead);
      // The bytes that come behind a refusal are thrown away as they come, so they cost no memory.
      if (earlyBytes > MAX_EARLY_BYTES && !raw.writableEnded) raw.destroy();
    }
    if (this.#connections.size === 0) this.stop();
  }
}
