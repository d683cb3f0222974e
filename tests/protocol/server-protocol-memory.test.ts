// Which memory `ServerProtocol` hands out, keeps, allocates and frees.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codec } from "../../src/platform.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { ServerProtocol } from "../../src/protocol/server-protocol.ts";
import { binary, close, fragmented, opcodes, pieces, ping, text } from "../support/frames.ts";
import { hex } from "../support/hex.ts";
import { chunkOf, defaultLimits, failed, record, type Recording, RecordingHandler } from "../support/protocol.ts";

/** A connection that records the size of each allocation. */
function spied(maxMessageBytes = defaultLimits.maxMessageBytes): Recording & { asked: number[] } {
  const asked: number[] = [];
  const allocate = (byteLength: number): Uint8Array => {
    asked.push(byteLength);
    return codec.allocate(byteLength);
  };
  return { ...record({ maxMessageBytes }, { allocate }), asked };
}

/** A frame in memory that has nothing else. */
function alone(frame: Uint8Array): Buffer {
  return Buffer.from(Uint8Array.from(frame).buffer);
}

describe("memory that is handed out", () => {
  test("is the chunk itself for a binary message that is all of it, so the chunk is not free", () => {
    const { protocol, handler, asked } = spied();
    const chunk = alone(binary("a".repeat(2000)));
    expect(protocol.receive(chunk)).toBe(false);
    const [data] = handler.messages as [Uint8Array];
    expect(data).toEqual(Buffer.alloc(2000, "a"));
    expect(data.buffer).toBe(chunk.buffer);
    expect(asked).toEqual([]);
  });

  test("is other memory for a binary message with others in its chunk, so the chunk is free", () => {
    const { protocol, handler } = record();
    const chunk = chunkOf(text("before"), binary("a".repeat(2000)), text("after"));
    expect(protocol.receive(chunk)).toBe(true);
    const data = handler.messages[1] as Uint8Array;
    expect(data).toEqual(Buffer.alloc(2000, "a"));
    expect(data.buffer).not.toBe(chunk.buffer);
    expect(data.buffer.byteLength).toBe(2000);
  });

  test.each<[string, Uint8Array, boolean]>([
    ["texts", chunkOf(text("a"), text("é".repeat(100))), true],
    ["the start of a message", Buffer.from(binary("a".repeat(100)).subarray(0, 50)), true],
    ["the start of a header", Buffer.from(binary("a").subarray(0, 3)), true],
    ["fragments", chunkOf(...fragmented(opcodes.binary, ["a", "b"])), true],
    ["a binary message and a text", chunkOf(text("a"), binary("b")), true],
    ["a Ping and a text", chunkOf(ping("a"), text("b")), true],
    ...[1, 64, 65, 125].map((size): [string, Uint8Array, boolean] => [
      `a binary message of ${size} bytes`,
      alone(binary("b".repeat(size))),
      size < codec.stayFromBytes,
    ]),
  ])("is free again, or not, with the chunk of %s", (_name, chunk, isFree) => {
    expect(record().protocol.receive(chunk)).toBe(isFree);
  });

  test("is not free while the chunk waits for the end of a pause", () => {
    const { protocol } = record();
    protocol.pause();
    expect(protocol.receive(chunkOf(text("a")))).toBe(false);
    const pausing = record();
    pausing.handler.onHandedOut = () => pausing.protocol.pause();
    expect(pausing.protocol.receive(chunkOf(text("a"), text("b")))).toBe(false);
  });

  test("is not free while the chunk is a piece of a message that has no buffer yet", () => {
    const { protocol, handler, asked } = spied();
    const whole = binary(Buffer.alloc(1 << 20, "abcdefg"));
    const chunks = [whole.subarray(0, 100), ...pieces(whole.subarray(100), 1 << 16)].map(alone);
    const results = chunks.map((chunk) => protocol.receive(chunk));
    expect(results).toEqual([true, false, false, false, ...Array<boolean>(13).fill(true)]);
    expect(handler.messages).toHaveLength(1);
    expect(Buffer.compare(handler.messages[0] as Buffer, Buffer.alloc(1 << 20, "abcdefg"))).toBe(0);
    expect(asked.at(-1)).toBe(1 << 20);
  });

  test("has what was sent, wherever large frames and chunks are cut", () => {
    const message = fc.array(fc.nat(150_000), { minLength: 1, maxLength: 5 });
    const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 90_000 }), fc.constant(1 << 16)), { minLength: 1 });
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 3 }), cuts, fc.nat(), (messages, sizes, seed) => {
        const { protocol, handler } = record();
        let next = seed;
        const sent = messages.map((fragments) =>
          fragments.map((size) => Buffer.from(Uint8Array.from({ length: size }, () => next++ % 251)))
        );
        const bytes = Buffer.concat(sent.flatMap((fragments) => fragmented(opcodes.binary, fragments)));
        for (let at = 0, i = 0; at < bytes.length; at += sizes[i++ % sizes.length]!) {
          const chunk = alone(bytes.subarray(at, at + sizes[i % sizes.length]!));
          // The transport uses the memory of a chunk again once it is free.
          if (protocol.receive(chunk)) chunk.fill(0xdd);
        }
        const expected = sent.map((fragments) => Buffer.concat(fragments));
        expect(handler.messages.map((data, i) => Buffer.compare(data as Buffer, expected[i]!)))
          .toEqual(expected.map(() => 0));
      }),
      { numRuns: 30 },
    );
  });

  test("is not changed by later chunks", () => {
    const { protocol, handler } = record();
    const chunk = chunkOf(binary("first ".repeat(20)), binary("second"));
    protocol.receive(chunk);
    protocol.receive(chunkOf(...fragmented(opcodes.binary, ["third", "fourth"])));
    protocol.receive(chunkOf(...fragmented(opcodes.binary, ["fifth", "sixth"])));
    expect(handler.messages.map(String)).toEqual(["first ".repeat(20), "second", "thirdfourth", "fifthsixth"]);
  });

  test.each<[string, Uint8Array[]]>([
    ["small", [chunkOf(binary("a"), text("b".repeat(100)))]],
    ["empty", [binary("")]],
    ["large", [binary("a".repeat(1000))]],
    ["fragmented", fragmented(opcodes.binary, ["a", "b"])],
    ["fragmented and empty", fragmented(opcodes.binary, ["", ""])],
    ["in two chunks", [Buffer.from(binary("abcdef").subarray(0, 8)), Buffer.from(binary("abcdef").subarray(8))]],
    ["behind a cut header", [Buffer.from(binary("abcdef").subarray(0, 3)), Buffer.from(binary("abcdef").subarray(3))]],
  ])("is a Buffer for binary data: %s", (_name, chunks) => {
    const { protocol, handler } = record();
    for (const chunk of chunks) protocol.receive(chunk);
    expect(handler.messages[0]).toBeInstanceOf(Buffer);
  });
});

