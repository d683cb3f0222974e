// `ServerProtocol` beside an inflater: which messages it inflates, what it makes of the result, and of its errors.

import { describe, expect, test } from "vitest";
import { codec } from "../../src/platform.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import type { MessageLimits } from "../../src/protocol/message.ts";
import { ServerProtocol } from "../../src/protocol/server-protocol.ts";
import { binary, continuation, ping, text } from "../support/frames.ts";
import { chunkOf, defaultLimits, failed, type Recording, RecordingHandler } from "../support/protocol.ts";

type Inflate = (payload: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** RSV1, which marks a compressed message. */
const compressed = { rsv: 4 };
const firstOfMore = { rsv: 4, fin: false };

/** A connection whose inflater puts its own mark in front of each payload. */
function inflating(inflate: Inflate = marked, limits: Partial<MessageLimits> = {}): Recording {
  const handler = new RecordingHandler();
  const inflater = { inflate, close() {} };
  const protocol = new ServerProtocol(handler, codec, { ...defaultLimits, ...limits }, inflater);
  return { protocol, handler, lines: handler.lines };
}

const marked = (payload: Uint8Array): Uint8Array => Buffer.concat([Buffer.from("z"), payload]);
/** The same as a promise, as for a large message. */
const markedLater: Inflate = (payload) => Promise.resolve(marked(payload));

describe.each<[string, Inflate]>([["at once", marked], ["later", markedLater]])("inflated %s", (_name, inflate) => {
  test.each<[string, Uint8Array[], lines: string[]]>([
    ["a text in one frame", [text("é", compressed)], ["text zé"]],
    ["bytes in one frame", [binary("é", compressed)], ["binary 7ac3a9"]],
    ["a text in fragments", [text("a", firstOfMore), continuation("é")], ["text zaé"]],
    ["bytes in fragments", [binary("a", firstOfMore), continuation("b")], ["binary 7a6162"]],
    ["one of three messages", [text("a"), text("b", compressed), text("c")], ["text a", "text zb", "text c"]],
    ["UTF-8 that is cut short", [text(Buffer.of(0xc3), compressed), text("a")], failed(1007)],
  ])("%s", async (_case, frames, lines) => {
    for (const chunks of [frames, [chunkOf(...frames)]]) {
      const { protocol, ...recording } = inflating(inflate);
      for (const chunk of chunks) {
        protocol.receive(Buffer.from(chunk));
        while (protocol.isBusy) await Promise.resolve();
      }
      expect(recording.lines.filter((line) => !["busy", "free"].includes(line))).toEqual(lines);
    }
  });

  test("each message counts as one, for the timer of messages", async () => {
    const { protocol } = inflating(inflate);
    const counts: number[] = [];
    for (const frame of [text("a", compressed), text("b"), binary("c", compressed)]) {
      protocol.receive(Buffer.from(frame));
      while (protocol.isBusy) await Promise.resolve();
      counts.push(protocol.completedUnits);
    }
    expect(counts).toEqual([1, 2, 3]);
  });
});

test.each([[1007, 1007], [1009, 1009]])("a rejection with %i fails the connection", async (code, closeCode) => {
  const { protocol, lines } = inflating(() => Promise.reject(new ProtocolError(code, "broken")));
  protocol.receive(chunkOf(text("a", compressed), text("b")));
  expect(lines).toEqual(["busy"]);
  while (protocol.isBusy) await Promise.resolve();
  expect(lines).toEqual(["busy", ...failed(closeCode), "free"]);
});

test("the chunk is not free while a payload of it is being inflated", () => {
  const wire = Buffer.from(text("a", compressed));
  expect(inflating(markedLater).protocol.receive(Buffer.from(wire))).toBe(false);
  expect(inflating(marked).protocol.receive(Buffer.from(wire))).toBe(true);
});

test("the limit of a message does not apply to control frames", () => {
  const { protocol, lines } = inflating(marked, { maxMessageBytes: 2 });
  protocol.receive(chunkOf(ping("abc"), text("ab"), text("abc")));
  expect(lines).toEqual(["> pong 616263", "ping 616263", "text ab", ...failed(1009)]);
});
