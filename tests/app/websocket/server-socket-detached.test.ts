// The memory of bytes that a socket has handed out or sent may be taken away at any time, and filled anew.

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { connectPair, until } from "../../support/app.ts";
import { deflatePair, noise } from "../../support/compression.ts";
import { binary, ping, text } from "../../support/frames.ts";
import { nextMessages } from "../../support/outbox.ts";

const OWN = 0x6d;
const FOREIGN = 0x66;
const own = (size: number): Buffer => Buffer.alloc(size, OWN);

/** Gives the memory of a message away, as `postMessage` with a list of transferred objects does. */
function transfer({ buffer }: Uint8Array): number {
  const { port1, port2 } = new MessageChannel();
  try {
    port1.postMessage(buffer, [buffer as ArrayBuffer]);
  } finally {
    port1.close();
    port2.close();
  }
  return buffer.byteLength;
}

/** Takes the memory of a message away in each way that an application has. */
const waysToDetach: [string, (bytes: Uint8Array) => unknown][] = [
  ["postMessage", transfer],
  ["structuredClone", ({ buffer }) => structuredClone(buffer, { transfer: [buffer as ArrayBuffer] })],
  ["transfer", ({ buffer }) => (buffer as ArrayBuffer).transfer()],
  ["transfer to less memory", ({ buffer }) => (buffer as ArrayBuffer).transfer(1)],
];

describe.each(waysToDetach)("the memory of a message may be taken away by %s", (_name, detach) => {
  test.each([10, 100, 3000, 20_000, 60_000, 200_000])("messages of %i bytes around it stay whole", async (size) => {
    const { client, seen, socket } = await connectPair();
    const kept: Buffer[] = [];
    socket.on("message", (data) => {
      if (typeof data === "string") return;
      if (kept.push(Buffer.from(data)) % 2 === 0) detach(data);
    });
    socket.on("ping", detach);
    const frames = Array.from({ length: 8 }, (_, i) => [binary(Buffer.alloc(size, i)), ping("x"), text(`${i}`)]).flat();
    client.send(Buffer.concat(frames));
    await until(() => seen.messages.length === 16);
    expect(kept.map((message, i) => message.equals(Buffer.alloc(size, i)))).toEqual(Array(8).fill(true));
    const undetached = seen.messages.filter((message, i) => typeof message !== "string" && i % 4 === 0) as Buffer[];
    expect(undetached.map(({ length }) => length)).toEqual(Array(4).fill(size));
    expect(seen.closes).toEqual([]);
    socket.send("still open");
    expect(await client.nextMessage()).toBe("still open");
  });

  test("while it waits to be sent: what was sent arrives, and nothing else", async () => {
    const { client, socket } = await connectPair({ maxMessageBytes: 2 ** 24, maxBufferedBytes: 2 ** 26 });
    client.pause();
    const expected: Buffer[] = [];
    const lengths = [8_000_000, 100, 20_000, 100_000, 300_000, 2_000_000];
    for (const [i, length] of lengths.entries()) {
      const bytes = Buffer.from(new ArrayBuffer(length)).fill(i + 1);
      expected.push(Buffer.from(bytes));
      socket.send(bytes);
      // The write of the first message has begun by then, and the others wait behind it.
      if (i === 0) await nextTurn();
      detach(bytes);
    }
    const others = lengths.map((length) => Buffer.alloc(length, FOREIGN));
    client.resume();
    const received = await nextMessages(client, lengths.length) as Buffer[];
    expect(received.map((message, i) => message.equals(expected[i]))).toEqual(Array(lengths.length).fill(true));
    expect(others.every((other) => other[0] === FOREIGN)).toBe(true);
  });

  test.each([true, false])("while it is compressed, with context takeover: %s", async (contextTakeover) => {
    const { client, socket } = await deflatePair({ contextTakeover, threshold: 0 });
    // Noise cannot be compressed, so it is sent as it is after the attempt.
    const messages = [own(300_000), noise(200_000), own(20_000), noise(20_000), own(100)];
    for (const message of messages) {
      const bytes = Buffer.from(new ArrayBuffer(message.length));
      bytes.set(message);
      socket.send(bytes);
      detach(bytes);
    }
    for (const message of messages) {
      expect(Buffer.compare((await client.next()).data as Buffer, message)).toBe(0);
    }
  });
});

test("bytes of any size may be filled anew as soon as they are sent", async () => {
  const { client, socket } = await connectPair({ maxBufferedBytes: 2 ** 26 });
  for (const size of [100, 20_000, 100_000, 2_000_000]) {
    const bytes = own(size);
    for (const value of [1, 2, 2, 3]) socket.send(bytes.fill(value));
    bytes.fill(FOREIGN);
    for (const value of [1, 2, 2, 3]) {
      expect((await client.nextMessage() as Buffer).equals(Buffer.alloc(size, value))).toBe(true);
    }
  }
});
