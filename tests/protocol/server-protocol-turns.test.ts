// `ServerProtocol` stops reading when its turn is over, and goes on at the same place after others have had their turn.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codec } from "../../src/platform.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import type { Inflater } from "../../src/protocol/permessage-deflate.ts";
import { ServerProtocol } from "../../src/protocol/server-protocol.ts";
import { binary, close, continuation, frame, opcodes, ping, pong, text } from "../support/frames.ts";
import { chunkOf, cutAt, defaultLimits, failed, record, RecordingHandler, run } from "../support/protocol.ts";

const texts = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => text(`${i}`));
const linesOf = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `text ${from + i}`);

/** The most frames that are read between two calls of `isTurnOver`. */
const FRAMES_PER_CHECK = 32;

describe("a connection whose turn is over", () => {
  test("stops within a few frames, in the middle of a chunk, and goes on with the next one", () => {
    const { protocol, handler, lines } = record();
    handler.isTurnOver = () => true;
    protocol.receive(chunkOf(...texts(100)));
    expect(protocol.isBusy).toBe(true);
    let read = lines.length - 1;
    expect(read).toBeLessThanOrEqual(FRAMES_PER_CHECK);
    expect(lines).toEqual([...linesOf(0, read), "busy"]);
    while (protocol.isBusy) {
      handler.resume();
      const now = lines.filter((line) => line.startsWith("text")).length;
      expect(now - read).toBeLessThanOrEqual(FRAMES_PER_CHECK);
      read = now;
    }
    expect(lines.filter((line) => line.startsWith("text"))).toEqual(linesOf(0, 100));
    expect(lines.at(-1)).toBe("free");
  });

  test("is not stopped as long as isTurnOver is false", () => {
    const { protocol, handler, lines } = record();
    let asked = 0;
    handler.isTurnOver = () => (asked++, false);
    protocol.receive(chunkOf(...texts(100)));
    expect(lines).toEqual(linesOf(0, 100));
    expect(asked).toBe(Math.floor(100 / FRAMES_PER_CHECK));
  });

  test("counts frames over all chunks, so that isTurnOver is also called when each chunk has one frame", () => {
    const { protocol, handler } = record();
    let asked = 0;
    handler.isTurnOver = () => (asked++, false);
    for (const each of texts(10 * FRAMES_PER_CHECK + 1)) protocol.receive(each);
    expect(asked).toBe(10);
  });

  test.each<[string, Uint8Array]>([
    ["Pings", ping()],
    ["Pongs", pong("p")],
    ["empty fragments", frame(opcodes.continuation, "", { fin: false })],
    ["empty messages", binary()],
  ])("stops within a few frames also for %s", (_name, each) => {
    const { protocol, handler } = record();
    protocol.receive(text("begun", { fin: each[0] !== 0 }));
    let asked = 0;
    handler.isTurnOver = () => (asked++, true);
    protocol.receive(Buffer.alloc(1000 * each.length, each));
    expect([asked, protocol.isBusy]).toEqual([1, true]);
    for (; protocol.isBusy; handler.resume()) asked++;
    expect(asked).toBeGreaterThanOrEqual(1000 / FRAMES_PER_CHECK);
    expect(protocol.state).toBe("open");
  });

  test("hands nothing out and sends nothing until others have had their turn", () => {
    const { protocol, handler, lines } = record();
    handler.isTurnOver = () => true;
    protocol.receive(chunkOf(...texts(40), ping("p"), text("last").subarray(0, 7)));
    const said = [...lines];
    protocol.receive(chunkOf(text("last").subarray(7), text("behind")));
    expect(lines).toEqual(said);
    handler.isTurnOver = () => false;
    handler.resume();
    expect(lines).toEqual([
      ...said,
      ...linesOf(said.length - 1, 40),
      "> pong 70",
      "ping 70",
      "text last",
      "text behind",
      "free",
    ]);
  });

  test("finds a fault or a Close behind the frames that it has read", () => {
    for (
      const [bytes, end] of [[Buffer.of(0xff, 0xff), failed(1002)], [close(1000), [
        "> close 1000",
        "finished",
      ]]] as const
    ) {
      const { protocol, handler, lines } = record();
      handler.isTurnOver = () => true;
      protocol.receive(chunkOf(...texts(40), bytes));
      while (protocol.isBusy) handler.resume();
      expect(lines.filter((line) => line !== "busy" && line !== "free")).toEqual([...linesOf(0, 40), ...end]);
      expect(protocol.state).toBe("closed");
    }
  });

  test.each<[string, (protocol: ServerProtocol) => void]>([
    ["terminated", (protocol) => protocol.terminate()],
    ["failed", (protocol) => protocol.fail(new ProtocolError(1008, "Enough"))],
  ])("calls nothing more when it is %s meanwhile, and keeps no bytes", (_name, end) => {
    const { protocol, handler, lines } = record();
    handler.isTurnOver = () => true;
    protocol.receive(chunkOf(...texts(100)));
    end(protocol);
    const said = [...lines];
    expect([protocol.isBusy, protocol.hasUnread]).toEqual([false, false]);
    handler.resume();
    expect(lines).toEqual(said);
  });

  test("may be paused and resumed meanwhile, and neither call hands anything out", () => {
    const { protocol, handler, lines } = record();
    handler.isTurnOver = () => true;
    protocol.receive(chunkOf(...texts(40)));
    const said = [...lines];
    protocol.pause();
    protocol.resume();
    expect(lines).toEqual(said);
    protocol.pause();
    handler.resume();
    expect(lines).toEqual([...said, "free"]);
    expect([protocol.isSuspended, protocol.isBusy]).toEqual([true, false]);
    handler.isTurnOver = () => false;
    protocol.resume();
    expect(lines.filter((line) => line.startsWith("text"))).toEqual(linesOf(0, 40));
  });

  test("may have been resumed from a pause, and the bytes that waited are read in turns too", () => {
    const { protocol, handler, lines } = record();
    protocol.pause();
    protocol.receive(chunkOf(...texts(100)));
    handler.isTurnOver = () => true;
    protocol.resume();
    expect(protocol.isBusy).toBe(true);
    expect(lines.length).toBeLessThanOrEqual(FRAMES_PER_CHECK + 1);
    while (protocol.isBusy) handler.resume();
    expect(lines.filter((line) => line.startsWith("text"))).toEqual(linesOf(0, 100));
  });
});

