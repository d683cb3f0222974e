// An outbox whose raw socket takes nothing: frames are gathered, in order, and cost as much memory as they are counted
// for.

import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { Opcode } from "../../src/protocol/opcode.ts";
import { withSourceBytes } from "../../src/transport/lent-text.ts";
import { Outbox } from "../../src/transport/outbox.ts";
import { ServerFrameReader } from "../support/frames.ts";
import { StalledSocket } from "../support/stalled-socket.ts";

interface Stalled {
  socket: StalledSocket;
  outbox: Outbox;
  onWritten: ReturnType<typeof vi.fn<() => void>>;
}

function stalled(socket: StalledSocket = new StalledSocket()): Stalled {
  const onWritten = vi.fn<() => void>();
  return { socket, onWritten, outbox: new Outbox(socket, { onWritten }) };
}

function received({ taken }: StalledSocket): string[] {
  return [...new ServerFrameReader().read(Buffer.concat(taken))].map(({ opcode, payload }) => `${opcode} ${payload}`);
}

describe("while nothing is taken", () => {
  test("a message in each turn is not a write in each turn: a write that waits costs more than a small message", async () => {
    const { socket, outbox } = stalled();
    const write = vi.spyOn(socket, "write");
    const texts = Array.from({ length: 20_000 }, (_, i) => `message ${i}`);
    for (const text of texts) {
      outbox.sendText(text);
      outbox.flush();
    }
    // Two small writes at the beginning, then blocks of 64 KiB.
    expect(write.mock.calls.length).toBeLessThan(2 + outbox.bufferedAmount / (64 * 1024));
    await socket.takeAll();
    expect(received(socket)).toEqual(texts.map((text) => `1 ${text}`));
  });

  test("the memory for them is as large as the frames that wait", () => {
    const { socket, outbox } = stalled();
    const allocate = vi.spyOn(Buffer, "allocUnsafeSlow");
    try {
      for (let i = 0; i < 3; i++) {
        outbox.sendText("few");
        outbox.flush();
      }
      expect(allocate.mock.calls.every(([byteLength]) => byteLength <= 512)).toBe(true);
    } finally {
      allocate.mockRestore();
    }
    expect(socket.takenBytes).toBe(0);
    expect(outbox.bufferedAmount).toBe(15);
  });

  test("isStalled is true, and false again when all is taken", async () => {
    const { socket, outbox } = stalled();
    expect(outbox.isStalled).toBe(false);
    outbox.sendText("one");
    expect(outbox.isStalled).toBe(false);
    outbox.flush();
    expect(outbox.isStalled).toBe(true);
    outbox.sendText("two");
    outbox.flush();
    await socket.takeAll();
    expect(outbox.isStalled).toBe(false);
    expect(outbox.bufferedAmount).toBe(0);
  });

  test("gathered frames go to the raw socket before its end", async () => {
    const { socket, outbox } = stalled();
    for (const text of ["one", "two", "three"]) {
      outbox.sendText(text);
      outbox.flush();
    }
    outbox.sendBytes(Opcode.CLOSE, new Uint8Array(0));
    outbox.writeAll();
    socket.end();
    await socket.takeAll();
    expect(received(socket)).toEqual(["1 one", "1 two", "1 three", "8 "]);
  });

  test("gathered frames are discarded with the rest", async () => {
    const { socket, outbox, onWritten } = stalled();
    for (const text of ["on its way", "gathered"]) {
      outbox.sendText(text);
      outbox.flush();
    }
    outbox.sendText("gathered");
    outbox.flush();
    outbox.sendText("waiting");
    outbox.notifyDrain();
    outbox.discard();
    expect(outbox.bufferedAmount).toBe(socket.writableLength);
    await socket.takeAll();
    expect(received(socket)).not.toContain("1 waiting");
    expect(onWritten).not.toHaveBeenCalled();
  });

  test("nothing is written to a socket that is destroyed while frames are gathered", async () => {
    const { socket, outbox, onWritten } = stalled();
    socket.on("error", () => {});
    const write = vi.spyOn(socket, "write");
    for (let i = 0; i < 5; i++) {
      outbox.sendText(`${i}`);
      outbox.flush();
    }
    outbox.notifyDrain();
    const writes = write.mock.calls.length;
    socket.destroy();
    outbox.sendText("late");
    outbox.writeAll();
    await nextTurn();
    expect(write).toHaveBeenCalledTimes(writes);
    expect(onWritten).not.toHaveBeenCalled();
  });

  test("a frame that is awaited calls back once it is taken, and not before", async () => {
    const { socket, outbox } = stalled();
    const onTaken = vi.fn();
    outbox.sendText("before");
    outbox.flush();
    outbox.sendText("gathered");
    outbox.flush();
    outbox.sendAwaited(Opcode.PONG, Buffer.from("pong"), onTaken);
    outbox.sendText("behind");
    await nextTurn();
    expect(onTaken).not.toHaveBeenCalled();
    await socket.takeAll();
    expect(onTaken).toHaveBeenCalledOnce();
    expect(received(socket)).toEqual(["1 before", "1 gathered", "10 pong", "1 behind"]);
  });
});

