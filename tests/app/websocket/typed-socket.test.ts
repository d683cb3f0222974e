/** Sockets of routes with schemas: what handlers and clients get, and what happens to messages that do not fit. */

import { AsyncLocalStorage } from "node:async_hooks";
import { channel } from "node:diagnostics_channel";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import type { App, DiagnosticsMessages, RouteOptions, Socket, SocketEvents, StandardIssue } from "../../../mod.ts";
import { connectTo, errorEntry, listeningApp, recordingLogger } from "../../support/app.ts";
import { binary, close, text } from "../../support/frames.ts";
import type { RawClient } from "../../support/raw-client.ts";

type Said = { text: string };
type TypedSocket = Socket<unknown, Said, Said>;
type Options = Omit<RouteOptions<object, unknown, unknown, Said, Said>, "upgrade">;

const schema = z.object({ text: z.string().max(100) });
const json = (value: unknown): Buffer => text(JSON.stringify(value));
const said = (text: string): Buffer => json({ text });

/** An app with a typed route at `/`, a client of it, and the server's end. */
async function typedPair(
  handler: (socket: TypedSocket) => unknown = () => {},
  options: Options = {},
  logger?: ReturnType<typeof recordingLogger>["logger"],
): Promise<{ app: App; client: RawClient; socket: TypedSocket }> {
  const arrived = Promise.withResolvers<TypedSocket>();
  const app = await listeningApp(
    logger === undefined ? {} : { logger },
    (app) =>
      app.ws("/", { message: schema, reply: schema, ...options }, (socket) => {
        arrived.resolve(socket);
        return handler(socket);
      }),
  );
  return { app, client: await connectTo(app), socket: await arrived.promise };
}

/** Resolves with the arguments of the server's `close` event. */
function closeEvent(socket: TypedSocket): Promise<SocketEvents["close"]> {
  return new Promise((resolve) => void socket.once("close", (...args) => resolve(args)));
}

/** The code and the reason of the server's Close, which the client answers. */
async function closeOf(client: RawClient): Promise<[code: number, reason: string]> {
  while (client.closeFrame === undefined) await client.nextFrame();
  const { payload } = client.closeFrame;
  client.send(close(payload.readUInt16BE(0)));
  await client.closed();
  return [payload.readUInt16BE(0), payload.subarray(2).toString()];
}

function echo(socket: TypedSocket): void {
  socket.on("message", (message) => socket.send(message));
}

describe("messages", () => {
  test("are what the schema has made of them, and are never binary", async () => {
    const heard: unknown[] = [];
    const { client } = await typedPair((socket) => {
      socket.on("message", (...args) => {
        heard.push(args);
        socket.send(args[0]);
      });
    });
    client.send(json({ text: "grüße", more: 1 }));
    expect(await client.nextMessage()).toBe('{"text":"grüße"}');
    expect(heard).toEqual([[{ text: "grüße" }, false]]);
  });

  test("wait for a handler that prepares itself, and go to a loop, a stream and a listener in turns", async () => {
    const ready = Promise.withResolvers<void>();
    const heard: unknown[] = [];
    const { client, socket } = await typedPair(async (socket) => {
      await ready.promise;
      for await (const { text } of socket) {
        heard.push(["loop", text]);
        break;
      }
      const reader = socket.readable.getReader();
      heard.push(["stream", (await reader.read()).value?.text]);
      socket.on("message", ({ text }) => void heard.push(["listener", text]));
    });
    client.send(said("a"), said("b"), said("c"), said("d"), close(1000));
    const closed = closeEvent(socket);
    ready.resolve();
    expect((await closed)[0]).toBe(1000);
    await nextTurn();
    expect(heard).toEqual([["loop", "a"], ["stream", "b"], ["listener", "c"], ["listener", "d"]]);
  });

  test("are values for addEventListener too, whatever `binaryType` says", async () => {
    const { client } = await typedPair((socket) => {
      socket.binaryType = "arraybuffer";
      socket.addEventListener("message", ({ data, target }) => {
        target.send({ text: `${data.text}!` }, (error) => void target.send({ text: `${error}` }));
      });
    });
    client.send(said("a"));
    expect([await client.nextMessage(), await client.nextMessage()]).toEqual(['{"text":"a!"}', '{"text":"undefined"}']);
  });

  test("are heard as text by subscribers of the diagnostics channel, whose store reaches the listener", async () => {
    const storage = new AsyncLocalStorage<string>();
    const messages = channel("spacenode:message");
    messages.bindStore(storage, (message) => {
      return String((message as DiagnosticsMessages["spacenode:message"]).data);
    });
    onTestFinished(() => void messages.unbindStore(storage));
    const { client } = await typedPair((socket) => {
      socket.on("message", () => socket.send({ text: storage.getStore() ?? "" }));
    });
    client.send(said("a"));
    expect(JSON.parse(String(await client.nextMessage()))).toEqual({ text: '{"text":"a"}' });
  });
});

