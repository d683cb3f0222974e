// An outbox whose peer reads slowly or not at all: the bytes that wait are counted, announced and kept whole.

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { Opcode } from "../../src/protocol/opcode.ts";
import type { Outbox } from "../../src/transport/outbox.ts";
import { until } from "../support/app.ts";
import { type End, end, ends, nextMessages } from "../support/outbox.ts";

describe("the bytes that wait", () => {
  const block = Buffer.alloc(1_000_000, "x");

  /** Fills the operating system's buffers of a peer that does not read, and 3 MB more. */
  async function stall({ outbox, client }: End): Promise<number> {
    client.pause();
    let sent = 0;
    do {
      outbox.sendBytes(Opcode.BINARY, block);
      sent++;
      await nextTurn();
    } while (outbox.bufferedAmount < 3 * block.length && sent < 200);
    expect(outbox.bufferedAmount).toBeGreaterThanOrEqual(3 * block.length);
    return sent;
  }

  test("are counted with the headers, before and after they are written", async () => {
    const { outbox, client } = await end();
    expect(outbox.bufferedAmount).toBe(0);
    outbox.sendText("12345");
    expect(outbox.bufferedAmount).toBe(7);
    outbox.sendBytes(Opcode.BINARY, Buffer.alloc(200));
    expect(outbox.bufferedAmount).toBe(7 + 204);
    await nextMessages(client, 2);
    expect(outbox.bufferedAmount).toBe(0);
  });

  test("are counted while the peer does not read, and fall to zero when it does", async () => {
    const drained = Promise.withResolvers<number>();
    const one: End = await end(() => drained.resolve(one.outbox.bufferedAmount));
    const sent = await stall(one);
    const before = one.outbox.bufferedAmount;
    one.outbox.sendText("small");
    expect(one.outbox.bufferedAmount).toBe(before + 7);
    one.outbox.notifyDrain();
    one.client.resume();
    expect(await drained.promise).toBe(0);
    const messages = await nextMessages(one.client, sent + 1);
    expect(messages.slice(0, sent).every((message) => block.equals(message as Buffer))).toBe(true);
    expect(messages.at(-1)).toBe("small");
  });

  test("are announced once, when all of them have been taken, also those sent meanwhile", async () => {
    const onDrain = vi.fn();
    const one = await end(onDrain);
    const sent = await stall(one);
    one.outbox.notifyDrain();
    one.outbox.notifyDrain();
    await nextTurn();
    for (let i = 0; i < 3; i++) one.outbox.sendBytes(Opcode.BINARY, block);
    one.outbox.sendText("last");
    expect(onDrain).not.toHaveBeenCalled();
    one.client.resume();
    const amounts: number[] = [];
    await new Promise<void>((resolve) => {
      onDrain.mockImplementation(() => {
        amounts.push(one.outbox.bufferedAmount);
        resolve();
      });
    });
    await nextMessages(one.client, sent + 4);
    await nextTurn();
    expect(amounts).toEqual([0]);
    one.outbox.sendText("no more announcements");
    await one.client.nextMessage();
    await nextTurn();
    expect(onDrain).toHaveBeenCalledOnce();
  });

  test("are announced only at zero, though more are sent all the time", async () => {
    const amounts: number[] = [];
    const one: End = await end(() => amounts.push(one.outbox.bufferedAmount));
    let sent = await stall(one);
    one.outbox.notifyDrain();
    one.client.resume();
    for (; sent < 80; sent++) {
      one.outbox.sendBytes(Opcode.BINARY, block);
      await nextTurn();
      one.outbox.notifyDrain();
    }
    await nextMessages(one.client, sent);
    await until(() => one.outbox.bufferedAmount === 0);
    await nextTurn();
    expect(amounts.length).toBeGreaterThan(0);
    expect(new Set(amounts)).toEqual(new Set([0]));
  });

  test("can be awaited before they are written", async () => {
    const drained = Promise.withResolvers<void>();
    const { outbox, client } = await end(drained.resolve);
    outbox.sendText("one");
    outbox.notifyDrain();
    await drained.promise;
    expect(outbox.bufferedAmount).toBe(0);
    expect(await client.nextMessage()).toBe("one");
  });

  test("are not announced when they are discarded", async () => {
    const onDrain = vi.fn();
    const one = await end(onDrain);
    await stall(one);
    one.outbox.notifyDrain();
    one.outbox.discard();
    one.raw.destroy();
    one.client.resume();
    await one.client.closed();
    await nextTurn();
    expect(onDrain).not.toHaveBeenCalled();
  });
});

