import { inflateRawSync } from "node:zlib";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ContextDeflater, keepable, MessageDeflater } from "../../../src/transport/deflate/deflater.ts";
import { Deadlines } from "../../../src/transport/timers/deadlines.ts";
import { prose } from "../../support/compression.ts";
import { inflated } from "../../support/deflate.ts";
import { Random } from "../../support/random.ts";

// What has come is read before an item falls due. Here nothing comes, so that everything is due at its moment.
vi.mock(
  import("../../../src/platform.ts"),
  async (original) => ({ ...await original(), afterReading: (task) => task() }),
);

const KiB = 1024;
/** The end of a flush, which a message leaves out (RFC 7692 §7.2.1). */
const TAIL = Buffer.of(0x00, 0x00, 0xff, 0xff);
const EFFORT = { level: 3, memLevel: 8, windowBits: 15 };
const noise = new Random(1951).bytes(5_000);

describe("MessageDeflater", () => {
  test.each([["short", 100], ["of one KiB", KiB], ["of one window", 32 * KiB], ["on zlib's threads", 200 * KiB]])(
    "compresses texts and bytes by themselves: %s",
    async (_name, size) => {
      for (const level of [1, 3, 6, 9]) {
        const deflater = new MessageDeflater({ ...EFFORT, level });
        const message = prose(size);
        for (const data of [message, Buffer.from(message), message]) {
          const payload = (await deflater.deflate(data))!;
          expect(payload.length).toBeLessThan(size);
          expect(inflated(payload).toString() === message).toBe(true);
        }
      }
    },
  );

  test.each([9, 10, 12, 15])("refers to no more than the agreed window of 2^%i bytes", async (windowBits) => {
    const deflater = new MessageDeflater({ ...EFFORT, windowBits });
    for (const size of [300, 3_000, 40 * KiB]) {
      const message = prose(size);
      expect(inflated((await deflater.deflate(message))!, windowBits).toString()).toBe(message);
    }
  });

  test("gives undefined for a message that does not shrink", async () => {
    const deflater = new MessageDeflater(EFFORT);
    expect(await deflater.deflate("")).toBeUndefined();
    expect(await deflater.deflate("abc")).toBeUndefined();
    expect(await deflater.deflate(noise)).toBeUndefined();
    expect(await deflater.deflate(new Random(7692).bytes(150 * KiB))).toBeUndefined();
  });

  test("gives the same result for the same message, and another when an array has been filled anew", () => {
    const deflater = new MessageDeflater(EFFORT);
    const bytes = Buffer.from(prose(2_000));
    const first = deflater.deflate(bytes) as Uint8Array;
    expect(deflater.deflate(bytes)).toBe(first);
    bytes.fill("a", 0, 100);
    const second = deflater.deflate(bytes) as Uint8Array;
    expect(second).not.toBe(first);
    expect(inflated(second).equals(bytes)).toBe(true);
  });

  test("compresses a large message once while zlib's threads are at work, and forgets it afterwards", async () => {
    const deflater = new MessageDeflater(EFFORT);
    const message = prose(200 * KiB);
    const first = deflater.deflate(message);
    expect(deflater.deflate(message)).toBe(first);
    await first;
    expect(deflater.deflate(message)).not.toBe(first);
  });
});

describe("ContextDeflater", () => {
  function make(idleMs = 60_000): ContextDeflater {
    const idle = new Deadlines<ContextDeflater>(idleMs, (deflater) => deflater.close());
    const deflater = new ContextDeflater(EFFORT, idle);
    onTestFinished(() => {
      deflater.close();
      idle.clear();
    });
    return deflater;
  }

  test("refers to the messages before, so that the same message is far smaller the second time", async () => {
    const deflater = make();
    const message = prose(3_000);
    const [first, second] = [await deflater.deflate(message), await deflater.deflate(message)];
    expect(second!.length).toBeLessThan(first!.length / 10);
    const both = inflateRawSync(Buffer.concat([first!, TAIL, second!, TAIL, Buffer.of(0x03, 0x00)]));
    expect(both.toString()).toBe(message + message);
  });

  test("sends a message that does not shrink all the same, since later ones may refer to it", async () => {
    const payload = await make().deflate(noise);
    expect(payload!.length).toBeGreaterThan(noise.length);
    expect(inflated(payload!).equals(noise)).toBe(true);
  });

  test("leaves an empty message as it is", () => {
    const deflater = make();
    expect(deflater.deflate("")).toBeUndefined();
    expect(deflater.deflate(new Uint8Array(0))).toBeUndefined();
  });

  test("refers to nothing before it once its window has been freed, by close or after the idle time", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const deflater = make(1_000);
    const message = prose(3_000);
    const first = await deflater.deflate(message);
    deflater.close();
    expect(Buffer.compare((await deflater.deflate(message))!, first!)).toBe(0);
    vi.advanceTimersByTime(1_100);
    expect(Buffer.compare((await deflater.deflate(message))!, first!)).toBe(0);
    expect((await deflater.deflate(message))!.length).toBeLessThan(first!.length / 10);
  });
});

test.each([100, 16 * KiB, 200 * KiB])("keepable copies arrays, of any size: %i bytes", (size) => {
  expect(keepable("text")).toBe("text");
  const bytes = Buffer.alloc(size, "a");
  const kept = keepable(bytes);
  bytes.fill("b");
  expect(Buffer.compare(kept as Buffer, Buffer.alloc(size, "a"))).toBe(0);
});

test("many connections without takeover keep one copy of a large array that is sent to all of them", async () => {
  const deflater = new MessageDeflater(EFFORT);
  const bytes = new Random(12).bytes(200 * KiB);
  const expected = Buffer.from(bytes);
  const results = [deflater.deflate(bytes), deflater.deflate(bytes)];
  const kept = [deflater.keep(bytes), deflater.keep(bytes)];
  bytes.fill(0);
  expect(kept[0]).toBe(kept[1]);
  expect(Buffer.compare(kept[0] as Buffer, expected)).toBe(0);
  expect(await Promise.all(results)).toEqual([undefined, undefined]);
});
