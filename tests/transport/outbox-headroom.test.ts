// Large payloads that were received have room in front of them for the header of the frame in which they are sent on.

import { describe, expect, test, vi } from "vitest";
import { codec } from "../../src/platform.ts";
import { hasHeadroom, HEADROOM_FROM_BYTES, HEADROOM_TO_BYTES } from "../../src/protocol/headroom.ts";
import { Opcode } from "../../src/protocol/opcode.ts";
import { binary } from "../support/frames.ts";
import { end, ends, nextMessages } from "../support/outbox.ts";
import { chunkOf, record } from "../support/protocol.ts";

/** The messages that a connection hands out of chunks of these sizes. The last chunk is the rest. */
function received(chunk: Buffer, ...sizes: number[]): Buffer[] {
  const { protocol, handler } = record({ maxMessageBytes: 2 ** 24 });
  let at = 0;
  for (const size of [...sizes, Infinity]) {
    protocol.receive(Buffer.from(chunk.subarray(at, at + size)));
    at += size;
  }
  return handler.messages as Buffer[];
}

const letters = ["a", "b", "c"];

describe.each([HEADROOM_FROM_BYTES - 1, HEADROOM_FROM_BYTES, 65_535, 65_536, HEADROOM_TO_BYTES, HEADROOM_TO_BYTES + 1])(
  "messages of %i bytes",
  (size) => {
    const sent = letters.map((letter) => Buffer.alloc(size, letter));
    const frames = chunkOf(...sent.map((payload) => binary(payload)));

    test.each<[string, number[]]>([
      ["in one chunk", []],
      ["in two", [size + 1000]],
      ["of which each has its end in another chunk", [size + 10, size + 10]],
      ["the first of which is cut behind its header", [14]],
    ])("%s go back as they came", async (_name, sizes) => {
      const { outbox, client } = await end();
      const messages = received(frames, ...sizes);
      for (const message of messages) outbox.sendBytes(Opcode.BINARY, message);
      outbox.flush();
      expect(messages.map((message, i) => message.equals(sent[i]))).toEqual([true, true, true]);
      const replies = await nextMessages(client, 3) as Buffer[];
      expect(replies.map((reply, i) => reply.equals(sent[i]))).toEqual([true, true, true]);
    });
  },
);

test.each([
  ["with a header", HEADROOM_FROM_BYTES],
  ["with a long header", 100_000],
  ["above the size of kept memory", 2_000_000],
])("one write %s", async (_name, size) => {
  const { raw, outbox, client } = await end();
  const write = vi.spyOn(raw, "write");
  const [message] = received(chunkOf(binary(Buffer.alloc(size, "x"))), 5000);
  outbox.sendBytes(Opcode.BINARY, message);
  outbox.flush();
  expect(write).toHaveBeenCalledTimes(1);
  expect((await client.nextMessage()).length).toBe(size);
});

test("frames that wait go out before, and later ones behind", async () => {
  const { outbox, client } = await end();
  const [message] = received(chunkOf(binary(Buffer.alloc(20_000, "x"))));
  outbox.sendText("before");
  outbox.sendBytes(Opcode.BINARY, message);
  outbox.sendText("behind");
  expect(await nextMessages(client, 3)).toEqual(["before", Buffer.alloc(20_000, "x"), "behind"]);
});

test("one message goes to many sockets, whose peers have not read it yet", async () => {
  const all = await ends(5);
  const [message] = received(chunkOf(binary(Buffer.alloc(200_000, "x"))), 70_000);
  for (let turn = 0; turn < 20; turn++) for (const { outbox } of all) outbox.sendBytes(Opcode.BINARY, message);
  for (const { client } of all) {
    const replies = await nextMessages(client, 20) as Buffer[];
    expect(replies.every((reply) => reply.equals(Buffer.alloc(200_000, "x")))).toBe(true);
  }
});

test("a part of a message does not overwrite what is in front of it", async () => {
  const { outbox, client } = await end();
  const [message] = received(chunkOf(binary(Buffer.alloc(50_000, "x"))));
  outbox.sendBytes(Opcode.BINARY, message.subarray(100));
  outbox.sendBytes(Opcode.BINARY, message.subarray(0, 30_000));
  expect((await nextMessages(client, 2)).map(({ length }) => length)).toEqual([49_900, 30_000]);
  expect(message.equals(Buffer.alloc(50_000, "x"))).toBe(true);
});

test("only memory for texts of a middle size is noted, as a whole", () => {
  const [message] = received(chunkOf(binary(Buffer.alloc(50_000, "x"))));
  expect(hasHeadroom(message)).toBe(false);
  const payload = codec.allocateForText(50_000);
  expect(hasHeadroom(payload)).toBe(true);
  expect(hasHeadroom(payload.subarray(1))).toBe(false);
  expect(hasHeadroom(codec.allocate(50_000))).toBe(false);
  expect(hasHeadroom(codec.allocateForText(HEADROOM_FROM_BYTES - 1))).toBe(false);
  expect(hasHeadroom(codec.allocateForText(HEADROOM_FROM_BYTES))).toBe(true);
});