describe("replies", () => {
  test("are written as JSON by send, publish and the stream", async () => {
    const { app, client, socket } = await typedPair((socket) => void socket.subscribe("all"));
    const other = await connectTo(app);
    expect(socket.send({ text: "send" })).toBe(true);
    const writer = socket.writable.getWriter();
    await writer.write({ text: "stream" });
    expect(socket.publish("all", { text: "publish" })).toBe(1);
    expect([await client.nextMessage(), await client.nextMessage()]).toEqual(['{"text":"send"}', '{"text":"stream"}']);
    expect(await other.nextMessage()).toBe('{"text":"publish"}');
  });

  test("that are encoded already stay as they are: in a loop over the app's sockets, and by app.publish", async () => {
    const { app, client } = await typedPair((socket) => void socket.subscribe("all"));
    const encoded = JSON.stringify({ text: "all" });
    for (const socket of app.sockets) {
      socket.send(encoded);
      socket.send(new Uint8Array([1, 2]).buffer);
      socket.send(Buffer.from([3]));
    }
    app.publish("all", encoded);
    const got = [];
    while (got.length < 4) got.push(await client.nextMessage());
    expect(got).toEqual([encoded, Buffer.from([1, 2]), Buffer.from([3]), encoded]);
  });

  test.each<[unknown, string]>([[null, "null"], [7, "7"], [false, "false"], [[1], "[1]"], [
    new Date(0),
    '"1970-01-01T00:00:00.000Z"',
  ]])(
    "may be %o",
    async (reply, expected) => {
      const { client } = await typedPair((socket) => void socket.send(reply as Said));
      expect(await client.nextMessage()).toBe(expected);
    },
  );

  test("are not validated: the client's side is to do that", async () => {
    const { client } = await typedPair((socket) => void socket.send({ text: "x".repeat(200), more: 1 } as Said));
    expect(JSON.parse(String(await client.nextMessage()))).toEqual({ text: "x".repeat(200), more: 1 });
  });

  test.each<[string, unknown, string]>([
    ["undefined", undefined, "A reply must be a value that JSON can write; got undefined"],
    ["a function", () => {}, "A reply must be a value that JSON can write; got the function (anonymous)"],
    ["a symbol", Symbol("s"), "A reply must be a value that JSON can write; got Symbol(s)"],
    ["a bigint", 1n, "BigInt"],
  ])("cannot be %s: send throws, and sends nothing", async (_name, reply, message) => {
    const { client, socket } = await typedPair();
    expect(() => socket.send(reply as Said)).toThrow(TypeError);
    expect(() => socket.publish("all", reply as Said)).toThrow(message);
    socket.send({ text: "next" });
    expect(await client.nextMessage()).toBe('{"text":"next"}');
  });

  test("stay strings and bytes on a route with `message` alone, and messages do on one with `reply` alone", async () => {
    const app = await listeningApp({}, (app) => {
      app.ws("/message", { message: schema }, (socket) => {
        expect(() => socket.send({ text: "a" } as unknown as string)).toThrow("A message must be a string");
        socket.on("message", ({ text }) => socket.send(text));
      });
      app.ws("/reply", { reply: z.object({ got: z.unknown() }) }, (socket) => {
        socket.on("message", (got, isBinary) => socket.send({ got: [isBinary, got.toString()] }));
      });
    });
    const client = await connectTo(app, "/message");
    client.send(said("a"));
    expect(await client.nextMessage()).toBe("a");
    const other = await connectTo(app, "/reply");
    other.send(text("{"), binary(Buffer.from("b")));
    expect(await other.nextMessage()).toBe('{"got":[false,"{"]}');
    expect(await other.nextMessage()).toBe('{"got":[true,"b"]}');
  });
});

