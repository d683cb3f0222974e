// The steps of Outbox with raw sockets that take their bytes when the test says so.

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { RSV1 } from "../../src/protocol/frame-header.ts";
import { Opcode } from "../../src/protocol/opcode.ts";
import { LARGE_FROM_BYTES, Outbox } from "../../src/transport/outbox.ts";
import { frame as clientFrame } from "../support/frames.ts";
import { StalledSocket } from "../support/stalled-socket.ts";

interface Slow {
  readonly raw: StalledSocket;
  readonly outbox: Outbox;
  /** How often `onWritten` was called. */
  drains: number;
  /** Everything that the raw socket has taken. */
  taken(): Buffer;
}

function slow(): Slow {
  const raw = new StalledSocket();
  raw.on("error", () => {});
  onTestFinished(() => void raw.destroy());
  const outbox = new Outbox(raw, { onWritten: () => void one.drains++ });
  const one: Slow = { raw, outbox, drains: 0, taken: () => Buffer.concat(raw.taken) };
  return one;
}

/** A server's frame, which is not masked. */
const frame = (opcode: number, payload: string | Uint8Array): Buffer =>
  clientFrame(opcode, payload, { maskingKey: false });

const text = (payload: string): Buffer => frame(Opcode.TEXT, payload);

describe("memory that a socket still reads is not used again", () => {
  test("when another socket has read its own part of it", async () => {
    const [quick, late] = [slow(), slow()];
    quick.outbox.sendText("quick");
    quick.outbox.flush();
    late.outbox.sendText("late");
    late.outbox.flush();
    quick.raw.takeNow(false);
    await nextTurn();
    quick.outbox.sendText("overwritten?");
    await nextTurn();
    await late.raw.takeAll();
    expect([late.taken(), quick.taken()]).toEqual([
      text("late"),
      Buffer.concat([text("quick"), text("overwritten?")]),
    ]);
  });

  test("for the next large message, when another socket has read the last one", async () => {
    const [quick, late] = [slow(), slow()];
    const [first, second] = ["a", "b"].map((letter) => Buffer.alloc(LARGE_FROM_BYTES, letter));
    for (const { outbox } of [quick, late]) outbox.sendBytes(Opcode.BINARY, first);
    await nextTurn();
    quick.raw.takeNow(false);
    quick.outbox.sendBytes(Opcode.BINARY, second);
    await late.raw.takeAll();
    expect(late.taken().equals(frame(Opcode.BINARY, first))).toBe(true);
    const expected = Buffer.concat([frame(Opcode.BINARY, first), frame(Opcode.BINARY, second)]);
    expect(quick.taken().equals(expected)).toBe(true);
  });
});

describe("what one turn sends to two sockets", () => {
  test("is written to each of them as far as it is for that one", async () => {
    const both = [slow(), slow()];
    for (const { outbox } of both) outbox.sendText("for both");
    both[1].outbox.sendText("for one");
    await nextTurn();
    for (const { raw } of both) await raw.takeAll();
    expect(both.map((each) => each.taken())).toEqual([
      text("for both"),
      Buffer.concat([text("for both"), text("for one")]),
    ]);
  });

  test.each([10, 200, LARGE_FROM_BYTES])("is a copy of %i bytes, which are filled anew meanwhile", async (size) => {
    const both = [slow(), slow()];
    const bytes = Buffer.alloc(size);
    for (const [i, { outbox }] of both.entries()) outbox.sendBytes(Opcode.BINARY, bytes.fill(`${i}`));
    for (const { raw } of both) await raw.takeAll();
    const expected = both.map((_, i) => frame(Opcode.BINARY, Buffer.alloc(size, `${i}`)));
    expect(both.map((each, i) => each.taken().equals(expected[i]))).toEqual([true, true]);
  });

  test.each([10, LARGE_FROM_BYTES])("has the opcode of each, for the same %i bytes", async (size) => {
    const both = [slow(), slow()];
    const bytes = Buffer.alloc(size, "x");
    const opcodes = [Opcode.BINARY, Opcode.TEXT | RSV1];
    for (const [i, { outbox }] of both.entries()) outbox.sendBytes(opcodes[i], bytes);
    for (const { raw } of both) await raw.takeAll();
    expect(both.map((each) => each.taken()[0])).toEqual([0x82, 0xc1]);
  });
});

