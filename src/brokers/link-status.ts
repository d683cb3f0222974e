import type { BrokerStatus } from "../app/pubsub/broker.ts";

/** How a broker's link stands, told once for each turn of events and not for each attempt to connect. */
export class LinkStatus {
  #status: BrokerStatus = { isConnected: false };
  #listener: (status: BrokerStatus) => void = () => {};

  get isConnected(): boolean {
    return this.#status.isConnected;
  }

  listen(listener: (status: BrokerStatus) => void): void {
    this.#listener = listener;
    listener(this.#status);
  }

  /** While the link is down only the first error is told: those after it are about the attempts to have it again. */
  set(isConnected: boolean, error?: unknown): void {
    const { isConnected: wasConnected, error: known } = this.#status;
    if (isConnected === wasConnected && (isConnected || error === undefined || known !== undefined)) return;
    this.#status = isConnected || error === undefined ? { isConnected } : { isConnected, error };
    this.#listener(this.#status);
  }
}

const CLOSE_TIMEOUT_MS = 1_000;

/** Waits until the server has taken what was sent last, but not for ever: a broker that is closed shall end. What goes wrong is of no interest any more. */
export async function lastTaken(taking: Promise<unknown>): Promise<void> {
  const { promise: timedOut, resolve } = Promise.withResolvers<void>();
  const timeout = setTimeout(resolve, CLOSE_TIMEOUT_MS);
  await Promise.race([taking.catch(() => {}), timedOut]);
  clearTimeout(timeout);
}
