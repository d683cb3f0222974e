import { describe, expect, onTestFinished, test } from "vitest";
import { closeStream, openDeflate, openInflate, passThrough } from "../../../src/transport/deflate/zlib-stream.ts";
import { prose } from "../../support/compression.ts";
import { deflated, inflated } from "../../support/deflate.ts";
import { Random } from "../../support/random.ts";

/** The end of a flush, which a message leaves out (RFC 7692 §7.2.1). */
const TAIL = Buffer.of(0x00, 0x00, 0xff, 0xff);
const withTail = (payload: Uint8Array): Buffer => Buffer.concat([payload, TAIL]);

function inflate(windowBits = 15): ReturnType<typeof openInflate> {
  const stream = openInflate(windowBits);
  onTestFinished(() => closeStream(stream));
  return stream;
}

test("a message that is deflated ends with a flush, and comes back when it is inflated", async () => {
  const [deflate, inflater] = [openDeflate({ level: 6 }), inflate()];
  onTestFinished(() => closeStream(deflate));
  for (const message of [prose(10), prose(2_000), prose(300_000), prose(2_000)]) {
    const { bytes, isEnded } = await passThrough(deflate, message, Infinity);
    expect([isEnded, bytes.subarray(-4).equals(TAIL)]).toEqual([false, true]);
    const back = await passThrough(inflater, bytes, Infinity);
    expect([back.isEnded, back.bytes.toString() === message]).toEqual([false, true]);
  }
});

test("the window lives on from message to message", async () => {
  const deflate = openDeflate({ level: 6 });
  onTestFinished(() => closeStream(deflate));
  const message = prose(3_000);
  const first = await passThrough(deflate, message, Infinity);
  const second = await passThrough(deflate, message, Infinity);
  expect(inflated(first.bytes.subarray(0, -4)).toString()).toBe(message);
  expect(second.bytes.length).toBeLessThan(first.bytes.length / 10);
});

test("a final block with more input behind it ends the stream, and isEnded says so", async () => {
  const stream = inflate();
  const block = Buffer.from("cb48cdc9c90700", "hex");
  const { bytes, isEnded } = await passThrough(stream, withTail(block), Infinity);
  expect([bytes.toString(), isEnded, stream.bytesWritten]).toEqual(["hello", true, block.length]);
});

describe("a message fails", () => {
  test("with a RangeError when more than maxBytes come out, and not at maxBytes", async () => {
    const payload = withTail(deflated("a".repeat(1_000_000)));
    expect((await passThrough(inflate(), payload, 1_000_000)).bytes.length).toBe(1_000_000);
    await expect(passThrough(inflate(), payload, 999_999)).rejects.toThrow(RangeError);
  });

  test("with the stream's error when it is no DEFLATE", async () => {
    const stream = inflate();
    const outcome = await passThrough(stream, withTail(Buffer.from("ffff", "hex")), Infinity).catch((error) => error);
    // Deno reports bad data only after its callback, but does not consume all of the input.
    expect(outcome instanceof Error || stream.bytesWritten < 6).toBe(true);
  });
});

test("a window of 8 bits, which zlib does not have for deflating, is taken as one of 9", async () => {
  const [deflate, inflater] = [openDeflate({ level: 6, windowBits: 10 }), inflate(8)];
  onTestFinished(() => closeStream(deflate));
  // The second message refers to the first, 300 bytes back: more than a window of 8 bits has.
  const message = new Random(9).bytes(300);
  for (const mostBytes of [400, 50]) {
    const { bytes } = await passThrough(deflate, message, Infinity);
    expect(bytes.length).toBeLessThan(mostBytes);
    expect((await passThrough(inflater, bytes, Infinity)).bytes.equals(message)).toBe(true);
  }
});

test("a window that the peer has not agreed on is refused: the message refers to bytes that lie further back", async () => {
  const [deflate, inflater] = [openDeflate({ level: 6, windowBits: 10 }), inflate(9)];
  onTestFinished(() => closeStream(deflate));
  const message = new Random(9).bytes(700);
  const [first, second] = [
    await passThrough(deflate, message, Infinity),
    await passThrough(deflate, message, Infinity),
  ];
  expect((await passThrough(inflater, first.bytes, Infinity)).bytes.equals(message)).toBe(true);
  const outcome = await passThrough(inflater, second.bytes, Infinity).catch((error) => error);
  // Deno reports bad data only after its callback, but does not consume all of the input.
  const consumed = inflater.bytesWritten - first.bytes.length;
  expect(outcome instanceof Error || consumed < second.bytes.length).toBe(true);
});

test("a stream keeps no listener of a message", async () => {
  const stream = inflate();
  const count = (): number[] => ["data", "end", "error"].map((event) => stream.listenerCount(event));
  const before = count();
  for (let i = 0; i < 3; i++) await passThrough(stream, withTail(deflated(prose(2_000))), Infinity);
  expect(count()).toEqual(before);
});

test("a stream may be closed while it passes a message, and twice", () => {
  const stream = openInflate(15);
  const passing = passThrough(stream, withTail(deflated(prose(100_000))), Infinity);
  passing.catch(() => {});
  closeStream(stream);
  closeStream(stream);
  expect(stream.destroyed || stream.closed || stream.writable === false).toBe(true);
});
