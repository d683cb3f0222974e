import type { Buffer } from "node:buffer";
import { show } from "../common/show.ts";
import { isPromise } from "../common/validate.ts";
import { Inbox, type InboxOwner } from "./inbox.ts";
import type { MessageReader } from "./message-reader.ts";
import type { StandardIssue, StandardResult } from "./standard-schema.ts";

/** The part of a socket that a typed inbox needs. */
export interface TypedInboxOwner extends InboxOwner {
  /** A message does not fit. */
  onMisfit(issues: readonly StandardIssue[]): void;
  /** The schema has thrown, or its promise was rejected. */
  onSchemaError(error: unknown): void;
}

/**
 * The inbox of a typed route. A message is read when it is handed out and not before, so that the messages that wait
 * take no more memory than their texts. While a promise of the schema is pending, the next messages wait, and keep
 * their order.
 */
export class TypedInbox extends Inbox {
  readonly #owner: TypedInboxOwner;
  readonly #reader: MessageReader;
  /** True while the schema's promise for a message is pending, and while its result is handed out. */
  #isReading = false;
  /** The result of a promise, while its reader has gone or the socket is paused. */
  #settled: StandardResult<unknown> | undefined;
  /** True when all messages are dropped that still come. */
  #isStopped = false;

  constructor(owner: TypedInboxOwner, isPaused: boolean, reader: MessageReader) {
    super(owner, isPaused);
    this.#owner = owner;
    this.#reader = reader;
  }

  override get isEmpty(): boolean {
    return super.isEmpty && (this.#isStopped || (!this.#isReading && this.#settled === undefined));
  }

  override push(message: string | Buffer): void {
    if (!this.#isStopped) super.push(message);
  }

  override drain(): void {
    const settled = this.#settled;
    if (settled !== undefined && this.hasReader()) {
      this.#settled = undefined;
      // A listener that calls `resume`, for example, must not get the next message inside of its call.
      this.#isReading = true;
      this.#finishReading(settled);
    }
    super.drain();
  }

  /** Drops the messages that wait, and all that still come. */
  override discard(): void {
    this.#isStopped = true;
    this.#settled = undefined;
    super.discard();
  }

  protected override hasReader(): boolean {
    return !this.#isReading && super.hasReader();
  }

  protected override handOut(message: string | Buffer): void {
    if (!this.hasTaker) return;
    try {
      const result = this.#reader.read(message);
      if (!isPromise(result)) return this.#give(checkResult(result));
      this.#isReading = true;
      // A thenable may call back twice. `Promise.resolve` makes a promise of it that does not.
      Promise.resolve(result).then(checkResult)
        .then((settled) => this.#onSettled(settled), (error) => this.#onError(error));
    } catch (error) {
      this.#onError(error);
    }
  }

  #onSettled(result: StandardResult<unknown>): void {
    this.#isReading = false;
    if (!this.#isStopped) this.#settled = result;
    this.drain();
  }

  #finishReading(result: StandardResult<unknown>): void {
    try {
      this.#give(result);
    } finally {
      this.#isReading = false;
    }
  }

  #give(result: StandardResult<unknown>): void {
    // The type of the route says what the value is.
    if (result.issues === undefined) this.give(result.value as string);
    else this.#owner.onMisfit(result.issues);
  }

  #onError(error: unknown): void {
    this.#isReading = false;
    this.#owner.onSchemaError(error);
    this.drain();
  }
}

/** @throws TypeError if a schema has given something else than a result */
function checkResult(result: StandardResult<unknown>): StandardResult<unknown> {
  if (typeof result === "object" && result !== null) return result;
  throw new TypeError(`The schema must give { value } or { issues }; got ${show(result)}`);
}
