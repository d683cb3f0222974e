import { setImmediate as nextTurn } from "node:timers/promises";
import { constants, deflateRawSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Inflater } from "../../../src/protocol/permessage-deflate.ts";
import { ContextInflater, MessageInflater } from "../../../src/transport/deflate/inflater.ts";
import { deflated } from "../../support/deflate.ts";
import { hex } from "../../support/hex.ts";
import { messageOf } from "../../support/inflate-oracle.ts";
import { Random } from "../../support/random.ts";

const MiB = 1024 * 1024;

const inflaters: [name: string, make: () => Inflater][] = [
  ["without context takeover", () => new MessageInflater()],
  ["with context takeover", () => new ContextInflater(15)],
];

/** The message, or the close code of the fault. */
async function outcome(inflater: Inflater, payload: Uint8Array): Promise<string | number> {
  try {
    return Buffer.from(await inflater.inflate(payload, MiB)).toString("hex");
  } catch (error) {
    return (error as { closeCode: number }).closeCode;
  }
}

function expected(payload: Uint8Array): string | number {
  const message = messageOf(payload);
  return typeof message === "string" ? 1007 : message.toString("hex");
}

function make(create: () => Inflater): Inflater {
  const inflater = create();
  onTestFinished(() => inflater.close());
  return inflater;
}

const joined = (...parts: Uint8Array[]): Buffer => Buffer.concat(parts);
const hello = Buffer.from("Hello").toString("hex");
/** Stored blocks of more than the 32 KiB from which on zlib's threads do the work. */
const long = new Random(7692).bytes(40_000);
const longStored = deflateRawSync(long, { level: 0, finishFlush: constants.Z_SYNC_FLUSH });
const skewed = Buffer.from(Array.from({ length: 300 }, (_, i) => 97 + (i * i * 7 + (i >> 3)) % 20));

/** Whole streams of one final block, of each type. */
const finals: [name: string, stream: Buffer][] = [
  ["stored", deflateRawSync("Hello", { level: 0 })],
  ["of fixed codes", deflateRawSync("Hello", { strategy: constants.Z_FIXED })],
  ["of codes of its own", deflateRawSync(skewed)],
];

describe.each(inflaters)("a final block, %s", (_name, create) => {
  test.each([
    ["an empty stored block whose length is the tail", joined(hex("000500faff48656c6c6f"), hex("01")), hello],
    ["the same alone", hex("01"), ""],
    ["the same, its header in the last bits of a block of fixed codes", hex("f248cdc9c90704"), hello],
    ["the same, behind another final block", joined(deflateRawSync("Hello"), hex("01")), hello],
    ["the same, and a byte behind it", hex("010000ffff00"), ""],
    ["its end in the last byte", deflateRawSync("Hello"), hello],
    ["an end that takes one byte of the tail", deflateRawSync("Hello").subarray(0, -1), 1007],
    ["a length that takes two bytes of the tail", hex("01 0000"), 1007],
    ["the last two bytes of a stored block from the tail", hex("01 0600 f9ff 61626364"), 1007],
  ])("%s", async (_name, payload, result) => {
    const inflater = make(create);
    expect(await outcome(inflater, payload)).toBe(result);
    expect(expected(payload)).toBe(result);
    // The message has left nothing behind in the inflater.
    expect(await outcome(inflater, deflated("again"))).toBe(Buffer.from("again").toString("hex"));
  });

  test("is judged alike on zlib's threads", async () => {
    for (const [end, result] of [["01", long], ["0300", long], ["03", undefined], ["010000", undefined]] as const) {
      const inflater = make(create);
      const payload = joined(longStored, hex(end));
      expect(payload.length).toBeGreaterThan(32 * 1024);
      expect(await outcome(inflater, payload), end).toBe(result?.toString("hex") ?? 1007);
      expect(await outcome(inflater, deflated("again"))).toBe(Buffer.from("again").toString("hex"));
    }
  });

  test.each(finals)("%s, cut anywhere, and with anything behind it", async (_name, stream) => {
    const behind = ["", "00", "01", "03", "0300", "0200", "06", "f248cdc9c90700", "000500faff48656c6c6f01", "ff"];
    const payloads = behind.map((bytes) => joined(stream, hex(bytes)));
    for (let length = 0; length < stream.length; length++) payloads.push(stream.subarray(0, length));
    let refused = 0;
    for (const payload of payloads) {
      const inflater = make(create);
      // With context takeover, zlib does not report that it waits for more of a block.
      if (inflater instanceof ContextInflater && messageOf(payload) === "cut") continue;
      expect(await outcome(inflater, payload), payload.toString("hex")).toBe(expected(payload));
      if (expected(payload) === 1007) refused++;
    }
    expect(refused).toBeGreaterThan(1);
  });

  test("may come eight times in one message with more behind it; a ninth one is refused, since each costs a call of zlib", async () => {
    const block = deflateRawSync("Hello");
    const many = (count: number): Buffer => Buffer.concat(Array.from({ length: count }, () => block));
    expect(await outcome(make(create), joined(many(8), hex("00")))).toBe(hello.repeat(8));
    expect(await outcome(make(create), many(9))).toBe(hello.repeat(9));
    expect(await outcome(make(create), joined(many(9), hex("00")))).toBe(1008);
    expect(await outcome(make(create), many(10))).toBe(1008);
    expect(await outcome(make(create), joined(...Array.from({ length: 60 }, () => hex("0300"))))).toBe(1008);
    // The same on zlib's threads.
    expect(await outcome(make(create), joined(many(9), longStored))).toBe(1008);
  });
});

