import type { Buffer } from "node:buffer";
import type { Socket as RawSocket } from "node:net";
import { CloseCode } from "../../protocol/close.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import { type BinaryData, isBinaryData } from "../common/bytes.ts";
import { show } from "../common/show.ts";
import { isPromise } from "../common/validate.ts";
import type { Inbox } from "./inbox.ts";
import { closeReason } from "./message-reader.ts";
import type { Typing } from "./route-options.ts";
import { type Agreed, ServerSocket, type ServerSocketSettings } from "./server-socket.ts";
import type { SendCallback, SendOptions } from "./send-arguments.ts";
import type { StandardIssue } from "./standard-schema.ts";
import { TypedInbox, type TypedInboxOwner } from "./typed-inbox.ts";

/**
 * The socket of a route with a schema: its messages are values, or it sends values, or both. A class of its own, so
 * that the sockets of other routes pay nothing for it.
 */
export class TypedSocket extends ServerSocket implements TypedInboxOwner {
  readonly #typing: Typing;

  /** The parameters are those of `ServerSocket`, and what the route's schemas have come to. */
  constructor(
    raw: RawSocket,
    head: Buffer,
    agreed: Agreed,
    data: unknown,
    settings: ServerSocketSettings,
    typing: Typing,
  ) {
    super(raw, head, agreed, data, settings);
    this.#typing = typing;
  }

  override send(data: unknown, options?: SendOptions | SendCallback, callback?: SendCallback): boolean {
    return super.send(this.#encode(data), options, callback);
  }

  override publish(topic: string, data: unknown): number {
    return super.publish(topic, this.#encode(data));
  }

  /**
   * Writes a value as JSON. Strings and bytes stay as they are: code that sends the same text to many sockets, of
   * several routes perhaps, has encoded it before.
   */
  #encode(data: unknown): string | BinaryData {
    if (!this.#typing.hasReply || typeof data === "string" || isBinaryData(data)) return data as string | BinaryData;
    const text = JSON.stringify(data) as string | undefined;
    if (text === undefined) throw new TypeError(`A reply must be a value that JSON can write; got ${show(data)}`);
    return text;
  }

  protected override take(data: string | Uint8Array, isBinary: boolean): void {
    if (this.#typing.reader === undefined) super.take(data, isBinary);
    else this.openInbox().push(data as string | Buffer);
  }

  protected override createInbox(isPaused: boolean): Inbox {
    const { reader } = this.#typing;
    return reader === undefined ? super.createInbox(isPaused) : new TypedInbox(this, isPaused, reader);
  }

  // TypedInboxOwner

  override emitMessage(message: string | Buffer): void {
    // The value of a schema is not binary, whatever it is made of.
    if (this.#typing.reader === undefined) super.emitMessage(message);
    else this.emitPair("message", message, false);
  }

  onMisfit(issues: readonly StandardIssue[]): void {
    const { onInvalid } = this.#typing;
    if (onInvalid === undefined) return this.#refuse(closeReason(issues));
    try {
      const result = onInvalid(this, issues);
      if (isPromise(result)) result.then(undefined, (error) => this.#onFault("option onInvalid", error));
    } catch (error) {
      this.#onFault("option onInvalid", error);
    }
  }

  onSchemaError(error: unknown): void {
    this.#onFault("schema of the messages", error);
  }

  /** Closes the socket for a message that does not fit. The messages behind it are not read any more. */
  #refuse(reason: string): void {
    this.openInbox().discard();
    if (!this.isOpen) return;
    this.onError(new ProtocolError(CloseCode.INVALID_PAYLOAD, reason));
    this.close(CloseCode.INVALID_PAYLOAD, reason);
  }

  /** A client that sends many messages must not fill the log, so no more of them are read. */
  #onFault(where: string, error: unknown): void {
    this.openInbox().discard();
    this.onHandlerError(where, error);
  }
}
