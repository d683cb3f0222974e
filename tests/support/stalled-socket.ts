/** A raw socket without a wire, which takes the bytes that are written to it when a test says so. */

import { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";

export class StalledSocket extends Socket {
  /** The bytes that have been taken, in order. */
  readonly taken: Buffer[] = [];
  takenBytes = 0;
  /** The write that the stream waits for. It may contain several chunks. */
  #untaken: { chunks: Buffer[]; done: () => void } | undefined;
  #isStalled = true;

  /** Takes the present write; with `isStalled` false, all later ones too. */
  takeNow(isStalled: boolean): void {
    this.#isStalled = isStalled;
    this.#takeUntaken();
  }

  /** Takes everything, and waits until all writes that follow from that have been taken too. */
  async takeAll(): Promise<void> {
    this.takeNow(false);
    let before = -1;
    while (before !== this.takenBytes) {
      before = this.takenBytes;
      for (let i = 0; i < 5; i++) await nextTurn();
    }
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#keep([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#keep(chunks.map(({ chunk }) => chunk), done);
  }

  #keep(chunks: Buffer[], done: () => void): void {
    this.#untaken = { chunks, done };
    if (!this.#isStalled) this.#takeUntaken();
  }

  #takeUntaken(): void {
    if (this.#untaken === undefined) return;
    const { chunks, done } = this.#untaken;
    this.#untaken = undefined;
    // The sender may use its memory again from here on.
    for (const chunk of chunks) {
      this.taken.push(Buffer.from(chunk));
      this.takenBytes += chunk.length;
    }
    done();
  }
}
