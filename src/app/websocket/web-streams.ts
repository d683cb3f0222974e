import type { Buffer } from "node:buffer";
import type { BinaryData } from "../common/bytes.ts";
import type { Socket } from "./socket.ts";

/** A socket's messages as a stream. Nothing is buffered in it: what it is not asked for stays on the wire. */
export function readableOf(socket: Socket): ReadableStream<string | Buffer> {
  const messages = socket[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const result = await messages.next();
      if (result.done) controller.close();
      else controller.enqueue(result.value);
    },
    cancel() {
      socket.close();
    },
  }, { highWaterMark: 0 });
}

/** A socket as a sink: a write ends when the peer has caught up. */
export function writableOf(socket: Socket): WritableStream<string | BinaryData> {
  return new WritableStream({
    async write(message) {
      if (socket.send(message)) return;
      if (socket.readyState !== socket.OPEN) throw new Error("The socket has ended");
      await socket.drained();
    },
    async close() {
      if (socket.readyState === socket.CLOSED) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      socket.once("close", () => resolve());
      socket.close();
      await promise;
    },
    abort() {
      socket.terminate();
    },
  });
}
