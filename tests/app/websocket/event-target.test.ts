/** `addEventListener`, `removeEventListener` and `binaryType`: the events of a socket as in a browser. */

import { RPCHandler } from "@orpc/server/websocket";
import { os } from "@orpc/server";
import { describe, expect, test } from "vitest";
import type { Socket, SocketMessageEvent } from "../../../mod.ts";
import { connectPair, connectTo, errorEntry, eventOf, listeningApp, recordingLogger } from "../../support/app.ts";
import { binary, close, ping, text } from "../../support/frames.ts";

/** Both ends of a connection whose handler does nothing but add the listeners of a test. */
async function pairWith(prepare: (socket: Socket) => unknown, options: object = {}) {
  const arrived = Promise.withResolvers<Socket>();
  const app = await listeningApp(options, (app) =>
    app.ws("/", (socket) => {
      arrived.resolve(socket);
      return prepare(socket);
    }));
  return { client: await connectTo(app), socket: await arrived.promise };
}

describe("message", () => {
  test("has the text or the bytes, the type, and the socket as target and as this", async () => {
    const events: unknown[] = [];
    const { socket, client } = await pairWith((socket) => {
      socket.addEventListener("message", function (this: unknown, event) {
        events.push({ ...event, self: this });
        socket.send("");
      });
    });
    client.send(Buffer.concat([text("grüße"), binary(Buffer.from([1, 2]))]));
    await client.nextMessage();
    await client.nextMessage();
    const rest = { type: "message", target: socket, currentTarget: socket, self: socket };
    expect(events.length).toBe(2);
    expect(events[0]).toStrictEqual({ ...rest, data: "grüße" });
    expect(events[1]).toStrictEqual({ ...rest, data: Buffer.from([1, 2]) });
  });

  test("comes in the forms of binaryType; a text is a string in all of them, and on() has a Buffer", async () => {
    const data: SocketMessageEvent["data"][] = [];
    const plain: unknown[] = [];
    const { socket, client } = await pairWith((socket) => {
      socket.on("message", (data) => plain.push(data));
      socket.addEventListener("message", (event) => {
        data.push(event.data);
        socket.send("");
      });
    });
    const bytes = Buffer.from([7, 8, 9]);
    expect(socket.binaryType).toBe("nodebuffer");
    for (const binaryType of ["arraybuffer", "blob", "nodebuffer"] as const) {
      socket.binaryType = binaryType;
      expect(socket.binaryType).toBe(binaryType);
      client.send(Buffer.concat([binary(bytes), text("text")]));
      await client.nextMessage();
      await client.nextMessage();
    }
    const [arrayBuffer, , blob, , buffer] = data as [ArrayBuffer, string, Blob, string, Buffer];
    expect(arrayBuffer).toBeInstanceOf(ArrayBuffer);
    expect(Buffer.from(arrayBuffer)).toEqual(bytes);
    expect(blob).toBeInstanceOf(Blob);
    expect(Buffer.from(await blob.arrayBuffer())).toEqual(bytes);
    expect(buffer).toEqual(bytes);
    expect([data[1], data[3], data[5]]).toEqual(["text", "text", "text"]);
    expect(plain).toEqual([bytes, "text", bytes, "text", bytes, "text"]);
    expect(() => (socket.binaryType = "fragments" as "blob")).toThrow(
      new TypeError('binaryType must be "nodebuffer", "arraybuffer" or "blob"; got "fragments"'),
    );
  });

  test("waits for a listener that is added while the handler is not done, and comes in order among those of on()", async () => {
    const got: string[] = [];
    const all = Promise.withResolvers<void>();
    const { socket, client } = await pairWith(() => all.promise);
    client.send(Buffer.concat([text("a"), text("b"), ping("sent behind the messages")]));
    await eventOf(socket, "ping");
    expect(socket.listenerCount("message")).toBe(0);
    socket.on("message", (data) => got.push(`first ${data}`));
    socket.addEventListener("message", ({ data }) => got.push(`second ${data}`));
    socket.on("message", (data) => {
      got.push(`third ${data}`);
      if (data === "b") all.resolve();
    });
    expect(socket.listenerCount("message")).toBe(3);
    await all.promise;
    expect(got).toEqual(["first a", "second a", "third a", "first b", "second b", "third b"]);
  });
});