describe("any frames, taken in any portions", () => {
  const texts = ["", "short", "ünïcödé", "x".repeat(500), "€".repeat(3_000), "l".repeat(20_000), "é".repeat(40_000)];
  const arrays = [0, 1, 125, 3_000, 16_384, 70_000].map((length) => Buffer.alloc(length, `${length}`));
  const kinds = ["text", "text", "text", "text", "bytes", "bytes", "lent", "awaited", "many", "flush"] as const;
  const step = fc.record({
    kind: fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...kinds) },
      { weight: 2, arbitrary: fc.constantFrom("turn", "turn", "take", "open", "drain") },
    ),
    which: fc.nat(texts.length - 1),
  });

  test.each<[string, object]>([
    ["TCP", {}],
    // This field tells TLS sockets from others.
    ["TLS", { encrypted: true }],
  ])("leave whole and in order, are counted to the byte, and are announced at zero: %s", async (_name, marks) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 150 }), async (steps) => {
        const { socket, outbox, onWritten } = stalled(Object.assign(new StalledSocket(), marks));
        // The other outbox uses the same slab, and its frames are taken at once.
        const other = stalled();
        other.socket.takeNow(false);
        const amounts: number[] = [];
        onWritten.mockImplementation(() => void amounts.push(outbox.bufferedAmount));
        const expected: string[] = [];
        let sentBytes = 0;
        let awaited = 0;
        let isTold = 0;
        let isDrainDue = false;
        const note = (opcode: Opcode, payload: string | Buffer): void => {
          expected.push(`${opcode} ${payload}`);
          const { length } = Buffer.from(payload);
          sentBytes += length + (length < 126 ? 2 : length < 65_536 ? 4 : 10);
        };
        for (const { kind, which } of steps) {
          const text = texts[which];
          const bytes = arrays[which % arrays.length];
          other.outbox.sendText(`to the other ${which}`);
          if (kind === "turn") await nextTurn();
          else if (kind === "take") socket.takeNow(true);
          else if (kind === "open") socket.takeNow(false);
          else if (kind === "flush") outbox.flush();
          else if (kind === "drain") {
            isDrainDue = true;
            outbox.notifyDrain();
          } else if (kind === "text") {
            outbox.sendText(text);
            note(Opcode.TEXT, text);
          } else if (kind === "bytes") {
            outbox.sendBytes(Opcode.BINARY, bytes);
            note(Opcode.BINARY, bytes);
          } else if (kind === "lent") {
            withSourceBytes(text, Buffer.from(text), () => outbox.sendText(text));
            note(Opcode.TEXT, text);
          } else if (kind === "awaited") {
            awaited++;
            outbox.sendAwaited(Opcode.PONG, arrays[which % 3], () => isTold++);
            note(Opcode.PONG, arrays[which % 3]);
          } else {
            for (let i = 0; i < 300; i++) {
              outbox.sendText(`${i} of many`);
              note(Opcode.TEXT, `${i} of many`);
              if (i % 10 === 0) outbox.flush();
            }
          }
          expect(outbox.bufferedAmount).toBe(sentBytes - socket.takenBytes);
        }
        await socket.takeAll();
        expect(received(socket)).toEqual(expected);
        expect([outbox.bufferedAmount, outbox.writtenBytes]).toEqual([0, sentBytes]);
        expect(isTold).toBe(awaited);
        expect(new Set(amounts)).toEqual(new Set(isDrainDue ? [0] : []));
      }),
      { numRuns: 150 },
    );
  });
});
