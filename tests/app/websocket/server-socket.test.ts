import { randomBytes } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Socket } from "../../../mod.ts";
import { connectPair, connectTo, eventOf, listeningApp, until } from "../../support/app.ts";
import { binary, close, opcodes, ping, pong, text } from "../../support/frames.ts";

describe("send", () => {
  const memory = Uint8Array.from({ length: 16 }, (_, i) => i);

  test.each<[string, string | ArrayBuffer | ArrayBufferView, string | Buffer]>([
    ["a text", "grüße 🌍", "grüße 🌍"],
    ["an empty text", "", ""],
    ["a Buffer", Buffer.from("bytes"), Buffer.from("bytes")],
    ["a Uint8Array", memory, Buffer.from(memory)],
    ["a part of one", memory.subarray(3, 7), Buffer.from([3, 4, 5, 6])],
    ["no bytes", new Uint8Array(0), Buffer.alloc(0)],
    ["an ArrayBuffer", memory.slice(2, 5).buffer, Buffer.from([2, 3, 4])],
    ["a DataView", new DataView(memory.buffer, 4, 3), Buffer.from([4, 5, 6])],
    ["an Int16Array", new Int16Array(memory.buffer, 2, 2), Buffer.from([2, 3, 4, 5])],
    ["a Float64Array", new Float64Array(memory.buffer, 8, 1), Buffer.from(memory.subarray(8))],
    ["a Uint8ClampedArray", new Uint8ClampedArray([1, 2]), Buffer.from([1, 2])],
  ])("takes %s", async (_name, data, expected) => {
    const { socket, client } = await connectPair();
    expect(socket.send(data)).toBe(true);
    expect(await client.nextMessage()).toEqual(expected);
  });

  test("takes a SharedArrayBuffer", async () => {
    const { socket, client } = await connectPair();
    const shared = new SharedArrayBuffer(3);
    new Uint8Array(shared).set([1, 2, 3]);
    socket.send(shared as unknown as ArrayBuffer);
    expect(await client.nextMessage()).toEqual(Buffer.from([1, 2, 3]));
  });

  test.each<[unknown, string]>([
    [42, "42"],
    [null, "null"],
    [undefined, "undefined"],
    [true, "true"],
    [{}, "an object (Object)"],
    [[1, 2], "an array"],
    [new Date(), "an object (Date)"],
    [Promise.resolve("x"), "an object (Promise)"],
    [new Blob(["x"]), "an object (Blob)"],
  ])("refuses %o, and sends nothing", async (data, shown) => {
    const { socket, client } = await connectPair();
    const attempt = (): unknown => socket.send(data as string);
    expect(attempt).toThrow(TypeError);
    expect(attempt).toThrow(`got ${shown}`);
    socket.send("next");
    expect(await client.nextMessage()).toBe("next");
  });

  test.each<[unknown, string]>([
    [{ compres: true }, 'send has no option "compres"; it has compress'],
    [{ binary: true, compress: true }, 'send has no option "binary"; it has compress'],
    [[], "send takes an object of options; got an array"],
    [null, "send takes an object of options; got null"],
    [{ compress: 1 }, "compress must be true or false; got 1"],
  ])("refuses the options %o, and sends nothing", async (options, message) => {
    const { socket, client } = await connectPair();
    const attempt = (): unknown => socket.send("data", options as object);
    expect(attempt).toThrow(TypeError);
    expect(attempt).toThrow(message);
    socket.send("next", { compress: undefined });
    expect(await client.nextMessage()).toBe("next");
  });

  test("returns false once the socket is not open, and sends nothing", async () => {
    const { socket, client, seen } = await connectPair();
    socket.close();
    expect(socket.send("late")).toBe(false);
    client.send(close(1000));
    await seen.closed;
    expect(socket.send("later")).toBe(false);
    socket.ping();
    socket.pong();
    await client.closed();
    expect(client.frames.map(({ opcode }) => opcode)).toEqual([opcodes.close]);
  });
});

