/** The web streams of a socket: `socket.readable` and `socket.writable`. */
import type { Socket } from "./socket.ts";

/** The messages of a socket as a web stream. The stream has no buffer of its own: messages wait in the socket. */
export function readableOf<Message>(socket: Socket<unknown, Message>): ReadableStream<Message> {
  const messages = socket[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const result = await messages.next();
      if (result.done) controller.close();
      else controller.enqueue(result.value);
    },
    cancel() {
      void messages.return!();
      socket.close();
    },
  }, { highWaterMark: 0 });
}

/**
 * A web stream that sends each chunk as a message. When more than `highWaterMark` bytes are waiting, a write resolves
 * once the operating system has taken all of them.
 */
export function writableOf<Message, Reply>(socket: Socket<unknown, Message, Reply>): WritableStream<Reply> {
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