describe("a message that does not fit", () => {
  const misfits: [string, Buffer, string][] = [
    ["is no JSON", text("{secret"), "The message is not JSON"],
    ["is binary", binary(Buffer.from('{"text":"a"}')), "The message is binary, but a text with JSON is expected"],
    ["is not what the schema says", json({ text: 7 }), "The message does not fit the schema"],
    ["is too deep", text("[".repeat(1024 * 1024)), "The message is nested more than 128 levels deep"],
    [
      "is as deep as it is long",
      text("[".repeat(512 * 1024) + "]".repeat(512 * 1024)),
      "The message is nested more than 128 levels deep",
    ],
    ["has the key __proto__", text('{"text":"a","__proto__":{}}'), 'The message has the key "__proto__"'],
  ];

  test.each(misfits)("because it %s closes with 1007, and nothing behind it is read", async (_name, frame, reason) => {
    const { logger, entries } = recordingLogger();
    const heard: string[] = [];
    const events: unknown[] = [];
    const { client, socket } = await typedPair(
      (socket) => {
        socket.on("message", ({ text }) => heard.push(text));
        socket.on("error", (error) => events.push(String(error)));
        socket.on("close", (...args) => events.push(args));
      },
      {},
      logger,
    );
    const closed = closeEvent(socket);
    client.send(said("before"), frame, said("behind"), frame);
    expect(await closeOf(client)).toEqual([1007, reason]);
    await closed;
    expect(heard).toEqual(["before"]);
    expect(events).toEqual([`ProtocolError: ${reason}`, [1007, "", true]]);
    expect(entries).toEqual([]);
  });

  test.each(misfits)(
    "because it %s goes to onInvalid, and the next messages are read",
    async (_name, frame, reason) => {
      const calls: [unknown, readonly StandardIssue[]][] = [];
      const { client, socket } = await typedPair(echo, {
        onInvalid: (socket, issues) => {
          calls.push([socket, issues]);
          socket.send({ text: "no" });
        },
      });
      client.send(said("a"), frame, said("b"));
      expect([await client.nextMessage(), await client.nextMessage(), await client.nextMessage()])
        .toEqual(['{"text":"a"}', '{"text":"no"}', '{"text":"b"}']);
      expect(calls).toEqual([[socket, [expect.objectContaining({ message: expect.any(String) })]]]);
      if (!reason.endsWith("the schema")) expect(calls[0]![1][0]!.message).toBe(reason);
    },
  );

  test("ends a loop, which gets what came before", async () => {
    const heard: string[] = [];
    const ended = Promise.withResolvers<void>();
    const { client } = await typedPair(async (socket) => {
      for await (const { text } of socket) {
        heard.push(text);
        await nextTurn();
      }
      ended.resolve();
    });
    client.send(said("a"), said("b"), json(7), said("c"));
    expect(await closeOf(client)).toEqual([1007, "The message does not fit the schema"]);
    await ended.promise;
    expect(heard).toEqual(["a", "b"]);
  });

  test("behind the server's own Close changes nothing", async () => {
    const errors: unknown[] = [];
    const { client, socket } = await typedPair((socket) => {
      socket.on("message", ({ text }) => socket.close(4000, text));
      socket.on("error", (error) => errors.push(error));
    });
    const closed = closeEvent(socket);
    client.send(said("bye"), json(7), json(7));
    expect(await closeOf(client)).toEqual([4000, "bye"]);
    expect(await closed).toEqual([4000, "", true]);
    expect(errors).toEqual([]);
  });

  test("may be answered with a Close of one's own", async () => {
    const { client } = await typedPair(echo, {
      onInvalid: (socket, issues) => socket.close(4400, `${issues[0]?.path?.join(".")}`),
    });
    client.send(json({ text: 7 }));
    expect(await closeOf(client)).toEqual([4400, "text"]);
  });

  test("is dropped with all others when nobody reads", async () => {
    const { client } = await typedPair((socket) => {
      socket.on("close", () => {});
      socket.send({ text: "hello" });
    });
    expect(await client.nextMessage()).toBe('{"text":"hello"}');
    client.send(text("no JSON"), close(1000));
    expect((await client.closed()).code).toBe(1000);
  });
});

