import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { Opcode } from "../../src/protocol/opcode.ts";
import { cork, uncork } from "../../src/transport/outbox.ts";
import { isSlow, pageShifts } from "../support/copies.ts";
import { end, ends, nextMessages } from "../support/outbox.ts";

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

  test.each<[string, (string | Buffer)[]]>([
    ["different texts", Array.from({ length: 16 }, (_, i) => `to everyone: ${i}`)],
    ["one text", Array<string>(16).fill("tick")],
    ["one array of bytes", Array<Buffer>(16).fill(Buffer.from("tick"))],
    ["two texts and bytes", ["a", "a", "b", Buffer.from("c"), "b", "b", "a", "a", Buffer.from("c"), "a"]],
  ])("a burst to each of 20 sockets is 20 writes of the same bytes: %s", async (_name, messages) => {
    const all = await ends(20);
    const writes = all.map(({ raw }) => vi.spyOn(raw, "write"));
    for (const message of messages) {
      for (const { outbox } of all) {
        if (typeof message === "string") outbox.sendText(message);
        else outbox.sendBytes(Opcode.BINARY, message);
      }
    }
    for (const { client } of all) expect(await nextMessages(client, messages.length)).toEqual(messages);
    expect(writes.map(({ mock }) => mock.calls.length)).toEqual(Array(20).fill(1));
    expect(new Set(writes.map(({ mock }) => mock.calls[0][0])).size).toBe(1);
  });

  test("a message that is repeated beyond the end of the slab arrives each time, to each socket in turn", async () => {
    const all = await ends(3);
    const [message, count] = ["again ".repeat(100), 150];
    for (const { outbox } of all) for (let i = 0; i < count; i++) outbox.sendText(message);
    for (const { client } of all) expect(await nextMessages(client, count)).toEqual(Array(count).fill(message));
  });

  test("frames wait while the outboxes are corked", async () => {
    const { raw, outbox, client } = await end();
    const write = vi.spyOn(raw, "write");
    cork();
    outbox.sendText("one");
    await nextTurn();
    cork();
    outbox.sendText("two");
    uncork();
    await nextTurn();
    outbox.sendText("three");
    expect(write).not.toHaveBeenCalled();
    uncork();
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

  test("more frames than fit into the slab leave in several writes, whole", async () => {
    const [a, b] = await ends(2);
    const texts = Array.from({ length: 40 }, (_, i) => `${i} ${"x".repeat(5_000)}`);
    for (const text of texts) for (const { outbox } of [a, b]) outbox.sendText(text);
    expect(await nextMessages(a.client, 40)).toEqual(texts);
    expect(await nextMessages(b.client, 40)).toEqual(texts);
  });

  test("frames that are discarded are not written, and later ones are", async () => {
    const { outbox, client } = await end();
    outbox.sendText("lost");
    outbox.discard();
    expect(outbox.bufferedAmount).toBe(0);
    outbox.sendText("kept");
    expect(await client.nextMessage()).toBe("kept");
  });

  test("nothing is written to a socket that is gone, and the others get their frames", async () => {
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
      ["x", "\u007f", "\u0080", "é", "€", "🌍"].map((last) => "x".repeat(length) + last)
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

  test.each([16, 64, 1024])("%i KiB of bytes, by a copy that is fast", async (kib) => {
    const { outbox, client } = await end();
    const bytes = Buffer.allocUnsafeSlow(kib * 1024).fill("x");
    const shifts = pageShifts(() => outbox.sendBytes(Opcode.BINARY, bytes));
    expect(shifts.length).toBe(1);
    expect(shifts.filter(isSlow)).toEqual([]);
    expect(await nextMessages(client, 1)).toEqual([bytes]);
  });
});
