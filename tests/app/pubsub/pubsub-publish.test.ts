/** Publishing within one process: which sockets get a message, in which form and in which order. */
import { describe, expect, test } from "vitest";
import { crowd, messagesOf, messagesOfAll } from "../../support/crowd.ts";
import { text } from "../../support/frames.ts";

describe("publish", () => {
  test("app.publish reaches all subscribed sockets, and returns their number", async () => {
    const { app, member } = await crowd();
    const members = [await member("a"), await member("a", "b"), await member("b"), await member()];
    expect([app.publish("a", "to a"), app.publish("b", "to b"), app.publish("c", "to c")]).toEqual([2, 2, 0]);
    expect(await messagesOfAll(members)).toEqual([["to a"], ["to a", "to b"], ["to b"], []]);
  });

  test("socket.publish reaches all subscribed sockets but itself, whether it is subscribed or not", async () => {
    const { member } = await crowd();
    const [a, b, guest] = [await member("news"), await member("news"), await member()];
    expect(a.socket.publish("news", "from a")).toBe(1);
    expect(guest.socket.publish("news", "from a guest")).toBe(2);
    expect(a.socket.publish("nowhere", "?")).toBe(0);
    expect(await messagesOfAll([a, b, guest])).toEqual([["from a guest"], ["from a", "from a guest"], []]);
  });

  test("works in a message listener, for each message of a chunk", async () => {
    const { member } = await crowd();
    const [a, b] = [await member("chat"), await member("chat")];
    for (const { socket } of [a, b]) socket.on("message", (data) => void socket.publish("chat", data));
    a.client.send(Buffer.concat(["1", "2", "3"].map((each) => text(each))));
    expect([await b.client.nextMessage(), await b.client.nextMessage()]).toEqual(["1", "2"]);
    b.client.send(text("hi"));
    expect(await a.client.nextMessage()).toBe("hi");
    expect(await messagesOfAll([a, b])).toEqual([[], ["3"]]);
  });

  const memory = Uint8Array.from({ length: 16 }, (_, i) => i);

  test.each<[string, string | ArrayBuffer | ArrayBufferView, string | Buffer]>([
    ["a text", "grüße 🌍", "grüße 🌍"],
    ["an empty text", "", ""],
    ["a long text", "ü".repeat(100_000), "ü".repeat(100_000)],
    ["a Buffer", Buffer.from("bytes"), Buffer.from("bytes")],
    ["many bytes", Buffer.alloc(100_000, "x"), Buffer.alloc(100_000, "x")],
    ["no bytes", new Uint8Array(0), Buffer.alloc(0)],
    ["an ArrayBuffer", memory.slice(2, 5).buffer, Buffer.from([2, 3, 4])],
    ["a part of a view", new Int16Array(memory.buffer, 2, 2), Buffer.from([2, 3, 4, 5])],
  ])("takes %s", async (_name, data, expected) => {
    const { app, member } = await crowd();
    const members = [await member("news"), await member("news"), await member("news")];
    expect(app.publish("news", data)).toBe(3);
    expect(members[0].socket.publish("news", data)).toBe(2);
    expect(await messagesOfAll(members)).toEqual([[expected], [expected, expected], [expected, expected]]);
  });

  test.each<[unknown, string]>([
    [42, "42"],
    [null, "null"],
    [undefined, "undefined"],
    [{}, "an object (Object)"],
    [[1, 2], "an array"],
    [Promise.resolve("x"), "an object (Promise)"],
  ])("refuses %o, even without subscribers, and sends nothing", async (data, shown) => {
    const { app, member } = await crowd();
    const members = [await member("news"), await member("news")];
    const attempts: (() => unknown)[] = [
      () => app.publish("news", data as string),
      () => app.publish("nowhere", data as string),
      () => members[0].socket.publish("news", data as string),
    ];
    for (const attempt of attempts) {
      expect(attempt).toThrow(TypeError);
      expect(attempt).toThrow(`got ${shown}`);
    }
    expect(await messagesOfAll(members)).toEqual([[], []]);
  });

  test("keeps the order of all messages to a socket", async () => {
    const { app, member } = await crowd();
    const [both, first] = [await member("a", "b"), await member("a")];
    const large = "x".repeat(100_000);
    app.publish("a", "1");
    app.publish("b", "2");
    both.socket.send("3");
    app.publish("a", large);
    app.publish("b", Buffer.from("5"));
    app.publish("a", "6");
    expect(await messagesOf(both)).toEqual(["1", "2", "3", large, Buffer.from("5"), "6"]);
    expect(await messagesOf(first)).toEqual(["1", large, "6"]);
  });

  test("delivers a message once for each topic that it is published to", async () => {
    const { app, member } = await crowd();
    const one = await member("a", "b", "c");
    for (const topic of ["a", "b", "c"]) app.publish(topic, "same");
    expect(await messagesOf(one)).toEqual(["same", "same", "same"]);
  });

  test("sends the bytes as they are when it is called", async () => {
    const { app, member } = await crowd();
    const members = [await member("news"), await member("news")];
    const bytes = Buffer.from("first");
    app.publish("news", bytes);
    bytes.write("later");
    app.publish("news", bytes);
    expect(await messagesOfAll(members)).toEqual(Array(2).fill([Buffer.from("first"), Buffer.from("later")]));
  });

  test("reaches no socket that has unsubscribed, and none with messages from before it subscribed", async () => {
    const { app, member } = await crowd();
    const [a, b] = [await member("news"), await member()];
    app.publish("news", "1");
    a.socket.unsubscribe("news");
    b.socket.subscribe("news");
    app.publish("news", "2");
    expect(await messagesOfAll([a, b])).toEqual([["1"], ["2"]]);
  });

  test("works for a socket that has ended, so that a close listener can tell the others", async () => {
    const { member } = await crowd();
    const [a, b] = [await member("news"), await member("news")];
    const told = new Promise((resolve) => a.socket.on("close", () => resolve(a.socket.publish("news", "a has gone"))));
    a.client.reset();
    expect(await told).toBe(1);
    expect(await messagesOf(b)).toEqual(["a has gone"]);
  });

  test("reaches no socket after app.close(), and does not throw", async () => {
    const { app, member } = await crowd();
    await member("news");
    const closing = app.close({ timeoutMs: 50 });
    expect(app.publish("news", "late")).toBe(0);
    await closing;
    expect([app.publish("news", "later"), app.subscribers("news"), app.stats().topics]).toEqual([0, 0, 0]);
  });
});
