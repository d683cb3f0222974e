/** The TCP connection below the test clients: raw bytes, with a limit on every wait. */

import { connect as connectTcp, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";

/** Pieces of bytes that are written in a turn each, so that they arrive apart. */
export type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** One TCP connection to a server on this machine. Tests can wait for its bytes and for its end. */
export class Connection {
  readonly socket: Socket;
  readonly #timeoutMs: number;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #take: ((bytes: Buffer) => void) | undefined;
  #fault: unknown;
  #finished = false;
  #closed = false;
  #waiting = new Set<() => void>();

  constructor(port: number, timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.socket = connectTcp({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.socket.setNoDelay(true);
    this.socket.on("data", (bytes) => this.#receive(bytes as Buffer));
    this.socket.on("end", () => {
      this.#finished = true;
      this.socket.end();
    });
    // After a reset or a broken pipe, "close" follows without an "end" before it, which `ended` reports as a reset.
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.#closed = true;
      this.#wake();
    });
  }

  /** How the connection has ended; undefined while it is open. */
  get ended(): "fin" | "reset" | undefined {
    if (!this.#closed) return undefined;
    return this.#finished ? "fin" : "reset";
  }

  write(bytes: Uint8Array): void {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  /** Writes each chunk in a turn of its own, until the connection has ended or `isEnough` returns true. */
  async writeApart(chunks: Chunks, isEnough: () => boolean = () => false): Promise<void> {
    for await (const chunk of chunks) {
      if (this.#finished || this.#closed || isEnough()) return;
      this.write(chunk);
      await nextTurn();
    }
  }

  /** Passes all bytes to `take`: first those that have come already, then each chunk that comes. */
  onBytes(take: (bytes: Buffer) => void): void {
    this.#take = take;
    const received = this.#received;
    this.#received = [];
    for (const bytes of received) this.#hand(bytes);
  }

  /** Reads up to the first empty line, and keeps the bytes behind it for `onBytes`. */
  async readHead(): Promise<string> {
    const headEnd = (): number => Buffer.concat(this.#received).indexOf("\r\n\r\n");
    await this.until("the response to the handshake", () => headEnd() >= 0);
    const end = headEnd();
    const head = Buffer.concat(this.#received);
    this.#received = [head.subarray(end + 4)];
    return head.toString("latin1", 0, end + 4);
  }

  /**
   * Waits until `isDone` returns true. Rejects when the connection ends, when the bytes are bad, or after `timeoutMs`.
   * `what` names the event in the error.
   */
  until(what: string, isDone: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: Error): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        if (error) reject(error);
        else resolve();
      };
      const look = (): void => {
        if (this.#fault) settle(new Error(`Bad bytes while waiting for ${what}: ${this.#fault}`));
        else if (isDone()) settle();
        else if (this.#closed) settle(new Error(`The connection ended (${this.ended}) while waiting for ${what}`));
      };
      const timer = setTimeout(() => {
        settle(new Error(`No sign of ${what} within ${this.#timeoutMs} ms; ${this.#receivedBytes} bytes came in all`));
      }, this.#timeoutMs);
      this.#waiting.add(look);
      look();
    });
  }

  #receive(bytes: Buffer): void {
    this.#receivedBytes += bytes.length;
    if (this.#take) this.#hand(bytes);
    else this.#received.push(bytes);
    this.#wake();
  }

  #hand(bytes: Buffer): void {
    try {
      this.#take?.(bytes);
    } catch (error) {
      this.#fault ??= error;
    }
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }
}
