import { Buffer } from "node:buffer";
import { RSV1 } from "../protocol/frame-header.ts";
import { Opcode } from "../protocol/opcode.ts";
import { type Deflater, keepable } from "./deflate/deflater.ts";
import type { NegotiatedDeflate } from "./deflate/negotiated-deflate.ts";
import type { Outbox } from "./outbox.ts";
import { SerialQueue, type Task } from "./serial-queue.ts";

const NOTHING = new Uint8Array(0);

/** The sending side of a connection with permessage-deflate: what is compressed elsewhere keeps its place among all that is sent. */
export class CompressingOutbox {
  readonly #negotiated: NegotiatedDeflate;
  readonly #outbox: Outbox;
  readonly #onIdle: () => void;
  readonly #deflater: Deflater;
  /** What waits behind a message that is being compressed. Made when the first has to wait. */
  #queue: SerialQueue | undefined;
  #isDiscarded = false;

  /** `onIdle` is called whenever all that had to wait has gone to the outbox. */
  constructor(negotiated: NegotiatedDeflate, outbox: Outbox, onIdle: () => void) {
    this.#negotiated = negotiated;
    this.#outbox = outbox;
    this.#onIdle = onIdle;
    this.#deflater = negotiated.deflater();
  }

  /** Whether nothing waits here. */
  get isIdle(): boolean {
    return this.#queue?.isIdle ?? true;
  }

  /** Bytes, as they were sent, that the outbox has not got yet. */
  get bufferedAmount(): number {
    return this.#queue?.bufferedAmount ?? 0;
  }

  /** The memory that they take, about. */
  get cost(): number {
    return this.#queue?.cost ?? 0;
  }

  /** Sends a message; `compress` is its sender's wish, if it has one. */
  send(data: string | Uint8Array, compress: boolean | undefined): void {
    const isCompressed = compress ?? this.#negotiated.isWorthIt(data);
    if (this.isIdle) {
      const sending = this.#sendNow(data, isCompressed);
      if (sending !== undefined) this.#run(() => sending, data);
    } else {
      const kept = keepable(data);
      this.#run(() => this.#sendNow(kept, isCompressed), kept);
    }
  }

  /** Does something once all that was sent before is with the outbox; at once when it is. */
  after(task: () => void): void {
    if (this.isIdle) task();
    else this.#run(task, NOTHING);
  }

  /** Nothing that waits is sent any more. */
  discard(): void {
    this.#isDiscarded = true;
    this.#queue?.discard();
    this.#queue = undefined;
  }

  /** The connection has ended. */
  close(): void {
    this.discard();
    this.#deflater.close();
  }

  #run(task: Task, data: string | Uint8Array): void {
    this.#queue ??= new SerialQueue(() => this.#isDiscarded || this.#onIdle());
    const byteLength = typeof data === "string" ? Buffer.byteLength(data) : data.length;
    // A text that is not ASCII may take two bytes for each of its UTF-16 code units.
    this.#queue.run(
      task,
      byteLength,
      byteLength === data.length ? byteLength : Math.max(byteLength, 2 * data.length),
    );
  }

  #sendNow(data: string | Uint8Array, isCompressed: boolean): void | Promise<void> {
    if (!isCompressed) return this.#sendFrame(data, undefined);
    const deflated = this.#deflater.deflate(data);
    if (deflated instanceof Promise) return deflated.then((payload) => this.#sendFrame(data, payload));
    this.#sendFrame(data, deflated);
  }

  /** Sends the compressed payload, or the message as it is when there is none. */
  #sendFrame(data: string | Uint8Array, payload: Uint8Array | undefined): void {
    if (this.#isDiscarded) return;
    const isText = typeof data === "string";
    if (payload !== undefined) this.#outbox.sendBytes((isText ? Opcode.TEXT : Opcode.BINARY) | RSV1, payload);
    else if (isText) this.#outbox.sendText(data);
    else this.#outbox.sendBytes(Opcode.BINARY, data);
  }
}
