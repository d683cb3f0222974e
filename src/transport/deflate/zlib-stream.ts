/**
 * zlib streams that flush after each message, for connections with context takeover.
 */
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

/** The output of a stream for one message. */
export interface Output {
  readonly bytes: Buffer;
  /** True when a final block has ended the stream in front of more input, which the stream does not take any more. */
  readonly isEnded: boolean;
}

/**
 * Opens a stream for {@link passThrough} that inflates. `windowBits` is the base-2 logarithm of the sender's window.
 */
export function openInflate(windowBits: number): InflateRaw {
  const options = { windowBits: Math.max(windowBits, MIN_WINDOW_BITS), flush: constants.Z_SYNC_FLUSH };
  return withoutCrash(createInflateRaw(options));
}

/** Opens a stream for {@link passThrough} that deflates. */
export function openDeflate(options: ZlibOptions): DeflateRaw {
  return withoutCrash(createDeflateRaw({ ...options, flush: constants.Z_SYNC_FLUSH }));
}

/**
 * Adds a listener that ignores errors, since `passThrough` handles the error of its message. Deno emits the error once
 * more after that, which would end the process without a listener.
 */
function withoutCrash<Stream extends DeflateRaw | InflateRaw>(stream: Stream): Stream {
  stream.on("error", () => {});
  return stream;
}

/**
 * Passes one message through a stream that flushes after every write, on zlib's threads.
 *
 * @param stream a stream of `openInflate` or `openDeflate` that is not passing another message
 * @param maxBytes how many bytes may come out
 * @returns rejects with a RangeError above `maxBytes`, and with the stream's error. It may stay pending for ever when
 * the stream is closed meanwhile.
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
    // Without this, Deno would go on to the end of the input.
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
    // Each `read` emits `data` with output that the stream has not handed out yet.
    while (error == null && stream.read() !== null) { /* there may be more output */ }
    finish(error);
  });
  return promise;
}

/** Closes a stream, also while it passes a message. */
export function closeStream(stream: DeflateRaw | InflateRaw): void {
  stream.removeAllListeners("data");
  stream.close();
}