test("a final block that ends a message does not count for the next message", async () => {
  const inflater = make(() => new ContextInflater(15));
  const many = joined(...Array.from({ length: 9 }, () => hex("0300")));
  expect(await outcome(inflater, hex("01"))).toBe("");
  expect(await outcome(inflater, many)).toBe("");
  expect(await outcome(inflater, joined(many, hex("0300")))).toBe(1008);
});

/** A stored block of 256 zeros, and a final block that repeats some of them and lacks its end. */
const repeats = `00 0001 fffe ${"00".repeat(256)} d5ce810dc0300cc3b0c2d8ff37ef811c40013c80df`;

test.each([
  ["stored, without six bytes of content", "01 0600 f9ff"],
  ["stored, without ten bytes of content", "01 0a00 f5ff"],
  ["stored, without eleven bytes of content", "01 0b00 f4ff"],
  ["of fixed codes, without its end", "7bd7d0f0a0a0a0a076"],
  ["of codes of its own, without its end", repeats],
])("a final block, %s, is not completed by what the inflater appends", async (_name, payload) => {
  const inflater = new MessageInflater();
  expect(messageOf(hex(payload))).toBe("cut");
  expect(await outcome(inflater, hex(payload))).toBe(1007);
});

test("a message may end in the bytes that the inflater appends", async () => {
  const appended = joined(hex("0000ffff 0101 00fe ff ff"), hex("0000ffff 0102 00fd ff ffff"));
  // With the mark behind them, the first nine bytes are those of a stored block that has taken all that was appended.
  const messages = [0, 9, 10, 19, 20].map((length) => appended.subarray(0, length));
  for (const message of [...messages, appended.subarray(10), appended, joined(long, appended)]) {
    expect(await outcome(new MessageInflater(), deflated(message))).toBe(message.toString("hex"));
  }
});

test.each(inflaters)("a fault behind the size limit is not emitted where nobody listens, %s", async (_name, create) => {
  const inflater = make(create);
  const faulty = joined(deflated(Buffer.alloc(2 * MiB)), Buffer.alloc(100_000, 0xff));
  expect(await outcome(inflater, faulty)).toBe(1009);
  // An error without a listener would come in a later turn, and fail this test.
  for (let i = 0; i < 20; i++) await nextTurn();
});

describe.each(inflaters)("the size limit holds for all blocks of a message together, %s", (_name, create) => {
  const half = deflateRawSync(Buffer.alloc(MiB / 2));

  test.each<[string, Uint8Array, boolean]>([
    ["one block of the whole limit", deflateRawSync(Buffer.alloc(MiB)), true],
    ["two final blocks of the whole limit", joined(half, half), true],
    ["a final block of the whole limit, and an empty one", joined(half, half, hex("0300")), true],
    ["one byte more, in one block", deflateRawSync(Buffer.alloc(MiB + 1)), false],
    ["one byte more, in a final block behind two", joined(half, half, deflateRawSync("x")), false],
    ["half as much again, in three final blocks", joined(half, half, half), false],
  ])("%s", async (_name, payload, fits) => {
    const result = await outcome(make(create), payload);
    expect(typeof result === "number" ? result : result.length / 2).toBe(fits ? MiB : 1009);
  });
});