describe("close and error", () => {
  test("close has the code, the reason and whether it was clean, also for a listener that comes late", async () => {
    const events: unknown[] = [];
    const ended = Promise.withResolvers<void>();
    const { socket, client } = await pairWith((socket) => {
      socket.addEventListener("close", (event) => {
        events.push(event);
        ended.resolve();
      });
    });
    client.send(close(4001, "enough"));
    await ended.promise;
    await new Promise((resolve) => socket.addEventListener("close", (event) => resolve(events.push(event))));
    const event = {
      type: "close",
      target: socket,
      currentTarget: socket,
      code: 4001,
      reason: "enough",
      wasClean: true,
    };
    expect(events.length).toBe(2);
    for (const each of events) expect(each).toStrictEqual(event);
  });

  test("error has the Error and its message", async () => {
    const { socket, client } = await pairWith(() => {});
    const event = new Promise((resolve) => socket.addEventListener("error", resolve));
    client.send(Buffer.from([0xff, 0x80]));
    expect(await event).toMatchObject({
      type: "error",
      target: socket,
      error: expect.any(Error),
      message: expect.stringContaining("RSV"),
    });
  });

  test.each<[string, (error: Error) => unknown]>([
    ["throws", (error) => {
      throw error;
    }],
    ["rejects", (error) => Promise.reject(error)],
    ["has no handleEvent that can be called", () => undefined],
  ])("a listener that %s is logged, emitted as error, and closes the socket with 1011", async (name, fail) => {
    const { logger, entries } = recordingLogger();
    const error = new Error("on purpose");
    const errors: Error[] = [];
    const { client } = await pairWith((socket) => {
      const listener = name.startsWith("has") ? {} as { handleEvent(): void } : () => fail(error);
      socket.addEventListener("message", listener);
      socket.addEventListener("error", ({ error }) => errors.push(error));
    }, { logger });
    client.send(text("hello"));
    while (client.closeFrame === undefined) await client.nextFrame();
    expect(client.closeFrame.payload.readUInt16BE(0)).toBe(1011);
    expect(errors.length).toBe(1);
    if (!name.startsWith("has")) expect(errors).toEqual([error]);
    expect(entries).toEqual([errorEntry('listener of "message" has thrown', errors[0])]);
  });
});

