/** What the brokers share: the state of their links, and waiting for the server when they close. */
import type { BrokerStatus } from "../app/pubsub/broker.ts";

/** The state of a broker's link. The listener is called when the state changes, and not for each attempt to connect. */
export class LinkStatus {
  #status: BrokerStatus = { isConnected: false };
  #listener: (status: BrokerStatus) => void = () => {};

  get isConnected(): boolean {
    return this.#status.isConnected;
  }

  /** Sets the listener, in place of any before it, and calls it at once with the present state. */
  listen(listener: (status: BrokerStatus) => void): void {
    this.#listener = listener;
    listener(this.#status);
  }

  /**
   * Sets the state, and calls the listener if it has changed. While the link is down, only the first error is reported:
   * later errors are about attempts to connect again.
   */
  set(isConnected: boolean, error?: unknown): void {
    const { isConnected: wasConnected, error: known } = this.#status;
    if (isConnected === wasConnected && (isConnected || error === undefined || known !== undefined)) return;
    this.#status = isConnected || error === undefined ? { isConnected } : { isConnected, error };
    this.#listener(this.#status);
  }
}

/** How long a broker that is closed waits for the server. */
const CLOSE_TIMEOUT_MS = 1_000;

/**
 * Waits until the server has taken what was sent last, but no longer than a second, so that a broker can always be
 * closed. Errors are ignored, because the broker is closing anyway.
 *
 * @param taking settles once the server has taken all
 */
export async function lastTaken(taking: Promise<unknown>): Promise<void> {
  const { promise: timedOut, resolve } = Promise.withResolvers<void>();
  const timeout = setTimeout(resolve, CLOSE_TIMEOUT_MS);
  await Promise.race([taking.catch(() => {}), timedOut]);
  clearTimeout(timeout);
}