describe("message", () => {
  test("is a string for text and a Buffer for binary, and isBinary tells which", async () => {
    const { socket, client } = await connectPair();
    const seen: unknown[] = [];
    const last = new Promise<void>((resolve) => {
      socket.on("message", (data, isBinary) => {
        seen.push([typeof data === "string" ? data : Buffer.isBuffer(data) && data.toString("hex"), isBinary]);
        if (seen.length === 4) resolve();
      });
    });
    client.send(text("grüße"), binary(Buffer.from([1, 2])), text(""), binary(""));
    await last;
    expect(seen).toEqual([["grüße", false], ["0102", true], ["", false], ["", true]]);
  });

  test("belongs to its listener: 500 messages that are kept are never overwritten", async () => {
    const { client, seen } = await connectPair();
    const sent = Array.from({ length: 500 }, (_, i) => randomBytes(i % 50 === 0 ? 20_000 : (i * 37) % 1_000));
    // Many messages in one chunk, some over several chunks, and more traffic behind them.
    client.send(Buffer.concat(sent.slice(0, 250).map((each) => binary(each))));
    for (const each of sent.slice(250)) client.send(binary(each));
    for (let i = 0; i < 200; i++) client.send(binary(Buffer.alloc(3_000, 0xff)));
    await until(() => seen.messages.length === 700);
    const damaged = sent.filter((each, i) => !each.equals(seen.messages[i] as Buffer));
    expect(damaged).toEqual([]);
  });

  test("may be sent back as it is, however long the client takes to read", async () => {
    const { client, seen } = await connectPair({ maxBufferedBytes: 100_000_000 }, (socket) => {
      socket.on("message", (data) => socket.send(data));
    });
    const sent = Array.from({ length: 400 }, (_, i) => randomBytes(i % 4 === 0 ? 60_000 + i : (i * 97) % 20_000));
    client.pause();
    for (let i = 0; i < 400; i += 8) client.send(Buffer.concat(sent.slice(i, i + 8).map((each) => binary(each))));
    await until(() => seen.messages.length === 400);
    client.resume();
    const received: (string | Buffer)[] = [];
    while (received.length < 400) received.push(await client.nextMessage());
    expect([...sent.keys()].filter((i) => !sent[i].equals(received[i] as Buffer))).toEqual([]);
    expect([...sent.keys()].filter((i) => !sent[i].equals(seen.messages[i] as Buffer))).toEqual([]);
  });

  test("may be changed by its listener without harm to the next message", async () => {
    const { client, seen } = await connectPair({}, (socket) => {
      socket.on("message", (data) => void (data as Buffer).fill(0xaa));
    });
    const sent = Array.from({ length: 50 }, (_, i) => Buffer.alloc(40 + i, i));
    client.send(Buffer.concat(sent.map((each) => binary(each))));
    await until(() => seen.messages.length === 50);
    expect(seen.messages.map(({ length }) => length)).toEqual(sent.map(({ length }) => length));
    expect(new Set(Buffer.concat(seen.messages as Buffer[]))).toEqual(new Set([0xaa]));
  });
});

