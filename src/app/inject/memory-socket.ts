import { Buffer } from "node:buffer";
import type { Socket as RawSocket } from "node:net";
import { Duplex } from "node:stream";

/** One end of a connection that never leaves the process. What is written at one end is read at the other. */
export class MemorySocket extends Duplex {
  readonly remoteAddress = "127.0.0.1";
  #peer: MemorySocket | undefined;
  /** Called once the peer has room again. */
  #onRead: (() => void) | undefined;

  constructor() {
    super({ allowHalfOpen: true });
    this.on("error", () => {});
  }

  /** Two ends. The server's is as good as a `net.Socket` for all that a server does with one. */
  static pair(): { client: MemorySocket; server: MemorySocket & RawSocket } {
    const client = new MemorySocket();
    const server = new MemorySocket();
    client.#peer = server;
    server.#peer = client;
    return { client, server: server as MemorySocket & RawSocket };
  }

  /** There is no wire to be idle. */
  setTimeout(): this {
    return this;
  }

  /** Nothing waits here to be sent together. */
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
    // The writer may use its memory again as soon as it is called back.
    if (peer.destroyed || peer.push(Buffer.from(chunk))) queueMicrotask(callback);
    else peer.#onRead = callback;
  }

  override _final(callback: () => void): void {
    this.#peer!.push(null);
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    callback(error);
    // As a reset does: the other end is gone too.
    queueMicrotask(() => this.#peer!.destroy());
  }
}
