/** A client that follows the topic of numbers, and comes back whenever its connection is closed. */

import { onTestFinished } from "vitest";
import type { Certificate } from "../../support/certificate.ts";
import { ProxyClient } from "./proxy-client.ts";

export class Follower {
  /** The numbers that have come, over all connections. */
  readonly numbers: number[] = [];
  /** The code of each connection that was closed. */
  readonly closeCodes: number[] = [];
  /** For each connection, whether it got all that was published since the last one. */
  readonly recoveries: boolean[] = [];
  readonly #run: Promise<void>;
  #isStopped = false;
  #since: string | undefined;
  #client: ProxyClient | undefined;
  #onNumber: () => void = () => {};

  constructor(port: number, trusted: readonly Certificate[]) {
    this.#run = this.#follow(port, trusted);
    this.#run.catch(() => {});
    onTestFinished(() => this.stop());
  }

  /** Waits until it has this many numbers. Rejects if it could not come back. */
  async hasNumbers(count: number): Promise<void> {
    while (this.numbers.length < count) {
      await Promise.race([this.#run, new Promise<void>((resolve) => (this.#onNumber = resolve))]);
    }
  }

  async #follow(port: number, trusted: readonly Certificate[]): Promise<void> {
    while (!this.#isStopped) {
      const query = this.#since === undefined ? "" : `?since=${this.#since}`;
      const client = this.#client = await ProxyClient.open(port, `/numbers${query}`, { trusted });
      for (let i = 0; await client.has(i + 1); i++) this.#take(client.messages[i]!);
      const { code } = await client.closed;
      if (!this.#isStopped) this.closeCodes.push(code);
    }
  }

  #take(message: string): void {
    const { id, recovered, data } = JSON.parse(message);
    this.#since = id;
    if (data === undefined) this.recoveries.push(recovered);
    else this.numbers.push(Number(data));
    this.#onNumber();
  }

  stop(): void {
    this.#isStopped = true;
    this.#client?.socket.terminate();
  }
}