describe("ping and pong", () => {
  test("carry texts and bytes, and are emitted", async () => {
    const { socket, client } = await connectPair();
    socket.ping("grüße");
    socket.pong(Uint8Array.of(1, 2));
    socket.ping();
    expect(await client.nextFrame()).toEqual({ fin: true, opcode: opcodes.ping, payload: Buffer.from("grüße") });
    expect(await client.nextFrame()).toEqual({ fin: true, opcode: opcodes.pong, payload: Buffer.from([1, 2]) });
    expect(await client.nextFrame()).toEqual({ fin: true, opcode: opcodes.ping, payload: Buffer.alloc(0) });

    const heard = Promise.all([eventOf(socket, "ping"), eventOf(socket, "pong")]);
    client.send(ping("one"), pong("two"));
    expect(await heard).toEqual([[Buffer.from("one")], [Buffer.from("two")]]);
  });

  test.each<[unknown, ErrorConstructor, string]>([
    ["x".repeat(126), RangeError, "at most 125 bytes; got 126"],
    ["é".repeat(63), RangeError, "at most 125 bytes; got 126"],
    [new Uint8Array(126), RangeError, "at most 125 bytes; got 126"],
    [100, TypeError, "got 100"],
    [null, TypeError, "got null"],
  ])("refuse %o, and send nothing", async (data, kind, message) => {
    const { socket, client } = await connectPair();
    for (const attempt of [() => socket.ping(data as string), () => socket.pong(data as string)]) {
      expect(attempt).toThrow(kind);
      expect(attempt).toThrow(message);
    }
    socket.ping("x".repeat(125));
    expect((await client.nextFrame()).payload.length).toBe(125);
  });
});

describe("the properties of a socket", () => {
  test("readyState follows the life of the socket, as in a browser", async () => {
    const states: [string, number][] = [];
    const { socket, client, seen } = await connectPair({}, (socket) => {
      states.push(["in the handler", socket.readyState]);
      socket.on("close", () => states.push(["in close", socket.readyState]));
    });
    expect([socket.CONNECTING, socket.OPEN, socket.CLOSING, socket.CLOSED]).toEqual([0, 1, 2, 3]);
    states.push(["open", socket.readyState]);
    socket.close();
    states.push(["after close()", socket.readyState]);
    client.send(close(1000));
    await seen.closed;
    states.push(["afterwards", socket.readyState]);
    expect(states).toEqual([
      ["in the handler", 1],
      ["open", 1],
      ["after close()", 2],
      ["in close", 3],
      ["afterwards", 3],
    ]);
  });

  test("readyState is 2 after terminate, until the connection is over", async () => {
    const { socket, seen } = await connectPair();
    socket.terminate();
    expect(socket.readyState).toBe(2);
    await seen.closed;
    expect(socket.readyState).toBe(3);
  });

  test("readyState is 2 in an error listener after a fault of the peer", async () => {
    const states: number[] = [];
    const { client, seen } = await connectPair({}, (socket) => {
      socket.on("error", () => states.push(socket.readyState));
    });
    client.send(text("bad", { rsv: 1 }));
    await seen.closed;
    expect(states).toEqual([2]);
  });

  test("every socket has an id of its own that stays, an address that it keeps, and data that the application may set", async () => {
    const sockets: Socket[] = [];
    const app = await listeningApp({}, (app) => app.ws("/", (socket) => void sockets.push(socket)));
    const clients = [await connectTo(app), await connectTo(app)];
    const ids = sockets.map(({ id }) => id);
    expect(new Set(ids).size).toBe(2);
    for (const [i, socket] of sockets.entries()) {
      expect(socket).toMatchObject({ protocol: "", extensions: "", data: undefined, remoteAddress: "127.0.0.1" });
      socket.data = { name: i };
      const ended = eventOf(socket, "close");
      clients[i].reset();
      await ended;
      expect(socket).toMatchObject({ id: ids[i], remoteAddress: "127.0.0.1", data: { name: i }, bufferedAmount: 0 });
    }
  });

  test("listenerCount counts the listeners, which are removed after close", async () => {
    const { socket, client, seen } = await connectPair();
    expect(socket.listenerCount("message")).toBe(1);
    client.send(close(1000));
    await seen.closed;
    await nextTurn();
    expect((["message", "close", "error"] as const).map((event) => socket.listenerCount(event))).toEqual([0, 0, 0]);
  });

  test("an event that does not exist is refused, with a list of those that exist", async () => {
    const { socket } = await connectPair();
    expect(() => socket.on("data" as "message", () => {})).toThrow(
      'no event "data"; it has message, close, error, ping, pong, drain',
    );
  });
});
