// The steps of CompressingOutbox with a deflater that compresses when the test says so, and an outbox that records.

import { describe, expect, test } from "vitest";
import { Opcode } from "../../src/protocol/opcode.ts";
import { CompressingOutbox } from "../../src/transport/compressing-outbox.ts";
import type { NegotiatedDeflate } from "../../src/transport/deflate/negotiated-deflate.ts";
import type { Outbox } from "../../src/transport/outbox.ts";

const RSV1 = 0x40;

interface Steps {
  readonly outbox: CompressingOutbox;
  /** What the outbox has got, and `idle` for each call of `onIdle`. */
  readonly lines: string[];
  /** Ends the oldest compression that is under way, and lets what waits go on. */
  compress(): Promise<void>;
}

/** Texts that begin with `now` are compressed at once, and those that begin with `not` do not become shorter. */
function steps(isWorthIt: (data: string | Uint8Array) => boolean = () => true): Steps {
  const lines: string[] = [];
  const compressing: (() => void)[] = [];
  const packed = (data: string | Uint8Array): Buffer => Buffer.from(`z(${Buffer.from(data as string)})`);
  const deflater = {
    deflate(data: string | Uint8Array) {
      const name = `${Buffer.from(data as string)}`;
      if (name.startsWith("now")) return packed(data);
      if (name.startsWith("not")) return undefined;
      const payload = packed(data);
      return new Promise<Buffer>((resolve) => compressing.push(() => resolve(payload)));
    },
    keep: (data: string | Uint8Array) => data,
    close() {},
  };
  const recorder = {
    sendText: (text: string) => void lines.push(`text ${text}`),
    sendBytes(opcode: number, bytes: Uint8Array) {
      const kind = (opcode & 0x0f) === Opcode.TEXT ? "text" : "binary";
      lines.push(`${(opcode & RSV1) === 0 ? "" : "compressed "}${kind} ${Buffer.from(bytes)}`);
    },
  };
  const negotiated = { isWorthIt, deflater: () => deflater } as unknown as NegotiatedDeflate;
  const outbox = new CompressingOutbox(negotiated, recorder as unknown as Outbox, () => void lines.push("idle"));
  const compress = async (): Promise<void> => {
    compressing.shift()!();
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  return { outbox, lines, compress };
}

describe("a message that need not wait", () => {
  test.each<[string, string | Uint8Array, boolean | undefined, string]>([
    ["is compressed at once", "now", undefined, "compressed text z(now)"],
    ["of bytes is compressed at once", Buffer.from("now"), undefined, "compressed binary z(now)"],
    ["is sent as it is when it does not become shorter", "not", undefined, "text not"],
    ["of bytes is sent as it is when it does not become shorter", Buffer.from("not"), undefined, "binary not"],
    ["is sent as it is when the sender wants that", "now", false, "text now"],
  ])("%s, and nothing is kept", (_name, data, compress, line) => {
    const { outbox, lines } = steps();
    outbox.send(data, compress);
    expect([lines, outbox.isIdle, outbox.bufferedAmount, outbox.cost]).toEqual([[line], true, 0, 0]);
  });

  test("is compressed as the settings of the route say, unless the sender says more", () => {
    const { outbox, lines } = steps((data) => data.length > 3);
    for (const compress of [undefined, true, false]) for (const data of ["now", "now 2"]) outbox.send(data, compress);
    expect(lines).toEqual([
      "text now",
      "compressed text z(now 2)",
      "compressed text z(now)",
      "compressed text z(now 2)",
      "text now",
      "text now 2",
    ]);
  });
});

describe("behind a message that is being compressed", () => {
  test("all others wait, and so does a task", async () => {
    const { outbox, lines, compress } = steps();
    outbox.send("first", undefined);
    outbox.send("now", undefined);
    outbox.send("plain", false);
    outbox.after(() => void lines.push("task"));
    outbox.send("last", undefined);
    expect([lines, outbox.isIdle]).toEqual([[], false]);
    await compress();
    expect(lines).toEqual(["compressed text z(first)", "compressed text z(now)", "text plain", "task"]);
    await compress();
    expect(lines.slice(4)).toEqual(["compressed text z(last)", "idle"]);
    expect([outbox.isIdle, outbox.bufferedAmount, outbox.cost]).toEqual([true, 0, 0]);
  });

  test("bytes may be changed by their owner at once", async () => {
    const { outbox, lines, compress } = steps();
    outbox.send("first", undefined);
    const bytes = Buffer.from("now");
    outbox.send(bytes, undefined);
    bytes.fill("x");
    await compress();
    expect(lines).toEqual(["compressed text z(first)", "compressed binary z(now)", "idle"]);
  });

  test("the bytes are counted, and a text that is not ASCII costs two for each of its characters", () => {
    const costs = ["aaaa", "éaaa", "€€€€", Buffer.from("aaaa")].map((data) => {
      const { outbox } = steps();
      outbox.send("0", undefined);
      const [bytes, cost] = [outbox.bufferedAmount, outbox.cost];
      outbox.send(data, undefined);
      return [outbox.bufferedAmount - bytes, outbox.cost - cost];
    });
    const [[, ascii], [, oneWide], [, wide], [, binary]] = costs;
    expect(costs.map(([bytes]) => bytes)).toEqual([4, 5, 12, 4]);
    expect([oneWide - ascii, wide - ascii, binary - ascii]).toEqual([4, 8, 0]);
  });

  test("nothing is sent any more once all is discarded, and onIdle is not called", async () => {
    const { outbox, lines, compress } = steps();
    outbox.send("first", undefined);
    outbox.send("now", undefined);
    outbox.discard();
    expect([outbox.isIdle, outbox.bufferedAmount, outbox.cost]).toEqual([true, 0, 0]);
    await compress();
    outbox.send("now", undefined);
    expect(lines).toEqual([]);
  });
});

test("a task runs at once when nothing waits", () => {
  const { outbox, lines } = steps();
  outbox.after(() => void lines.push("task"));
  expect([lines, outbox.isIdle]).toEqual([["task"], true]);
});