test("a frame that does not fit behind those that wait is whole, however little room is left", async () => {
  const slabBytes = 64 * 1024;
  const filler = Buffer.alloc(15_996, "f"); // 16,000 bytes with the header
  for (let room = 0; room <= 240; room += 3) {
    for (const last of ["é".repeat(100), Buffer.alloc(200, "x")]) {
      const one = slow();
      one.raw.takeNow(false);
      const expected: Buffer[] = [];
      const send = (data: string | Buffer): void => {
        if (typeof data === "string") one.outbox.sendText(data);
        else one.outbox.sendBytes(Opcode.BINARY, data);
        expected.push(frame(typeof data === "string" ? Opcode.TEXT : Opcode.BINARY, data));
      };
      for (let i = 0; i < 4; i++) send(filler.subarray(i));
      // The fillers take 63,994 bytes.
      send(Buffer.alloc(slabBytes - 63_994 - 4 - room, "r"));
      send(last);
      await nextTurn();
      expect(one.taken().equals(Buffer.concat(expected)), `${room} bytes of room`).toBe(true);
    }
  }
});

describe("onWritten", () => {
  test("comes for bytes that were written before it was asked for, once", async () => {
    const one = slow();
    one.outbox.sendText("a");
    one.outbox.flush();
    one.outbox.notifyDrain();
    one.outbox.notifyDrain();
    await nextTurn();
    expect(one.drains).toBe(0);
    await one.raw.takeAll();
    expect(one.drains).toBe(1);
  });

  test("comes for bytes that wait for the end of the turn", async () => {
    const one = slow();
    one.outbox.sendText("a");
    one.outbox.notifyDrain();
    await one.raw.takeAll();
    expect([one.drains, one.outbox.bufferedAmount]).toEqual([1, 0]);
  });

  test("comes behind the end of the raw socket", async () => {
    const one = slow();
    one.outbox.sendText("a");
    one.outbox.writeAll();
    one.raw.end();
    one.outbox.notifyDrain();
    await one.raw.takeAll();
    expect(one.drains).toBe(1);
  });

  test("does not come when the raw socket fails, and what was gathered is not written", async () => {
    const one = slow();
    for (const message of ["a", "b", "c"]) {
      one.outbox.sendText(message);
      one.outbox.flush();
    }
    one.outbox.notifyDrain();
    one.raw.destroy(new Error("reset"));
    await one.raw.takeAll();
    one.outbox.notifyDrain();
    await nextTurn();
    expect(one.drains).toBe(0);
    expect(one.taken().includes("c")).toBe(false);
  });
});

describe("a frame that is awaited", () => {
  const awaited = (one: Slow): { calls: number } => {
    const result = { calls: 0 };
    one.outbox.sendAwaited(Opcode.PONG, Buffer.from("p"), () => void result.calls++);
    return result;
  };

  test("calls back once the raw socket has taken it, behind all that was sent before", async () => {
    const one = slow();
    one.outbox.sendText("a");
    const result = awaited(one);
    await nextTurn();
    expect(result.calls).toBe(0);
    await one.raw.takeAll();
    expect(result.calls).toBe(1);
    expect(one.taken()).toEqual(Buffer.concat([text("a"), frame(Opcode.PONG, "p")]));
  });

  test.each<[string, (raw: StalledSocket) => void]>([
    ["fails", (raw) => void raw.destroy(new Error("reset"))],
    ["is destroyed", (raw) => void raw.destroy()],
  ])("does not call back when the raw socket %s", async (_name, end) => {
    const one = slow();
    const result = awaited(one);
    end(one.raw);
    await one.raw.takeAll();
    expect(result.calls).toBe(0);
  });
});
