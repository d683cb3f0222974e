/**
 * How a socket closes, with a client over TCP: the closing handshake, peers that do not keep to it, faults, and wrong
 * arguments of `close`.
 */

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { connectPair, type Pair, until } from "../../support/app.ts";
import { binary, close, opcodes, ping, text } from "../../support/frames.ts";

describe("the closing handshake", () => {
  test.each<[string, number | undefined, string | undefined, Buffer, { code: number; reason: string }]>([
    ["with a code and a reason", 4000, "bis bald", close(4000, "bis bald"), { code: 4000, reason: "bis bald" }],
    ["with a code alone", 1001, undefined, close(1001), { code: 1001, reason: "" }],
    ["with nothing: 1000", undefined, undefined, close(1000), { code: 1000, reason: "" }],
    ["with 1005: an empty Close", 1005, undefined, close(), { code: 1005, reason: "" }],
  ])("begun by the server %s", async (_name, code, reason, answer, expected) => {
    const { socket, client, seen } = await connectPair();
    socket.send("before");
    socket.close(code, reason);
    expect(await client.nextMessage()).toBe("before");
    expect((await client.nextFrame()).opcode).toBe(opcodes.close);
    expect(seen.closes).toEqual([]);
    client.send(answer);
    expect(await client.closed()).toEqual({ ...expected, ended: "fin" });
    expect(await seen.closed).toEqual([expected.code, expected.reason, true]);
  });

  test.each<[string, Buffer, { code: number; reason: string }]>([
    ["with a code and a reason", close(4000, "bis bald"), { code: 4000, reason: "bis bald" }],
    ["with a code alone", close(1001), { code: 1001, reason: "" }],
    ["with nothing: 1005", close(), { code: 1005, reason: "" }],
  ])("begun by the peer %s", async (_name, frame, expected) => {
    const { client, seen } = await connectPair();
    client.send(text("before"), frame);
    expect(await client.closed()).toEqual({ ...expected, ended: "fin" });
    expect(await seen.closed).toEqual([expected.code, expected.reason, true]);
    expect(seen.messages).toEqual(["before"]);
  });

  test("close is emitted once, even if several causes come together", async () => {
    const { socket, client, seen } = await connectPair();
    client.send(close(4000));
    socket.close(4001);
    socket.close(4002);
    await seen.closed;
    socket.close(4003);
    socket.terminate();
    await client.closed();
    await nextTurn();
    expect(seen.closes.length).toBe(1);
    expect(client.frames.map(({ opcode }) => opcode)).toEqual([opcodes.close]);
  });

  test("messages that the peer sends before its own Close are delivered", async () => {
    const { socket, client, seen } = await connectPair();
    socket.close();
    await client.nextFrame();
    client.send(text("last words"), close(1000));
    expect(await seen.closed).toEqual([1000, "", true]);
    expect(seen.messages).toEqual(["last words"]);
  });

  test("close ends a pause, so that the peer's Close is read", async () => {
    const { socket, client, seen } = await connectPair();
    socket.pause();
    socket.close();
    expect(socket.isPaused).toBe(false);
    socket.pause();
    client.send(text("on its way"), close(1000));
    expect(await seen.closed).toEqual([1000, "", true]);
    expect(seen.messages).toEqual(["on its way"]);
  });
});

describe("close() and terminate() inside a message listener", () => {
  const chunk = Buffer.concat([text("1"), text("2"), ping("p"), text("3")]);

  test("close: the rest of the chunk is delivered, and its Pings are not answered", async () => {
    const { client, seen } = await connectPair({}, (socket) => {
      socket.on("message", (data) => {
        socket.send(`echo ${data as string}`);
        if (data === "2") socket.close(4000, "enough");
      });
    });
    client.send(chunk, close(4000, "enough"));
    expect(await client.closed()).toMatchObject({ code: 4000, reason: "enough" });
    expect(await seen.closed).toEqual([4000, "enough", true]);
    expect(seen.messages).toEqual(["1", "2", "3"]);
    expect(client.frames.map(({ opcode, payload }) => opcode === opcodes.text ? payload.toString() : opcode))
      .toEqual(["echo 1", "echo 2", opcodes.close]);
  });

  test("terminate: nothing more is delivered, and messages that were not written are lost", async () => {
    const { client, seen } = await connectPair({}, (socket) => {
      socket.on("message", (data) => {
        socket.send(`echo ${data as string}`);
        if (data === "2") socket.terminate();
      });
    });
    client.send(chunk);
    expect((await client.closed()).code).toBe(1006);
    expect(await seen.closed).toEqual([1006, "", false]);
    expect(seen.messages).toEqual(["1", "2"]);
  });
});