describe("listeners", () => {
  /** Sends a text, and waits until the listeners have had it. */
  async function deliver({ socket, client }: Awaited<ReturnType<typeof connectPair>>, data: string): Promise<void> {
    const arrived = eventOf(socket, "message");
    client.send(text(data));
    await arrived;
  }

  test("are functions, or objects whose handleEvent is looked up for each event", async () => {
    const pair = await connectPair();
    const got: unknown[] = [];
    const object = { handleEvent: ({ data }: SocketMessageEvent): unknown => got.push(`first ${data}`) };
    pair.socket.addEventListener("message", object);
    await deliver(pair, "a");
    object.handleEvent = function (this: unknown, { data }) {
      return got.push(`second ${data}`, this);
    };
    await deliver(pair, "b");
    expect(got).toEqual(["first a", "second b", object]);
  });

  test("count once for a type however often they are added, and once for another type", async () => {
    const pair = await connectPair();
    const before = pair.socket.listenerCount("message");
    const got: string[] = [];
    const listener = ({ type }: { type: string }): unknown => got.push(type);
    pair.socket.addEventListener("message", listener);
    pair.socket.addEventListener("message", listener, true);
    pair.socket.addEventListener("message", listener, { once: true, capture: true });
    pair.socket.addEventListener("close", listener);
    expect(pair.socket.listenerCount("message")).toBe(before + 1);
    await deliver(pair, "a");
    await deliver(pair, "b");
    pair.client.send(close(1000));
    await pair.seen.closed;
    expect(got).toEqual(["message", "message", "close"]);
  });

  test("are removed by removeEventListener, and may be added again", async () => {
    const pair = await connectPair();
    const before = pair.socket.listenerCount("message");
    const got: unknown[] = [];
    const listener = ({ data }: SocketMessageEvent): unknown => got.push(data);
    pair.socket.removeEventListener("message", listener);
    pair.socket.addEventListener("message", listener);
    pair.socket.removeEventListener("close", listener as () => void);
    pair.socket.removeEventListener("message", () => {});
    pair.socket.removeEventListener("message", null);
    await deliver(pair, "a");
    pair.socket.removeEventListener("message", listener);
    expect(pair.socket.listenerCount("message")).toBe(before);
    await deliver(pair, "b");
    pair.socket.addEventListener("message", listener);
    await deliver(pair, "c");
    expect(got).toEqual(["a", "c"]);
  });

  test("with once are called once, and may be added again inside that call", async () => {
    const pair = await connectPair();
    const got: unknown[] = [];
    const listener = ({ data }: SocketMessageEvent): void => {
      got.push(data);
      if (data === "a") pair.socket.addEventListener("message", listener, { once: true });
    };
    pair.socket.addEventListener("message", listener, { once: true });
    for (const data of ["a", "b", "c"]) await deliver(pair, data);
    expect(got).toEqual(["a", "b"]);
  });

  test("end when their signal aborts, and are not added with a signal that has aborted", async () => {
    const pair = await connectPair();
    const before = pair.socket.listenerCount("message");
    const got: unknown[] = [];
    const controller = new AbortController();
    const listener = ({ data }: SocketMessageEvent): unknown => got.push(data);
    pair.socket.addEventListener("message", listener, { signal: controller.signal });
    await deliver(pair, "a");
    controller.abort();
    expect(pair.socket.listenerCount("message")).toBe(before);
    pair.socket.addEventListener("message", listener, { signal: controller.signal });
    await deliver(pair, "b");
    expect(got).toEqual(["a"]);
  });

  test("leave nothing on a signal, whether they are removed, called once, or their socket ends", async () => {
    const pair = await connectPair();
    let count = 0;
    const { signal } = new AbortController();
    const { addEventListener, removeEventListener } = signal;
    Object.assign(signal, {
      addEventListener: (...args: Parameters<typeof addEventListener>) => {
        count++;
        addEventListener.apply(signal, args);
      },
      removeEventListener: (...args: Parameters<typeof removeEventListener>) => {
        count--;
        removeEventListener.apply(signal, args);
      },
    });
    const removed = (): void => {};
    pair.socket.addEventListener("message", removed, { signal });
    pair.socket.addEventListener("message", () => {}, { signal, once: true });
    pair.socket.addEventListener("message", () => {}, { signal });
    pair.socket.addEventListener("close", () => {}, { signal });
    expect(count).toBe(4);
    pair.socket.removeEventListener("message", removed);
    expect(count).toBe(3);
    await deliver(pair, "a");
    expect(count).toBe(2);
    pair.client.send(close(1000));
    await pair.seen.closed;
    await pair.client.closed();
    expect(count).toBe(0);
  });

  test("of open, of null and of types that do not exist are ignored", async () => {
    const pair = await connectPair();
    const fail = (): never => {
      throw new Error("Must not be called");
    };
    pair.socket.addEventListener("open", fail);
    for (const type of ["ping", "drain", "toString", "__proto__", ""]) {
      pair.socket.addEventListener(type as "open", fail);
      pair.socket.removeEventListener(type as "open", fail);
    }
    pair.socket.addEventListener("message", null);
    pair.client.send(Buffer.concat([ping(""), text("a")]));
    await eventOf(pair.socket, "message");
    expect(pair.seen.errors).toEqual([]);
  });

  test.each<[unknown, unknown, string]>([
    [42, undefined, 'The listener of "message" must be a function or an object with handleEvent; got 42'],
    [undefined, {}, 'The listener of "message" must be a function or an object with handleEvent; got undefined'],
    [() => {}, "once", 'The third argument of addEventListener must be an object; got "once"'],
    [() => {}, { signal: "abort" }, 'signal must be an AbortSignal; got "abort"'],
    [() => {}, { signal: null }, "signal must be an AbortSignal; got null"],
  ])("are refused: %o with %o", async (listener, options, message) => {
    const { socket } = await connectPair();
    const before = socket.listenerCount("message");
    const attempt = (): void => socket.addEventListener("message", listener as () => void, options as object);
    expect(attempt).toThrow(new TypeError(message));
    expect(socket.listenerCount("message")).toBe(before);
  });
});

test("a library for the browser's interface works: a procedure of oRPC is called", async () => {
  const handler = new RPCHandler({ double: os.handler(({ input }) => Number(input) * 2) });
  const { client } = await pairWith((socket) => handler.upgrade(socket as unknown as WebSocket));
  client.send(text(JSON.stringify({ i: "1", p: { u: "/double", b: { json: 21 } } })));
  expect(JSON.parse(String(await client.nextMessage()))).toMatchObject({ i: "1", p: { b: { json: 42 } } });
});
