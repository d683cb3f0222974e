/** Compression in front of an outbox, and the order of messages of which some are compressed on other threads. */
import { Buffer } from "node:buffer";
import { RSV1 } from "../protocol/frame-header.ts";
import { Opcode } from "../protocol/opcode.ts";
import { type Deflater, keepable } from "./deflate/deflater.ts";
import type { NegotiatedDeflate } from "./deflate/negotiated-deflate.ts";
import type { Outbox } from "./outbox.ts";
import { SerialQueue, type Task } from "./serial-queue.ts";

const NOTHING = new Uint8Array(0);

/**
 * The sending side of a connection with permessage-deflate, in front of its `Outbox`. A message that zlib's threads
 * compress keeps its place: all that is sent later waits behind it.
 */
export class CompressingOutbox {
  readonly #negotiated: NegotiatedDeflate;
  readonly #outbox: Outbox;
  readonly #onIdle: () => void;
  readonly #deflater: Deflater;
  /**
   * The message that is being compressed, and all that waits behind it. Made when a message has to wait for the first
   * time.
   */
  #queue: SerialQueue | undefined;
  #isDiscarded = false;

  /** @param onIdle called whenever the last message that had to wait has gone to the outbox */
  constructor(negotiated: NegotiatedDeflate, outbox: Outbox, onIdle: () => void) {
    this.#negotiated = negotiated;
    this.#outbox = outbox;
    this.#onIdle = onIdle;
    this.#deflater = negotiated.deflater();
  }

  /** True when nothing waits here. */
  get isIdle(): boolean {
    return this.#queue?.isIdle ?? true;
  }

  /** The bytes, before their compression, that the outbox has not got yet. */
  get bufferedAmount(): number {
    return this.#queue?.bufferedAmount ?? 0;
  }

  /** About how many bytes of memory they take. */
  get cost(): number {
    return this.#queue?.cost ?? 0;
  }

  /** Sends a message. `compress` is the sender's wish; undefined leaves the decision to the route's settings. */
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

  /** Runs a task once the outbox has got all that was sent before, at once when it has. */
  after(task: () => void): void {
    if (this.isIdle) task();
    else this.#run(task, NOTHING);
  }

  /** Drops all that waits here. */
  discard(): void {
    this.#isDiscarded = true;
    this.#queue?.discard();
    this.#queue = undefined;
  }

  /** Discards all that waits, and frees the deflater, because the connection has ended. */
  close(): void {
    this.discard();
    this.#deflater.close();
  }

  #run(task: Task, data: string | Uint8Array): void {
    this.#queue ??= new SerialQueue(() => this.#isDiscarded || this.#onIdle());
    const byteLength = typeof data === "string" ? Buffer.byteLength(data) : data.length;
    // In memory, a text that is not ASCII may take two bytes for each of its UTF-16 code units.
    this.#queue.run(
      task,
      byteLength,
      byteLength === data.length ? byteLength : Math.max(byteLength, 2 * data.length),
    );
  }

  #sendNow(data: string | Uint8Array, isCompressed: boolean): void | Promise<void> {
    if (!isCompressed) return this.#sendFrame(data, undefined);
    const deflated = this.#deflater.deflate(data);
    if (deflated instanceof Promise) {
      const kept = this.#deflater.keep(data);
      return deflated.then((payload) => this.#sendFrame(kept, payload));
    }
    this.#sendFrame(data, deflated);
  }

  /** Sends the compressed payload, or the message itself when there is none. */
  #sendFrame(data: string | Uint8Array, payload: Uint8Array | undefined): void {
    if (this.#isDiscarded) return;
    const isText = typeof data === "string";
    if (payload !== undefined) this.#outbox.sendBytes((isText ? Opcode.TEXT : Opcode.BINARY) | RSV1, payload);
    else if (isText) this.#outbox.sendText(data);
    else this.#outbox.sendBytes(Opcode.BINARY, data);
  }
}
