/** A raw socket over no wire, which takes what is written to it when a test says so. */

import { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";

export class StalledSocket extends Socket {
  /** What has been taken, in order. */
  readonly taken: Buffer[] = [];
  takenBytes = 0;
  /** The stream's writes, however many of ours they hold. */
  #untaken: { chunks: Buffer[]; done: () => void } | undefined;
  #isStalled = true;

  /** Takes what the stream has handed over so far, or also all that is still to come. */
  takeNow(isStalled: boolean): void {
    this.#isStalled = isStalled;
    this.#takeUntaken();
  }

  /** Takes everything, and waits until all that follows from it has been taken too. */
  async takeAll(): Promise<void> {
    this.takeNow(false);
    let before = -1;
    while (before !== this.takenBytes) {
      before = this.takenBytes;
      for (let i = 0; i < 5; i++) await nextTurn();
    }
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#hold([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#hold(chunks.map(({ chunk }) => chunk), done);
  }

  #hold(chunks: Buffer[], done: () => void): void {
    this.#untaken = { chunks, done };
    if (!this.#isStalled) this.#takeUntaken();
  }

  #takeUntaken(): void {
    if (this.#untaken === undefined) return;
    const { chunks, done } = this.#untaken;
    this.#untaken = undefined;
    // The sender may use its memory for something else from here on.
    for (const chunk of chunks) {
      this.taken.push(Buffer.from(chunk));
      this.takenBytes += chunk.length;
    }
    done();
  }
}
