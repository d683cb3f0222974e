// Short frames have a way of their own through `ServerProtocol`. It gives the same as the way of all other frames.

import { describe, expect, test } from "vitest";
import { binary, continuation, text } from "../support/frames.ts";
import { chunkOf, failed, run } from "../support/protocol.ts";

const noPayload = Buffer.alloc(0);

/** The lines for a frame in one chunk, and for the same frame without its last byte in front of that byte. */
function bothWays(frames: readonly Uint8Array[], limits = {}): string[][] {
  const wire = chunkOf(...frames);
  const cut = wire.length - 1;
  return [run([wire], limits).lines, run([wire.subarray(0, cut), wire.subarray(cut)], limits).lines];
}

describe.each([["alone in its chunk", noPayload], ["behind another frame", text("first")]])("%s", (_name, before) => {
  test.each([0, 1, 2, 3, 4, 5, 31, 63, 64, 65, 124, 125, 126, 127, 200])("a message of %i bytes", (size) => {
    const ascii = "abcdefg".repeat(size / 7 + 1).slice(0, size);
    const wide = `${"é".repeat(size / 2)}${size % 2 === 1 ? "!" : ""}`;
    const bytes = Buffer.from(Array.from({ length: size }, (_, i) => 255 - i));
    const first = before.length > 0 ? ["text first"] : [];
    for (
      const [frame, line] of [
        [text(ascii), `text ${ascii}`],
        [text(wide), `text ${wide}`],
        [binary(bytes), `binary ${bytes.toString("hex")}`],
      ] as const
    ) {
      expect(bothWays([before, frame])).toEqual(Array(2).fill([...first, line]));
    }
  });

  test.each<[string, Uint8Array, number]>([
    ["a text that is not UTF-8", text(Buffer.of(0xc3, 0x28)), 1007],
    ["a text that ends inside a character", text(Buffer.of(0x61, 0xc3)), 1007],
    ["RSV1", text("a", { rsv: 4 }), 1002],
    ["RSV2", text("a", { rsv: 2 }), 1002],
    ["RSV3", binary("a", { rsv: 1 }), 1002],
    ["no mask", binary("abcdef", { maskingKey: false }), 1002],
    ["more bytes than allowed", binary("abcdefghi"), 1009],
    ["a continuation of nothing", continuation("a"), 1002],
    ["a long form of its length", text("a", { lengthBits: 16 }), 1002],
  ])("with a fault: %s", (_case, frame, code) => {
    const lines = bothWays([before, frame], { maxMessageBytes: 8 });
    expect(lines).toEqual(Array(2).fill([...(before.length > 0 ? ["text first"] : []), ...failed(code)]));
  });
});

test("a message inside a fragmented one is a fault, and the last allowed byte is none", () => {
  expect(bothWays([text("a", { fin: false }), text("b")])).toEqual(Array(2).fill(failed(1002)));
  expect(bothWays([text("a", { fin: false }), binary("b")])).toEqual(Array(2).fill(failed(1002)));
  expect(bothWays([binary("abcdefgh")], { maxMessageBytes: 8 })).toEqual(Array(2).fill(["binary 6162636465666768"]));
});
