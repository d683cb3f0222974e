import type { Socket as RawSocket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { Opcode } from "../../src/protocol/opcode.ts";
import { hold, Outbox, release } from "../../src/transport/outbox.ts";
import { upgradeServer } from "../support/app.ts";
import type { RawClient } from "../support/raw-client.ts";

interface End {
  raw: RawSocket;
  outbox: Outbox;
  client: RawClient;
}

/** Outboxes over real connections. */
async function ends(count: number, onDrain: () => void = () => {}): Promise<End[]> {
  const server = await upgradeServer();
  const result: End[] = [];
  for (let i = 0; i < count; i++) {
    const { raw, client } = await server.connect();
    result.push({ raw, client, outbox: new Outbox(raw, onDrain) });
  }
  return result;
}

async function end(onDrain?: () => void): Promise<End> {
  return (await ends(1, onDrain))[0];
}

async function nextMessages(client: RawClient, count: number): Promise<(string | Buffer)[]> {
  const messages: (string | Buffer)[] = [];
  while (messages.length < count) messages.push(await client.nextMessage());
  return messages;
}

describe("one write a turn", () => {
  test("all that is sent in one turn leaves in one write, in order", async () => {
    const { raw, outbox, client } = await end();
    const write = vi.spyOn(raw, "write");
    const texts = Array.from({ length: 50 }, (_, i) => `message ${i}`);
    for (const text of texts) outbox.sendText(text);
    outbox.sendBytes(Opcode.BINARY, Buffer.from("bytes"));
    outbox.sendBytes(Opcode.PING, Buffer.from("ping"));
    expect(write).not.toHaveBeenCalled();
    expect(await nextMessages(client, 51)).toEqual([...texts, Buffer.from("bytes")]);
    expect((await client.nextFrame()).payload.toString()).toBe("ping");
    expect(write).toHaveBeenCalledOnce();
  });

  test("a lone message leaves before the turn is over", async () => {
    const { raw, outbox, client } = await end();
    const write = vi.spyOn(raw, "write");
    outbox.sendText("alone");
    await Promise.resolve().then(() => new Promise<void>((resolve) => process.nextTick(resolve)));
    expect(write).toHaveBeenCalledOnce();
    expect(await client.nextMessage()).toBe("alone");
  });

  test("16 messages to each of 20 sockets are 20 writes of the same bytes", async () => {
    const all = await ends(20);
    const writes = all.map(({ raw }) => vi.spyOn(raw, "write"));
    const texts = Array.from({ length: 16 }, (_, i) => `to everyone: ${i}`);
    for (const text of texts) for (const { outbox } of all) outbox.sendText(text);
    for (const { client } of all) expect(await nextMessages(client, 16)).toEqual(texts);
    expect(writes.map(({ mock }) => mock.calls.length)).toEqual(Array(20).fill(1));
    expect(new Set(writes.map(({ mock }) => mock.calls[0][0])).size).toBe(1);
  });

  test("it waits longer while somebody holds it", async () => {
    const { raw, outbox, client } = await end();
    const write = vi.spyOn(raw, "write");
    hold();
    outbox.sendText("one");
    await nextTurn();
    hold();
    outbox.sendText("two");
    release();
    await nextTurn();
    outbox.sendText("three");
    expect(write).not.toHaveBeenCalled();
    release();
    expect(write).toHaveBeenCalledOnce();
    expect(await nextMessages(client, 3)).toEqual(["one", "two", "three"]);
    outbox.sendText("afterwards");
    expect(await client.nextMessage()).toBe("afterwards");
  });

  test("flush writes at once, and what is sent after it comes behind", async () => {
    const { raw, outbox, client } = await end();
    const write = vi.spyOn(raw, "write");
    outbox.sendText("one");
    outbox.flush();
    outbox.flush();
    expect(write).toHaveBeenCalledOnce();
    outbox.sendText("two");
    expect(await nextMessages(client, 2)).toEqual(["one", "two"]);
    expect(write).toHaveBeenCalledTimes(2);
  });

  test("more than the slab holds leaves in several writes, whole", async () => {
    const [a, b] = await ends(2);
    const texts = Array.from({ length: 40 }, (_, i) => `${i} ${"x".repeat(5_000)}`);
    for (const text of texts) for (const { outbox } of [a, b]) outbox.sendText(text);
    expect(await nextMessages(a.client, 40)).toEqual(texts);
    expect(await nextMessages(b.client, 40)).toEqual(texts);
  });

  test("what is discarded is not written, and what comes after it is", async () => {
    const { outbox, client } = await end();
    outbox.sendText("lost");
    outbox.discard();
    expect(outbox.bufferedAmount).toBe(0);
    outbox.sendText("kept");
    expect(await client.nextMessage()).toBe("kept");
  });

  test("nothing is written to a socket that is gone, and the others get theirs", async () => {
    const [gone, here] = await ends(2);
    const write = vi.spyOn(gone.raw, "write");
    for (const { outbox } of [gone, here]) outbox.sendText("to both");
    gone.raw.destroy();
    expect(await here.client.nextMessage()).toBe("to both");
    expect(write).not.toHaveBeenCalled();
  });
});

/** A text whose UTF-8 has exactly that many bytes, as far as possible of one kind of character. */
function textOfBytes(byteLength: number, character: string): string {
  const size = Buffer.byteLength(character);
  return "a".repeat(byteLength % size) + character.repeat(Math.floor(byteLength / size));
}

describe("every size arrives whole, and harms no neighbour", () => {
  const sizes = [0, 1, 2, 61, 62, 63, 64, 65, 66, 123, 124, 125, 126, 127, 128, 129, 250, 251, 252, 253, 375, 376, 378]
    .concat([4_096, 5_461, 5_462, 16_380, 16_381, 16_382, 16_383, 16_384, 16_385, 16_386, 16_387])
    .concat([32_768, 49_151, 65_532, 65_533, 65_534, 65_535, 65_536, 65_537, 65_540, 131_072, 1_000_000]);

  test.each([
    ["ASCII", "x"],
    ["two bytes a character", "é"],
    ["three bytes a character", "€"],
    ["four bytes a character", "🌍"],
  ])("texts: %s", async (_name, character) => {
    const { outbox, client } = await end();
    for (const size of sizes) {
      const text = textOfBytes(size, character);
      const mixed = `${text}ü`;
      for (const message of ["<", text, ">", mixed, "|"]) outbox.sendText(message);
      expect(await nextMessages(client, 5), `${size} bytes`).toEqual(["<", text, ">", mixed, "|"]);
    }
  });

  test("texts by their number of characters, with the last one alone not ASCII", async () => {
    const { outbox, client } = await end();
    const texts = [...Array(140).keys()].flatMap((length) =>
      ["x", "é", "€", "🌍"].map((last) => "x".repeat(length) + last)
    );
    for (const text of texts) outbox.sendText(text);
    expect(await nextMessages(client, texts.length)).toEqual(texts);
  });

  test("bytes", async () => {
    const { outbox, client } = await end();
    for (const size of sizes) {
      const bytes = Buffer.alloc(size, `${size} `);
      outbox.sendText("<");
      outbox.sendBytes(Opcode.BINARY, bytes);
      outbox.sendText(">");
      const [before, between, after] = await nextMessages(client, 3);
      expect([before, after]).toEqual(["<", ">"]);
      expect(Buffer.compare(between as Buffer, bytes), `${size} bytes`).toBe(0);
    }
  });

  test("half a character becomes a replacement character", async () => {
    const { outbox, client } = await end();
    const halves = ["\ud83d", "\udf0d", "a\ud83d", `${"x".repeat(70)}\ud83d`, `${"é".repeat(9_000)}\udf0d`];
    for (const text of halves) outbox.sendText(text);
    expect(await nextMessages(client, halves.length)).toEqual(halves.map((text) => text.toWellFormed()));
  });
});

describe("what waits", () => {
  const block = Buffer.alloc(1_000_000, "x");

  /** Fills the operating system's buffers of a peer that does not read, and then some. */
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

  test("is counted with its headers, before and after it is written", async () => {
    const { outbox, client } = await end();
    expect(outbox.bufferedAmount).toBe(0);
    outbox.sendText("12345");
    expect(outbox.bufferedAmount).toBe(7);
    outbox.sendBytes(Opcode.BINARY, Buffer.alloc(200));
    expect(outbox.bufferedAmount).toBe(7 + 204);
    await nextMessages(client, 2);
    expect(outbox.bufferedAmount).toBe(0);
  });

  test("is counted while the peer does not read, and falls to zero when it does", async () => {
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

  test("is announced once, when all of it has gone, also what was sent meanwhile", async () => {
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

  test("can be waited for before it is written", async () => {
    const drained = Promise.withResolvers<void>();
    const { outbox, client } = await end(drained.resolve);
    outbox.sendText("one");
    outbox.notifyDrain();
    await drained.promise;
    expect(outbox.bufferedAmount).toBe(0);
    expect(await client.nextMessage()).toBe("one");
  });

  test("is not announced when it is discarded", async () => {
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
    // Towards the end the slow one takes a sip now and then.
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