describe("a decompressed message counts as many frames", () => {
  const compressed = (payload: string): Uint8Array => text(payload, { rsv: 4 });
  const inflating = (inflater: Inflater): { protocol: ServerProtocol; handler: RecordingHandler } => {
    const handler = new RecordingHandler();
    return { handler, protocol: new ServerProtocol(handler, codec, defaultLimits, inflater) };
  };

  test("when it is decompressed synchronously", () => {
    const { protocol, handler } = inflating({ inflate: (payload) => payload, close() {} });
    let asked = 0;
    handler.isTurnOver = () => ++asked === 3;
    protocol.receive(chunkOf(...Array.from({ length: 5 }, (_, i) => compressed(`${i}`))));
    expect(handler.lines).toEqual(["text 0", "text 1", "text 2", "busy"]);
    handler.resume();
    expect(handler.lines.slice(4)).toEqual(["text 3", "text 4", "free"]);
  });

  test("when it is decompressed asynchronously, so that one wait directly follows another", async () => {
    const { protocol, handler } = inflating({ inflate: (payload) => Promise.resolve(payload), close() {} });
    handler.isTurnOver = () => true;
    protocol.receive(chunkOf(...Array.from({ length: 3 }, (_, i) => compressed(`${i}`))));
    for (let i = 0; i < 3; i++) {
      expect(protocol.isBusy).toBe(true);
      await Promise.resolve();
      await Promise.resolve();
      expect(handler.messages.length).toBe(i + 1);
      if (i < 2) handler.resume();
    }
    expect(handler.lines).toEqual(["busy", "text 0", "busy", "busy", "text 1", "busy", "busy", "text 2", "free"]);
  });
});

test("the result does not depend on the places where reading was interrupted", () => {
  const wire = chunkOf(
    ...texts(40),
    text("a", { fin: false }),
    ping("p"),
    continuation("b", { fin: false }),
    ...Array.from({ length: 40 }, () => continuation("", { fin: false })),
    continuation("c"),
    ...Array.from({ length: 40 }, (_, i) => pong(`${i}`)),
    binary(Buffer.alloc(300, "d")),
    ...texts(40),
    close(1000, "end"),
  );
  const whole = run([wire]).lines;
  expect(whole.at(-1)).toBe("finished");
  const positions = fc.array(fc.nat(wire.length), { maxLength: 20 });
  fc.assert(
    fc.property(positions, fc.infiniteStream(fc.boolean()), fc.infiniteStream(fc.boolean()), (cuts, times, waits) => {
      const { protocol, handler, lines } = record();
      handler.isTurnOver = () => times.next().value;
      for (const chunk of cutAt(wire, cuts)) {
        protocol.receive(Buffer.from(chunk));
        // Some chunks come while others have their turn.
        while (protocol.isBusy && waits.next().value) handler.resume();
      }
      while (protocol.isBusy) handler.resume();
      expect(lines.filter((line) => line !== "busy" && line !== "free")).toEqual(whole);
    }),
    { numRuns: 300 },
  );
});