describe("the server's own faults close with 1011, and are logged once", () => {
  const broken = new Error("broken");
  const fail = (): never => {
    throw broken;
  };
  const cases: [string, Options, string][] = [
    ["a schema that throws", { message: ownSchema(fail) }, "the schema of the messages has thrown"],
    [
      "a schema whose promise is rejected",
      { message: ownSchema(() => Promise.reject(broken)) },
      "the schema of the messages has thrown",
    ],
    ["an onInvalid that throws", { onInvalid: fail }, "the option onInvalid has thrown"],
    [
      "an onInvalid whose promise is rejected",
      { onInvalid: () => Promise.reject(broken) },
      "the option onInvalid has thrown",
    ],
  ];

  /** A schema of no library. */
  function ownSchema(validate: () => Promise<never>): Options["message"] {
    return { "~standard": { version: 1, vendor: "test", validate } };
  }

  test.each(cases)("%s", async (_name, options, place) => {
    const { logger, entries } = recordingLogger();
    const errors: unknown[] = [];
    const { client } = await typedPair(
      (socket) => {
        socket.on("error", (error) => errors.push(error));
        return (async () => {
          for await (const message of socket) socket.send(message);
        })();
      },
      options,
      logger,
    );
    client.send(json({ text: 7 }), json({ text: 7 }), said("a"));
    const [code, reason] = await closeOf(client);
    expect([code, reason]).toEqual([1011, ""]);
    expect(errors[0]).toBe(broken);
    expect(entries[0]).toEqual(errorEntry(place, broken));
    if (!place.includes("onInvalid") || options.onInvalid === fail) {
      expect([errors.length, entries.length]).toEqual([1, 1]);
    }
  });
});

describe("an async schema", () => {
  test("keeps the order of messages, whatever their times are, up to the client's Close", async () => {
    const slow = z.object({
      text: z.string().refine(async (text) => {
        for (let turns = Number(text) % 5; turns > 0; turns--) await nextTurn();
        return true;
      }),
    });
    const heard: string[] = [];
    const all = Promise.withResolvers<void>();
    const { client } = await typedPair((socket) => {
      socket.on("message", ({ text }) => {
        heard.push(text);
        if (heard.length === 100) all.resolve();
      });
    }, { message: slow });
    const texts = Array.from({ length: 100 }, (_, i) => `${100 - i}`);
    client.send(...texts.map(said), close(1000));
    await all.promise;
    expect(heard).toEqual(texts);
    expect((await client.closed()).code).toBe(1000);
  });

  test("that never answers lets a flood wait in TCP, and not in memory", async () => {
    const asked = Promise.withResolvers<void>();
    const never: Options["message"] = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: () => {
          asked.resolve();
          return new Promise(() => {});
        },
      },
    };
    const { client, socket } = await typedPair(echo, { message: never });
    client.send(...Array.from({ length: 5_000 }, () => said("x")));
    await asked.promise;
    while (!socket.isPaused) await nextTurn();
    expect(socket.isPaused).toBe(true);
    socket.terminate();
  });

  test("does not outlive a socket that is cut: nothing is handed out", async () => {
    const answer = Promise.withResolvers<{ value: Said }>();
    const asked = Promise.withResolvers<void>();
    const heard: unknown[] = [];
    const validate = (): Promise<{ value: Said }> => {
      asked.resolve();
      return answer.promise;
    };
    const { client, socket } = await typedPair(
      (socket) => void socket.on("message", (message) => heard.push(message)),
      { message: { "~standard": { version: 1, vendor: "test", validate } } },
    );
    client.send(said("a"));
    await asked.promise;
    const closed = closeEvent(socket);
    socket.terminate();
    expect((await closed)[0]).toBe(1006);
    answer.resolve({ value: { text: "late" } });
    await nextTurn();
    expect(heard).toEqual([]);
  });
});

test("the app knows its typed sockets", async () => {
  const { app, socket } = await typedPair();
  expect(app.sockets.size).toBe(1);
  expect(app.sockets.has(socket)).toBe(true);
});
