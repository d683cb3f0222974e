import { Buffer } from "node:buffer";
import {
  constants,
  createDeflateRaw,
  createInflateRaw,
  type DeflateRaw,
  type InflateRaw,
  type ZlibOptions,
} from "node:zlib";
import { MIN_WINDOW_BITS } from "../../protocol/permessage-deflate.ts";

/** What came out of a stream for one message. */
export interface Output {
  readonly bytes: Buffer;
  /** A final block has ended the stream: it takes nothing more. */
  readonly isEnded: boolean;
}

/** A stream for {@link passThrough}, with the window that the sender was told, as a power of two. */
export function openInflate(windowBits: number): InflateRaw {
  const options = { windowBits: Math.max(windowBits, MIN_WINDOW_BITS), flush: constants.Z_SYNC_FLUSH };
  return withoutCrash(createInflateRaw(options));
}

/** A stream for {@link passThrough}. */
export function openDeflate(options: ZlibOptions): DeflateRaw {
  return withoutCrash(createDeflateRaw({ ...options, flush: constants.Z_SYNC_FLUSH }));
}

/** An error concerns the message at work. Deno also tells of it later, when that has been dealt with, and nobody would listen any more. */
function withoutCrash<Stream extends DeflateRaw | InflateRaw>(stream: Stream): Stream {
  stream.on("error", () => {});
  return stream;
}

/**
 * Passes one message through a stream that flushes after every write, on zlib's threads.
 *
 * @param stream of `openInflate` or `openDeflate`, and idle
 * @param maxBytes what may come out
 * @returns rejects with a RangeError above `maxBytes`, and with the stream's error; need not settle when the stream is closed meanwhile
 */
export function passThrough(
  stream: DeflateRaw | InflateRaw,
  bytes: string | Uint8Array,
  maxBytes: number,
): Promise<Output> {
  const { promise, resolve, reject } = Promise.withResolvers<Output>();
  const chunks: Buffer[] = [];
  let byteLength = 0;
  let isEnded = false;
  const onData = (chunk: Buffer): void => {
    chunks.push(chunk);
    byteLength += chunk.length;
    if (byteLength <= maxBytes) return;
    finish(new RangeError(`More than ${maxBytes} bytes came out`));
    // Deno would go on to the end of all that was written.
    closeStream(stream);
  };
  const onEnd = (): void => void (isEnded = true);
  const finish = (error?: Error | null): void => {
    stream.off("data", onData).off("end", onEnd).off("error", finish);
    if (error != null) reject(error);
    else resolve({ bytes: chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, byteLength), isEnded });
  };
  stream.on("data", onData).on("end", onEnd).on("error", finish);
  stream.write(bytes, (error) => {
    // Takes out, as `data`, what the stream has not handed out yet.
    while (error == null && stream.read() !== null) { /* more may follow */ }
    finish(error);
  });
  return promise;
}

/** Closes a stream, whatever it is doing. */
export function closeStream(stream: DeflateRaw | InflateRaw): void {
  stream.removeAllListeners("data");
  stream.close();
}
