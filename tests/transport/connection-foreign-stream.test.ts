// A raw socket that is no socket of the operating system: the chunks that it emits may belong to somebody else, so a
// connection neither changes them nor frees their memory.

import { Buffer } from "node:buffer";
import type { Socket as RawSocket } from "node:net";
import { Duplex } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { Connection } from "../../src/transport/connection.ts";
import { Recorder, SETTINGS } from "../support/connection.ts";
import { binary, text } from "../support/frames.ts";

/** A stream that takes every write, and emits what a test pushes. */
class ForeignStream extends Duplex {
  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done();
  }

  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }
}

/** Memory of its own, which a connection would free once the text in it has been decoded. */
function chunkOf(bytes: Buffer): Buffer {
  const chunk = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(chunk);
  return chunk;
}

test.each([
  ["short frames", Buffer.concat([text("Hello"), binary(Buffer.from("bytes"))])],
  ["a large text", text("a".repeat(20_000))],
  ["a large binary message", binary(Buffer.alloc(70_000, "b"))],
])("chunks with %s stay as they were, behind a handshake and as data", async (_name, bytes) => {
  const stream = new ForeignStream();
  onTestFinished(() => void stream.destroy());
  const [head, chunk] = [chunkOf(bytes), chunkOf(bytes)];
  const recorder = new Recorder();
  const connection = new Connection(stream as unknown as RawSocket, head, SETTINGS, recorder);
  connection.start();
  stream.push(chunk);
  const frames = bytes.length < 100 ? 2 : 1;
  const received = (await recorder.messages(2 * frames)).map(String);
  expect(received.slice(frames)).toEqual(received.slice(0, frames));
  expect(head.equals(bytes)).toBe(true);
  expect(chunk.equals(bytes)).toBe(true);
});
