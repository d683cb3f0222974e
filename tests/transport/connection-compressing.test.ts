// A connection whose messages are compressed on other threads: what waits for its compression counts as sent and not
// yet taken, and nothing overtakes it.

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { Connection } from "../../src/transport/connection.ts";
import type { ConnectionSettings } from "../../src/transport/connection-handler.ts";
import type { NegotiatedDeflate } from "../../src/transport/deflate/negotiated-deflate.ts";
import { until, upgradeServer } from "../support/app.ts";
import { type Pair, Recorder, roundTrips, SETTINGS, stall } from "../support/connection.ts";
import { close, opcodes, type ServerFrame, text } from "../support/frames.ts";

interface Compressing extends Pair {
  /** Ends the oldest compression that is under way. The message goes out as it is, since it has not become shorter. */
  compress(): Promise<void>;
}

/** A connection that compresses when the test says so. A message that begins with "now" need not wait. */
async function compressing(settings: Partial<ConnectionSettings> = {}): Promise<Compressing> {
  const { raw, head, client } = await (await upgradeServer()).connect();
  const recorder = new Recorder();
  const waiting: (() => void)[] = [];
  const deflater = {
    deflate(data: string | Uint8Array) {
      if (typeof data !== "string" || data.startsWith("now")) return undefined;
      return new Promise<void>((resolve) => waiting.push(resolve));
    },
    keep: (data: string | Uint8Array) => data,
    close() {},
  };
  const negotiated = {
    inflater: () => ({ inflate: () => undefined, close() {} }),
    deflater: () => deflater,
    isWorthIt: () => true,
  } as unknown as NegotiatedDeflate;
  const connection = new Connection(raw, head, { ...SETTINGS, ...settings }, recorder, negotiated);
  connection.start();
  const compress = async (): Promise<void> => {
    waiting.shift()!();
    await nextTurn();
  };
  return { raw, client, connection, recorder, compress };
}

const readable = ({ opcode, payload }: ServerFrame): string =>
  opcode === opcodes.close ? `close ${payload.readUInt16BE(0)}` : `${payload}`;

describe("behind a message that is being compressed", () => {
  test("the messages and the server's Close wait, and go out in their order", async () => {
    const { client, connection, compress } = await compressing();
    connection.send("first");
    connection.send("now second");
    connection.close(4000, "");
    await roundTrips(3);
    expect(client.frames).toEqual([]);
    await compress();
    await until(() => client.closeFrame !== undefined);
    expect(client.frames.map(readable)).toEqual(["first", "now second", "close 4000"]);
  });

  test("the answer to the peer's Close waits", async () => {
    const { client, connection, compress } = await compressing();
    connection.send("first");
    client.send(close(1000));
    await until(() => !connection.isOpen);
    await roundTrips(3);
    expect(client.frames).toEqual([]);
    await compress();
    expect((await client.closed()).code).toBe(1000);
    expect(client.frames.map(readable)).toEqual(["first", "close 1000"]);
  });

  test("the end waits that answers the peer's FIN", async () => {
    const { client, connection, recorder, compress } = await compressing();
    connection.send("first");
    client.end();
    await until(() => !connection.isOpen);
    await roundTrips(3);
    expect(recorder.events).toEqual([]);
    await compress();
    expect(await client.closed()).toMatchObject({ code: 1006, ended: "fin" });
    expect(client.frames.map(readable)).toEqual(["first"]);
  });

  test("the Close for a fault of the peer does not wait: the message is dropped", async () => {
    const { client, connection, compress } = await compressing();
    connection.send("first");
    client.send(text("bad", { rsv: 1 }));
    expect((await client.closed()).code).toBe(1002);
    await compress();
    expect(client.frames.map(readable)).toEqual(["close 1002"]);
  });

  test("nothing is written any more once the connection is cut", async () => {
    const { raw, connection, recorder, compress } = await compressing();
    connection.send("first");
    const write = vi.spyOn(raw, "write");
    connection.terminate();
    await compress();
    await recorder.closed.promise;
    expect(write).not.toHaveBeenCalled();
  });
});

describe("a message that waits for its compression", () => {
  test("counts as buffered", async () => {
    const { connection, compress } = await compressing();
    connection.send("0123456789");
    expect(connection.bufferedAmount).toBe(10);
    await compress();
    await until(() => connection.bufferedAmount === 0);
  });

  test("counts for maxBufferedBytes", async () => {
    const { client, connection, recorder } = await compressing({ maxBufferedBytes: 1_000 });
    expect(connection.send("a".repeat(800))).toBe("sent");
    expect(connection.send("b".repeat(300))).toBe("refused");
    expect(recorder.events).toEqual([["error", 1013]]);
    expect((await client.closed()).code).toBe(1013);
  });

  test("above highWaterMark is followed by one drain, when it is written", async () => {
    const { client, connection, recorder, compress } = await compressing({ highWaterMark: 8 });
    expect(connection.send("0123456789")).toBe("full");
    await roundTrips(3);
    expect(recorder.events).toEqual([]);
    await compress();
    await recorder.drained.promise;
    expect(connection.send("small")).toBe("sent");
    await compress();
    expect([await client.nextMessage(), await client.nextMessage()]).toEqual(["0123456789", "small"]);
    await roundTrips(3);
    expect(recorder.events).toEqual([["drain"]]);
  });

  test("below highWaterMark is followed by no drain", async () => {
    const { client, connection, recorder, compress } = await compressing();
    connection.send("small");
    await compress();
    expect(await client.nextMessage()).toBe("small");
    await roundTrips(3);
    expect(recorder.events).toEqual([]);
  });

  test("delays a drain that is due for messages before it", async () => {
    const one = await compressing({ maxBufferedBytes: 100_000_000 });
    const { client, connection, recorder, compress } = one;
    const sent = await stall(one, 3_000_000);
    connection.send("behind");
    client.resume();
    await until(() => client.frames.length === sent);
    await roundTrips(3);
    expect(recorder.events).toEqual([]);
    await compress();
    await recorder.drained.promise;
    await roundTrips(3);
    expect(recorder.events).toEqual([["drain"]]);
    expect(connection.bufferedAmount).toBe(0);
  });
});
