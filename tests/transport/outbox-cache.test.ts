// An outbox remembers the last frames, so that a message to many sockets is encoded once. A frame must never stand for
// another message.

import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { Opcode } from "../../src/protocol/opcode.ts";
import { says, transcript } from "../support/conformance.ts";
import { ends } from "../support/outbox.ts";
import type { RawClient } from "../support/raw-client.ts";

/** The next frames, as lines of text. */
async function next(client: RawClient, count: number): Promise<string[]> {
  const frames = [];
  while (frames.length < count) frames.push(await client.nextFrame());
  return transcript(frames);
}

describe("bytes are sent as they are at the time", () => {
  test("when one array is filled anew between two sends of a turn", async () => {
    const [{ outbox, client }] = await ends(1);
    const bytes = Buffer.from("first");
    outbox.sendBytes(Opcode.BINARY, bytes);
    bytes.write("other");
    outbox.sendBytes(Opcode.BINARY, bytes);
    bytes.write("third");
    expect(await next(client, 2)).toEqual([says.binary("first"), says.binary("other")]);
  });

  test("when one array is filled anew between the sends to two sockets", async () => {
    const [a, b] = await ends(2);
    const bytes = Buffer.from("for a");
    a.outbox.sendBytes(Opcode.BINARY, bytes);
    bytes.write("for b");
    b.outbox.sendBytes(Opcode.BINARY, bytes);
    expect(await next(a.client, 1)).toEqual([says.binary("for a")]);
    expect(await next(b.client, 1)).toEqual([says.binary("for b")]);
  });

  test("when only the last byte changes, at any length of the header", async () => {
    const [{ outbox, client }] = await ends(1);
    for (const length of [1, 125, 126, 16_383]) {
      const bytes = Buffer.alloc(length, "x");
      outbox.sendBytes(Opcode.BINARY, bytes);
      bytes[length - 1] = 0x79;
      outbox.sendBytes(Opcode.BINARY, bytes);
      const before = Buffer.alloc(length, "x");
      expect(await next(client, 2)).toEqual([says.binary(before), says.binary(bytes)]);
    }
  });

  test("when the array has shrunk", async () => {
    const [{ outbox, client }] = await ends(1);
    const memory = new ArrayBuffer(8, { maxByteLength: 16 });
    const bytes = new Uint8Array(memory).fill(7);
    outbox.sendBytes(Opcode.BINARY, bytes);
    memory.resize(3);
    outbox.sendBytes(Opcode.BINARY, bytes);
    expect(await next(client, 2)).toEqual([says.binary(new Uint8Array(8).fill(7)), says.binary(bytes)]);
  });

  test("when the array's memory has been given away", async () => {
    const [{ outbox, client }] = await ends(1);
    const bytes = new Uint8Array(8).fill(7);
    outbox.sendBytes(Opcode.BINARY, bytes);
    structuredClone(bytes, { transfer: [bytes.buffer] });
    expect(bytes.length).toBe(0);
    expect(() => outbox.sendBytes(Opcode.BINARY, bytes)).toThrow(TypeError);
    outbox.sendText("next");
    expect(await next(client, 2)).toEqual([says.binary(new Uint8Array(8).fill(7)), says.text("next")]);
  });
});

describe("one array, several opcodes", () => {
  const bytes = Buffer.from("one array");

  test.each([
    ["a message, then a Ping", Opcode.BINARY, Opcode.PING],
    ["a message, then a Pong", Opcode.BINARY, Opcode.PONG],
    ["a Ping, then a message", Opcode.PING, Opcode.BINARY],
    ["a Ping, then a Pong", Opcode.PING, Opcode.PONG],
  ])("%s", async (_name, first, second) => {
    const [{ outbox, client }] = await ends(1);
    for (const opcode of [first, second, first]) outbox.sendBytes(opcode, bytes);
    const frames = [await client.nextFrame(), await client.nextFrame(), await client.nextFrame()];
    expect(frames.map(({ opcode }) => opcode)).toEqual([first, second, first]);
    expect(frames.map(({ payload }) => payload)).toEqual([bytes, bytes, bytes]);
  });
});

