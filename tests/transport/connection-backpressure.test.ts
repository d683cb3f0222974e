// A connection whose peer reads slowly or not at all: limits of memory, dropped messages, drain.

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { until } from "../support/app.ts";
import { block, pair, roundTrips, SETTINGS, stall } from "../support/connection.ts";
import { close, opcodes, text } from "../support/frames.ts";

describe("a slow consumer", () => {
  test("is closed with 1013, behind all that was sent before", async () => {
    const one = await pair();
    const { client, connection, recorder } = one;
    connection.start();
    const sent = await stall(one, 900_000);
    for (let i = 0; i < 20 && connection.isOpen; i++) {
      expect(connection.bufferedAmount).toBeLessThanOrEqual(SETTINGS.maxBufferedBytes + block.length);
      connection.send(block);
    }
    expect(connection.send("too late")).toBe("refused");
    expect(recorder.events).toEqual([["error", 1013]]);
    client.resume();
    expect((await client.closed()).code).toBe(1013);
    expect(client.frames.length).toBeGreaterThan(sent);
    expect(await recorder.closed.promise).toEqual(["close", 1013, false]);
    expect(recorder.of("close").length).toBe(1);
    expect(connection.droppedMessages).toBe(0);
  });

  test("misses messages with slowConsumer: drop, which are counted, and gets messages again after a drain", async () => {
    const one = await pair({ slowConsumer: "drop" });
    const { client, connection, recorder } = one;
    connection.start();
    const sent = await stall(one, 900_000);
    let taken = 0;
    while (connection.droppedMessages === 0 && taken < 20) {
      expect(connection.send(block)).toBe(connection.droppedMessages === 0 ? "full" : "refused");
      taken++;
    }
    for (let i = 0; i < 10; i++) expect(connection.send(block)).toBe("refused");
    expect(connection.droppedMessages).toBe(11);
    expect(connection.bufferedAmount).toBeLessThanOrEqual(SETTINGS.maxBufferedBytes);
    client.resume();
    await recorder.drained.promise;
    expect(connection.bufferedAmount).toBe(0);
    expect(connection.send("afterwards")).toBe("sent");
    for (let i = 0; i < sent + taken - 1; i++) expect(block.equals(await client.nextMessage() as Buffer)).toBe(true);
    expect(await client.nextMessage()).toBe("afterwards");
    expect(recorder.of("error")).toEqual([]);
  });

  test("that misses a message is followed by a drain, even if nothing before it was above highWaterMark", async () => {
    const one = await pair({ slowConsumer: "drop", highWaterMark: 100_000_000 });
    const { client, connection, recorder } = one;
    connection.start();
    await stall(one, 900_000);
    while (connection.droppedMessages === 0) connection.send(block);
    expect(recorder.events).toEqual([]);
    client.resume();
    await recorder.drained.promise;
    expect([recorder.events, connection.bufferedAmount]).toEqual([[["drain"]], 0]);
  });

  test("is no client that reads, however much is sent in one turn", async () => {
    const { client, connection, recorder } = await pair({ maxBufferedBytes: 50_000 });
    connection.start();
    const small = Buffer.alloc(1_000, "y");
    for (let i = 0; i < 200; i++) connection.send(small);
    for (let i = 0; i < 200; i++) expect(small.equals(await client.nextMessage() as Buffer)).toBe(true);
    connection.send(block);
    expect(block.equals(await client.nextMessage() as Buffer)).toBe(true);
    expect(recorder.events).toEqual([]);
  });
});

describe("backpressure", () => {
  test("send returns full above highWaterMark, and drain follows once, at zero", async () => {
    const one = await pair({ highWaterMark: 1_000, maxBufferedBytes: 100_000_000 });
    const { client, connection, recorder } = one;
    const amounts: number[] = [];
    recorder.react = ([name]) => name === "drain" && amounts.push(connection.bufferedAmount);
    connection.start();
    expect(connection.send("x".repeat(900))).toBe("sent");
    expect(connection.send("x".repeat(200))).toBe("full");
    await recorder.drained.promise;
    expect(amounts).toEqual([0]);
    expect(connection.send("x".repeat(900))).toBe("sent");
    for (let i = 0; i < 3; i++) await client.nextMessage();

    await stall(one, 3_000_000);
    expect(connection.send("more")).toBe("full");
    await roundTrips(5);
    expect(amounts).toEqual([0]);
    client.resume();
    await until(() => amounts.length === 2);
    await roundTrips(5);
    expect(amounts).toEqual([0, 0]);
  });

  test("there is no drain when the peer resets before it has read", async () => {
    const one = await pair({ maxBufferedBytes: 100_000_000 });
    one.connection.start();
    await stall(one, 3_000_000);
    one.client.reset();
    expect(await one.recorder.closed.promise).toEqual(["close", 1006, false]);
    expect(one.connection.bufferedAmount).toBe(0);
    await nextTurn();
    expect(one.recorder.events).toEqual([["close", 1006, false]]);
  });

  test("asking for a drain after the closing handshake harms nothing that is still to be written", async () => {
    const one = await pair({ maxBufferedBytes: 100_000_000, highWaterMark: 100_000_000 });
    const { client, connection, recorder } = one;
    connection.start();
    const sent = await stall(one, 3_000_000);
    client.send(text("now"), close(1000));
    await recorder.messages(1);
    await until(() => !connection.isOpen);
    connection.notifyDrain();
    await nextTurn();
    client.resume();
    expect((await client.closed()).code).toBe(1000);
    expect(client.frames.length).toBe(sent + 1);
    expect(await recorder.closed.promise).toEqual(["close", 1000, true]);
  });
});

test("highWaterMark is the most that may wait: send tells of the first byte above it", async () => {
  const { connection } = await pair({ highWaterMark: 100 });
  connection.start();
  // Both wait for the end of the turn, with a header of two bytes each.
  expect([connection.send("a".repeat(48)), connection.send("b".repeat(48))]).toEqual(["sent", "sent"]);
  expect([connection.bufferedAmount, connection.send("")]).toEqual([100, "full"]);
});

test("a Ping that would wait behind more than maxBufferedBytes is not sent, and at that number it is", async () => {
  const { connection, client } = await pair({ maxBufferedBytes: 100 });
  connection.start();
  connection.send("a".repeat(98));
  connection.ping(Buffer.from("1"));
  expect(connection.bufferedAmount).toBe(103);
  connection.ping(Buffer.from("2"));
  expect(connection.bufferedAmount).toBe(103);
  connection.close(1000, "");
  await client.nextFrame();
  const { opcode, payload } = await client.nextFrame();
  expect([opcode, `${payload}`]).toEqual([opcodes.ping, "1"]);
  expect((await client.nextFrame()).opcode).toBe(opcodes.close);
});