describe("memory is freed", () => {
  test.each<[string, Uint8Array[], expected: number[]]>([
    ["of a text", fragmented(opcodes.text, ["a".repeat(5000), "é".repeat(5000)]), [20_000]],
    ["not of a binary message in one frame", [binary(`${"a".repeat(5000)}${"b".repeat(5000)}`)], []],
    ["that a binary message does not fill", fragmented(opcodes.binary, ["a".repeat(5000), "b".repeat(5000)]), [20_000]],
  ])("%s", (_name, chunks, expected) => {
    const freed: number[] = [];
    const free = (bytes: Uint8Array): void => {
      freed.push(bytes.length);
      bytes.fill(0xdd);
    };
    const { protocol, handler } = record({}, { free });
    for (const chunk of chunks) protocol.receive(Buffer.from(chunk));
    expect(String(handler.messages[0])).toMatch(/^a{5000}(é|b){5000}$/);
    expect(freed).toEqual(expected);
  });
});

describe.each([true, false])("a large text whose payload the handler keeps: %s", (isInUse) => {
  const large = "é".repeat(10_000);

  test("comes in a chunk, which is free or not", () => {
    const { protocol, handler } = record();
    handler.keepsPayloads = isInUse;
    expect(protocol.receive(chunkOf(text(large)))).toBe(!isInUse);
    expect(protocol.receive(chunkOf(text("small")))).toBe(true);
    expect(handler.messages).toEqual([large, "small"]);
  });

  test("comes in memory of its own, which is freed or not", () => {
    const freed: number[] = [];
    const { protocol, handler } = record({}, { free: (bytes) => void freed.push(bytes.length) });
    handler.keepsPayloads = isInUse;
    for (const chunk of pieces(text(large), 15_000)) protocol.receive(chunk);
    expect(handler.messages).toEqual([large]);
    expect(freed).toEqual(isInUse ? [] : [20_000]);
  });
});

describe("memory is not allocated", () => {
  test.each<[string, Uint8Array, number]>([
    ["a message above the limit", hex("82ff 0000000040000000 00000000"), 1009],
    ["a fragment above the limit", chunkOf(text("", { fin: false }), hex("80ff 0000000040000000 00000000")), 1009],
    ["a Ping of 126 bytes", hex("89fe 007e 00000000"), 1002],
    ["a frame whose length is beyond all numbers", hex("82ff ffffffffffffffff 00000000"), 1002],
  ])("for %s, which is refused", (_name, chunk, closeCode) => {
    const { protocol, lines, asked } = spied();
    protocol.receive(chunk);
    expect(lines).toEqual(failed(closeCode));
    expect(asked).toEqual([]);
  });

  test("for an announced payload before its first byte comes", () => {
    const { protocol, asked } = spied(2 ** 40);
    protocol.receive(hex("82ff 0000004000000000 00000000"));
    expect(asked).toEqual([]);
    protocol.receive(Buffer.alloc(10));
    expect(asked).toEqual([256]);
  });
});

describe("the inflater, which may have a window of its own, is closed", () => {
  const compressed = text("a", { rsv: 4 });

  test.each<[name: string, end: (protocol: ServerProtocol) => unknown]>([
    ["by the peer's Close", (protocol) => protocol.receive(Buffer.from(close(1000)))],
    ["by a fault of the peer", (protocol) => protocol.receive(Buffer.from(text("a", { rsv: 2 })))],
    ["by a fault that the transport reports", (protocol) => protocol.fail(new ProtocolError(1013, "too slow"))],
    ["when the TCP connection is gone", (protocol) => protocol.terminate()],
    ["when the connection is cut while a message is inflated", (protocol) => {
      protocol.receive(Buffer.from(compressed));
      expect(protocol.isBusy).toBe(true);
      protocol.terminate();
    }],
  ])("%s", (_name, end) => {
    let closed = 0;
    const inflater = { inflate: () => new Promise<Uint8Array>(() => {}), close: () => void closed++ };
    const protocol = new ServerProtocol(new RecordingHandler(), codec, defaultLimits, inflater);
    protocol.receive(Buffer.from(text("plain")));
    expect(closed).toBe(0);
    end(protocol);
    expect([protocol.state, closed]).toEqual(["closed", 1]);
  });
});
