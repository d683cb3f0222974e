/** The writes of a publish: one for each socket and turn, and one encoding for all sockets. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { peer } from "../../support/crowd.ts";
import { Hub } from "../../support/memory-broker.ts";
import { nextMessages } from "../../support/outbox.ts";
import { expectSameMemory, lines } from "../../support/written.ts";

describe("one write a turn", () => {
  test("many messages to a topic reach each socket in one write, and all sockets share its bytes", async () => {
    const { app, all } = await lines(20, ["news"]);
    const texts = Array.from({ length: 16 }, (_, i) => `message ${i}`);
    for (const text of texts) expect(app.publish("news", text)).toBe(20);
    expect(all.map(({ writes }) => writes.length)).toEqual(Array(20).fill(0));
    for (const { client } of all) expect(await nextMessages(client, 16)).toEqual(texts);
    expect(all.map(({ writes }) => writes.length)).toEqual(Array(20).fill(1));
    expectSameMemory(all);
  });

  test("messages to several topics, and to a socket alone, reach it in one write", async () => {
    const { app, all: [{ client, writes }] } = await lines(1, ["a", "b"]);
    const [socket] = app.sockets;
    app.publish("a", "1");
    app.publish("b", Buffer.from("2"));
    socket.send("3");
    app.publish("a", "4");
    expect(await nextMessages(client, 4)).toEqual(["1", Buffer.from("2"), "3", "4"]);
    expect(writes).toHaveLength(1);
  });

  test("messages of another process reach each socket in one write", async () => {
    const hub = new Hub();
    const { app } = await peer(hub);
    const { all } = await lines(3, ["news"], { broker: hub.link() });
    await hub.settle();
    const texts = Array.from({ length: 16 }, (_, i) => `message ${i}`);
    for (const text of texts) app.publish("news", text);
    for (const { client } of all) expect(await nextMessages(client, 16)).toEqual(texts);
    expect(all.map(({ writes }) => writes.length)).toEqual([1, 1, 1]);
    expectSameMemory(all);
  });

  test("messages of two turns are two writes", async () => {
    const { app, all: [{ client, writes }] } = await lines(1, ["a"]);
    app.publish("a", "1");
    await nextTurn();
    expect(writes).toHaveLength(1);
    app.publish("a", "2");
    expect(await nextMessages(client, 2)).toEqual(["1", "2"]);
    expect(writes).toHaveLength(2);
  });
});

describe("one encoding for all", () => {
  test.each<[string, string | Uint8Array]>([
    ["a short text", "hello"],
    ["a short text that is not ASCII", "grüße 🌍"],
    ["a few bytes", Buffer.from("hello")],
    ["a long text", "ü".repeat(50_000)],
    ["many bytes", Buffer.alloc(100_000, "x")],
    ["more bytes than are kept in memory for the next frame", Buffer.alloc(2_000_000, "x")],
  ])("%s has one frame in memory for all sockets", async (_name, data) => {
    const { app, all } = await lines(5, ["news"]);
    app.publish("news", data);
    for (const { client } of all) await client.nextMessage();
    expect(all.map(({ writes }) => writes.length)).toEqual([1, 1, 1, 1, 1]);
    expectSameMemory(all);
  });
});
