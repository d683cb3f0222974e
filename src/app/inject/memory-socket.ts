/** A connection in memory, with the members of a `net.Socket` that a server uses. */
import { Buffer } from "node:buffer";
import type { Socket as RawSocket } from "node:net";
import { Duplex } from "node:stream";

/** One end of a connection that never leaves the process. Bytes that are written at one end are read at the other. */
export class MemorySocket extends Duplex {
  readonly remoteAddress = "127.0.0.1";
  #peer: MemorySocket | undefined;
  /** Tells the other end, whose last write waits, that this end has room again. */
  #onRead: (() => void) | undefined;

  constructor() {
    super({ allowHalfOpen: true });
    this.on("error", () => {});
  }

  /**
   * Makes both ends of a connection. The server's end has the type of a `net.Socket`, because it has all members of one
   * that a server uses.
   */
  static pair(): { client: MemorySocket; server: MemorySocket & RawSocket } {
    const client = new MemorySocket();
    const server = new MemorySocket();
    client.#peer = server;
    server.#peer = client;
    return { client, server: server as MemorySocket & RawSocket };
  }

  /** Has no effect: a connection in memory has no idle time-out. */
  setTimeout(): this {
    return this;
  }

  /** Has no effect: a connection in memory does not delay small writes. */
  setNoDelay(): this {
    return this;
  }

  override _read(): void {
    const onRead = this.#onRead;
    this.#onRead = undefined;
    onRead?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    const peer = this.#peer!;
    // The bytes are copied, because the writer may use their memory again after the callback.
    if (peer.destroyed || peer.push(Buffer.from(chunk))) queueMicrotask(callback);
    else peer.#onRead = callback;
  }

  override _final(callback: () => void): void {
    this.#peer!.push(null);
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    callback(error);
    // The other end is destroyed too, as by a reset.
    queueMicrotask(() => this.#peer!.destroy());
  }
}