describe("a peer that does not keep to the handshake", () => {
  const ends: [string, (pair: Pair) => void][] = [
    ["ends its side without a Close", ({ client }) => client.end()],
    ["resets", ({ client }) => client.reset()],
    ["resets inside a message", ({ client }) => {
      client.send(text("cut", { fin: false }));
      client.reset();
    }],
    ["answers the server's Close with a FIN", ({ socket, client }) => {
      socket.close(4000);
      client.end();
    }],
    ["answers the server's Close with a reset", ({ socket, client }) => {
      socket.close(4000);
      client.reset();
    }],
  ];

  test.each(ends)("%s: close is emitted with 1006, not clean, once", async (_name, end) => {
    const pair = await connectPair();
    pair.client.send(text("here"));
    await until(() => pair.seen.messages.length > 0);
    end(pair);
    expect(await pair.seen.closed).toEqual([1006, "", false]);
    await pair.client.closed();
    await nextTurn();
    expect(pair.seen.closes.length).toBe(1);
    expect(pair.seen.errors).toEqual([]);
    expect([...pair.app.sockets]).toEqual([]);
  });

  test("never answers: it is cut after closeTimeoutMs", async () => {
    const { socket, client, seen } = await connectPair({ closeTimeoutMs: 100 });
    const before = performance.now();
    socket.close(4000);
    expect((await client.closed()).code).toBe(4000);
    expect(performance.now() - before).toBeGreaterThan(95);
    expect(await seen.closed).toEqual([1006, "", false]);
  });

  test("goes on sending: it is cut after closeTimeoutMs too", async () => {
    const { socket, client, seen } = await connectPair({ closeTimeoutMs: 100 });
    socket.close(4000);
    const chatter = setInterval(() => client.send(text("and another thing")), 5);
    try {
      expect(await seen.closed).toEqual([1006, "", false]);
    } finally {
      clearInterval(chatter);
    }
    expect(seen.messages.length).toBeGreaterThan(1);
  });

  test("does not read: it is cut after closeTimeoutMs, and the messages that wait for it are lost", async () => {
    const { socket, client, seen } = await connectPair({ closeTimeoutMs: 100, maxBufferedBytes: 100_000_000 });
    client.pause();
    for (let i = 0; i < 200 && socket.bufferedAmount < 1_000_000; i++) {
      socket.send(Buffer.alloc(500_000));
      await nextTurn();
    }
    socket.close();
    expect(await seen.closed).toEqual([1006, "", false]);
    expect(socket.bufferedAmount).toBe(0);
  });
});

describe("a fault of the peer", () => {
  test.each<[string, Buffer, number]>([
    ["a frame that is not masked", text("x", { maskingKey: false }), 1002],
    ["text that is not UTF-8", text(Buffer.from([0xff])), 1007],
    ["a message that is too large", binary(Buffer.alloc(101)), 1009],
  ])("%s: error is emitted, then close, and the socket is gone", async (_name, frame, code) => {
    const { app, client, seen } = await connectPair({ maxMessageBytes: 100 });
    client.send(Buffer.concat([text("before"), frame, text("after")]));
    expect(await client.closed()).toMatchObject({ code, ended: "fin" });
    expect(await seen.closed).toEqual([code, expect.any(String), false]);
    expect(seen.messages).toEqual(["before"]);
    expect(seen.errors).toEqual([expect.objectContaining({ closeCode: code })]);
    expect(app.sockets.size).toBe(0);
  });
});

describe("close() with a code or a reason that cannot be sent", () => {
  test.each<[unknown, unknown, RegExp]>([
    [999, "", /got 999/],
    [1004, "", /got 1004/],
    [1006, "", /got 1006/],
    [1015, "", /got 1015/],
    [2999, "", /got 2999/],
    [5000, "", /got 5000/],
    [1000, "r".repeat(124), /at most 123 bytes of UTF-8; got 124/],
    [1000, "€".repeat(42), /at most 123 bytes of UTF-8; got 126/],
  ])("%o %o: RangeError, and the socket stays open", async (code, reason, message) => {
    const { socket, client } = await connectPair();
    const attempt = (): void => socket.close(code as number, reason as string);
    expect(attempt).toThrow(RangeError);
    expect(attempt).toThrow(message);
    expect(socket.readyState).toBe(socket.OPEN);
    socket.send("still here");
    expect(await client.nextMessage()).toBe("still here");
  });

  test("the longest reason is sent whole", async () => {
    const { socket, client } = await connectPair();
    const reason = "€".repeat(41);
    socket.close(4999, reason);
    client.send(close(4999, reason));
    expect(await client.closed()).toMatchObject({ code: 4999, reason });
  });
});
