// A connection whose reading takes long gives way to others, and goes on where it has stopped.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Connection } from "../../src/protocol/server-protocol.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import type { Inflater } from "../../src/protocol/permessage-deflate.ts";
import { codec } from "../../src/platform.ts";
import { binary, close, continuation, frame, opcodes, ping, pong, text } from "../support/frames.ts";
import { chunkOf, cutAt, defaultLimits, failed, record, RecordingSink, run } from "../support/protocol.ts";

const texts = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => text(`${i}`));
const linesOf = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `text ${from + i}`);

/** The most frames that are read before the clock is asked again. */
const FRAMES_PER_LOOK = 32;

describe("a connection whose time is up", () => {
  test("stops within a few frames, in the middle of a chunk, and goes on with the next one", () => {
    const { connection, sink, lines } = record();
    sink.isTimeUp = () => true;
    connection.receive(chunkOf(...texts(100)));
    expect(connection.isBusy).toBe(true);
    let read = lines.length - 1;
    expect(read).toBeLessThanOrEqual(FRAMES_PER_LOOK);
    expect(lines).toEqual([...linesOf(0, read), "busy"]);
    while (connection.isBusy) {
      sink.goOn();
      const now = lines.filter((line) => line.startsWith("text")).length;
      expect(now - read).toBeLessThanOrEqual(FRAMES_PER_LOOK);
      read = now;
    }
    expect(lines.filter((line) => line.startsWith("text"))).toEqual(linesOf(0, 100));
    expect(lines.at(-1)).toBe("free");
  });

  test("is asked for as long as its time is not up, and never held", () => {
    const { connection, sink, lines } = record();
    let asked = 0;
    sink.isTimeUp = () => (asked++, false);
    connection.receive(chunkOf(...texts(100)));
    expect(lines).toEqual(linesOf(0, 100));
    expect(asked).toBe(Math.floor(100 / FRAMES_PER_LOOK));
  });

  test("counts frames over all chunks, so that it is also asked where each brings one", () => {
    const { connection, sink } = record();
    let asked = 0;
    sink.isTimeUp = () => (asked++, false);
    for (const each of texts(10 * FRAMES_PER_LOOK + 1)) connection.receive(each);
    expect(asked).toBe(10);
  });

  test.each<[string, Uint8Array]>([
    ["Pings", ping()],
    ["Pongs", pong("p")],
    ["empty fragments", frame(opcodes.continuation, "", { fin: false })],
    ["empty messages", binary()],
  ])("stops within a few frames also for %s", (_name, each) => {
    const { connection, sink } = record();
    connection.receive(text("begun", { fin: each[0] !== 0 }));
    let asked = 0;
    sink.isTimeUp = () => (asked++, true);
    connection.receive(Buffer.alloc(1000 * each.length, each));
    expect([asked, connection.isBusy]).toEqual([1, true]);
    for (; connection.isBusy; sink.goOn()) asked++;
    expect(asked).toBeGreaterThanOrEqual(1000 / FRAMES_PER_LOOK);
    expect(connection.state).toBe("open");
  });

  test("hands nothing out, and answers nothing, until others have had their turn", () => {
    const { connection, sink, lines } = record();
    sink.isTimeUp = () => true;
    connection.receive(chunkOf(...texts(40), ping("p"), text("last").subarray(0, 7)));
    const said = [...lines];
    connection.receive(chunkOf(text("last").subarray(7), text("behind")));
    expect(lines).toEqual(said);
    sink.isTimeUp = () => false;
    sink.goOn();
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

  test("finds a fault, or a Close, behind what it had read", () => {
    for (
      const [bytes, end] of [[Buffer.of(0xff, 0xff), failed(1002)], [close(1000), [
        "> close 1000",
        "finished",
      ]]] as const
    ) {
      const { connection, sink, lines } = record();
      sink.isTimeUp = () => true;
      connection.receive(chunkOf(...texts(40), bytes));
      while (connection.isBusy) sink.goOn();
      expect(lines.filter((line) => line !== "busy" && line !== "free")).toEqual([...linesOf(0, 40), ...end]);
      expect(connection.state).toBe("closed");
    }
  });

  test.each<[string, (connection: Connection) => void]>([
    ["abandoned", (connection) => connection.abandon()],
    ["failed", (connection) => connection.fail(new ProtocolError(1008, "Enough"))],
  ])("says nothing more when it is %s meanwhile, and keeps nothing", (_name, end) => {
    const { connection, sink, lines } = record();
    sink.isTimeUp = () => true;
    connection.receive(chunkOf(...texts(100)));
    end(connection);
    const said = [...lines];
    expect([connection.isBusy, connection.hasUnread]).toEqual([false, false]);
    sink.goOn();
    expect(lines).toEqual(said);
  });

  test("may be paused and resumed meanwhile: neither hands anything out", () => {
    const { connection, sink, lines } = record();
    sink.isTimeUp = () => true;
    connection.receive(chunkOf(...texts(40)));
    const said = [...lines];
    connection.pause();
    connection.resume();
    expect(lines).toEqual(said);
    connection.pause();
    sink.goOn();
    expect(lines).toEqual([...said, "free"]);
    expect([connection.isHeld, connection.isBusy]).toEqual([true, false]);
    sink.isTimeUp = () => false;
    connection.resume();
    expect(lines.filter((line) => line.startsWith("text"))).toEqual(linesOf(0, 40));
  });

  test("may have been resumed from a pause: what waited is read in turns too", () => {
    const { connection, sink, lines } = record();
    connection.pause();
    connection.receive(chunkOf(...texts(100)));
    sink.isTimeUp = () => true;
    connection.resume();
    expect(connection.isBusy).toBe(true);
    expect(lines.length).toBeLessThanOrEqual(FRAMES_PER_LOOK + 1);
    while (connection.isBusy) sink.goOn();
    expect(lines.filter((line) => line.startsWith("text"))).toEqual(linesOf(0, 100));
  });
});

describe("an inflated message counts as many", () => {
  const compressed = (payload: string): Uint8Array => text(payload, { rsv: 4 });
  const inflating = (inflater: Inflater): { connection: Connection; sink: RecordingSink } => {
    const sink = new RecordingSink();
    return { sink, connection: new Connection(sink, codec, defaultLimits, inflater) };
  };

  test("at once", () => {
    const { connection, sink } = inflating({ inflate: (payload) => payload, close() {} });
    let asked = 0;
    sink.isTimeUp = () => ++asked === 3;
    connection.receive(chunkOf(...Array.from({ length: 5 }, (_, i) => compressed(`${i}`))));
    expect(sink.lines).toEqual(["text 0", "text 1", "text 2", "busy"]);
    sink.goOn();
    expect(sink.lines.slice(4)).toEqual(["text 3", "text 4", "free"]);
  });

  test("or elsewhere, also where that takes no turn of the event loop: one wait follows the other", async () => {
    const { connection, sink } = inflating({ inflate: (payload) => Promise.resolve(payload), close() {} });
    sink.isTimeUp = () => true;
    connection.receive(chunkOf(...Array.from({ length: 3 }, (_, i) => compressed(`${i}`))));
    for (let i = 0; i < 3; i++) {
      expect(connection.isBusy).toBe(true);
      await Promise.resolve();
      await Promise.resolve();
      expect(sink.messages.length).toBe(i + 1);
      if (i < 2) sink.goOn();
    }
    expect(sink.lines).toEqual(["busy", "text 0", "busy", "busy", "text 1", "busy", "busy", "text 2", "free"]);
  });
});

test("the result never depends on where reading was interrupted", () => {
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
      const { connection, sink, lines } = record();
      sink.isTimeUp = () => times.next().value;
      for (const chunk of cutAt(wire, cuts)) {
        connection.receive(Buffer.from(chunk));
        // Some chunks come while others have their turn.
        while (connection.isBusy && waits.next().value) sink.goOn();
      }
      while (connection.isBusy) sink.goOn();
      expect(lines.filter((line) => line !== "busy" && line !== "free")).toEqual(whole);
    }),
    { numRuns: 300 },
  );
});