test("a text and the bytes of the same text are two messages", async () => {
  const [{ outbox, client }] = await ends(1);
  for (let i = 0; i < 3; i++) {
    outbox.sendText("same");
    outbox.sendBytes(Opcode.BINARY, Buffer.from("same"));
  }
  const both = [says.text("same"), says.binary("same")];
  expect(await next(client, 6)).toEqual([...both, ...both, ...both]);
});

test("two views of the same memory are two messages", async () => {
  const [{ outbox, client }] = await ends(1);
  const memory = Buffer.from("0123456789");
  const views = [memory.subarray(0, 5), memory.subarray(5), memory.subarray(0, 5), memory];
  for (const view of views) outbox.sendBytes(Opcode.BINARY, view);
  expect(await next(client, 4)).toEqual(views.map((view) => says.binary(view)));
});

test("equal texts that are different strings are the same message", async () => {
  const [{ outbox, client }] = await ends(1);
  const letters = ["s", "a", "m", "e"];
  for (let i = 0; i < 5; i++) outbox.sendText(letters.join(""));
  expect(await next(client, 5)).toEqual(Array(5).fill(says.text("same")));
});

test("a large text to many sockets is encoded once, and again in the next turn", async () => {
  const all = await ends(5);
  const large = "é".repeat(20_000);
  const allocate = vi.spyOn(Buffer, "allocUnsafeSlow");
  try {
    for (const { outbox } of all) outbox.sendText(large);
    expect(allocate).toHaveBeenCalledOnce();
    for (const { client } of all) expect(await next(client, 1)).toEqual([says.text(large)]);
    allocate.mockClear();
    const write = vi.spyOn(Buffer.prototype, "write");
    all[0].outbox.sendText(large);
    expect(write).toHaveBeenCalledOnce();
    write.mockRestore();
    expect(await next(all[0].client, 1)).toEqual([says.text(large)]);
  } finally {
    allocate.mockRestore();
  }
});

describe("any messages to any sockets, interleaved in any order", () => {
  const SOCKETS = 5;
  const texts = ["", "short", "ünïcödé", "x".repeat(125), "x".repeat(126), "€".repeat(42), "y".repeat(5_000)]
    .concat(["z".repeat(16_384), "é".repeat(9_000), "w".repeat(70_000)]);
  /**
   * These are filled anew on the way. Large arrays are not, since their owner must not change them before they are
   * written.
   */
  const arrays = [0, 1, 20, 125, 126, 5_000].map((length) => Buffer.alloc(length, "a"));
  const large = [16_384, 70_000].map((length) => Buffer.alloc(length, "b"));

  const kinds = ["text", "text", "text", "copy", "bytes", "bytes", "bytes", "ping", "fill", "large", "turn"] as const;
  const step = fc.record({
    kind: fc.constantFrom(...kinds),
    to: fc.nat(SOCKETS - 1),
    which: fc.nat(texts.length - 1),
    filledWith: fc.nat(255),
  });

  test("each client gets exactly its messages, in their order", async () => {
    const all = await ends(SOCKETS);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 120 }), async (steps) => {
        const expected: string[][] = all.map(() => []);
        for (const { kind, to, which, filledWith } of steps) {
          const { outbox } = all[to];
          const text = texts[which];
          const bytes = kind === "ping" ? arrays[which % 4] : arrays[which % arrays.length];
          const blob = large[which % large.length];
          if (kind === "turn") await nextTurn();
          else if (kind === "fill") bytes.fill(filledWith);
          else if (kind === "ping") {
            outbox.sendBytes(Opcode.PING, bytes);
            expected[to].push(says.pong(bytes).replace("pong", "ping"));
          } else if (kind === "bytes" || kind === "large") {
            outbox.sendBytes(Opcode.BINARY, kind === "bytes" ? bytes : blob);
            expected[to].push(says.binary(kind === "bytes" ? bytes : blob));
          } else {
            // A copy is an equal string in other memory.
            outbox.sendText(kind === "copy" ? [...text].join("") : text);
            expected[to].push(says.text(text));
          }
        }
        const received: string[][] = [];
        for (const [i, { client }] of all.entries()) received.push(await next(client, expected[i].length));
        expect(received).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });
});