test("behind a slow reader 6,000 messages of all sizes and kinds stay whole, while others use the slab", async () => {
  const [slow, ...others] = await ends(4);
  const count = 6_000;
  const message = (i: number): string | Buffer => {
    const size = i % 50 === 0 ? 70_000 - i : i % 7 === 0 ? i * 13 % 17_500 : i * 37 % 3_000;
    if (i % 3 === 0) return Buffer.alloc(size, `${i}|`);
    return `${i}${i % 3 === 1 ? "-" : "€"}`.repeat(size / 2).slice(0, size);
  };
  const send = (outbox: Outbox, data: string | Buffer): void => {
    if (typeof data === "string") outbox.sendText(data);
    else outbox.sendBytes(Opcode.BINARY, data);
  };

  slow.client.pause();
  let waited = 0;
  for (let i = 0; i < count; i += 20) {
    for (let j = i; j < i + 20; j++) {
      send(slow.outbox, message(j));
      if (j % 4 === 0) { for (const { outbox } of others) send(outbox, j % 8 === 0 ? message(j) : `${j} for others`); }
    }
    await nextTurn();
    waited = Math.max(waited, slow.outbox.bufferedAmount);
    // Towards the end the slow client reads a little now and then.
    if (i >= 4_000 && i % 200 === 0) slow.client.resume();
    if (i >= 4_000 && i % 200 === 20) slow.client.pause();
  }
  slow.client.resume();
  expect(waited, "the reader was slow").toBeGreaterThan(1_000_000);

  const damaged = (received: (string | Buffer)[], expected: (i: number) => string | Buffer): number[] =>
    [...received.keys()].filter((i) => {
      const wanted = expected(i);
      return Buffer.compare(Buffer.from(received[i] as string), Buffer.from(wanted as string)) !== 0;
    });
  expect(damaged(await nextMessages(slow.client, count), message)).toEqual([]);
  for (const { client } of others) {
    const received = await nextMessages(client, count / 4);
    expect(damaged(received, (i) => i % 2 === 0 ? message(i * 4) : `${i * 4} for others`)).toEqual([]);
  }
});

test("bytes that the operating system has not taken at once are not overwritten by later turns, whichever socket sends", async () => {
  const [slow, other] = await ends(2);
  let turn = 0;
  // The ranges of the slab are the same each time, and the letters are others.
  const small = (turn: number): string => String.fromCharCode(97 + turn % 26).repeat(60);
  const large = (turn: number): string => String.fromCharCode(65 + turn % 26).repeat(15_000);
  const expected = { slow: [] as string[], other: [] as string[] };
  for (let round = 0; round < 8; round++) {
    slow.client.pause();
    for (let after = 0; after < 3 && turn < 5_000; turn++) {
      if (round % 2 === 0) {
        other.outbox.sendText(small(turn));
        expected.other.push(small(turn));
      }
      for (let i = 0; i < 4; i++) {
        slow.outbox.sendText(large(turn + i));
        expected.slow.push(large(turn + i));
      }
      await nextTurn();
      if (slow.outbox.bufferedAmount > 0) after++;
    }
    slow.client.resume();
    await until(() => slow.outbox.bufferedAmount === 0);
  }
  for (const { client, texts } of [{ ...slow, texts: expected.slow }, { ...other, texts: expected.other }]) {
    const received = await nextMessages(client, texts.length);
    expect([...texts.keys()].filter((i) => received[i] !== texts[i])).toEqual([]);
  }
});
