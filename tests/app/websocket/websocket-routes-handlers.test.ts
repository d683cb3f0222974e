/**
 * Handlers of routes: no message is lost while a handler sets itself up, and an exception in a handler harms its own
 * socket only.
 */

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Socket, SocketEvents } from "../../../mod.ts";
import {
  connectPair,
  connectTo,
  errorEntry,
  eventOf,
  listeningApp,
  recordingLogger,
  until,
  waitingApp,
  watch,
} from "../../support/app.ts";
import { close, ping, text } from "../../support/frames.ts";
import type { RawClient } from "../../support/raw-client.ts";

describe("nothing is lost while a handler sets itself up", () => {
  const early = Buffer.concat([text("0"), text("1")]);
  const all = ["0", "1", "2", "3"];

  /**
   * Connects with messages in the handshake's own packet and behind it, and gives the messages that reached the
   * handler.
   */
  async function received(handler: (socket: Socket, messages: string[]) => unknown): Promise<string[]> {
    const messages: string[] = [];
    const ended = Promise.withResolvers<void>();
    const app = await listeningApp({}, (app) =>
      app.ws("/", (socket) => {
        socket.on("close", () => ended.resolve());
        return handler(socket, messages);
      }));
    const client = await connectTo(app, { early });
    client.send(text("2"), text("3"), close(1000));
    await ended.promise;
    // The end does not wait for a handler that is not ready.
    await until(() => messages.length >= all.length);
    return messages;
  }

  const listen = (socket: Socket, messages: string[]): void => {
    socket.on("message", (data) => messages.push(data as string));
  };

  test.each<[string, (socket: Socket, messages: string[]) => unknown]>([
    ["a listener at once", listen],
    ["a listener at once, in an async handler that goes on", async (socket, messages) => {
      listen(socket, messages);
      await nextTurn();
    }],
    ["a listener at once, in an async handler that never ends", async (socket, messages) => {
      listen(socket, messages);
      await new Promise(() => {});
    }],
    ["a listener after an await", async (socket, messages) => {
      for (let i = 0; i < 5; i++) await nextTurn();
      listen(socket, messages);
    }],
    ["a listener after an await, and more to do after it", async (socket, messages) => {
      await nextTurn();
      listen(socket, messages);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }],
    ["a listener at once, and a pause until later", (socket, messages) => {
      listen(socket, messages);
      socket.pause();
      setTimeout(() => socket.resume(), 20);
    }],
    ["a loop after an await", async (socket, messages) => {
      await nextTurn();
      for await (const message of socket) messages.push(message as string);
    }],
    ["a loop that begins after the handler has ended", (socket, messages) => {
      const iterator = socket[Symbol.asyncIterator]();
      setTimeout(async () => {
        for await (const message of { [Symbol.asyncIterator]: () => iterator }) messages.push(message as string);
      }, 20);
    }],
  ])("%s", async (_name, handler) => {
    expect(await received(handler)).toEqual(all);
  });

  test("a listener that is added in the same turn as another one gets the first message too", async () => {
    const second: string[] = [];
    const messages = await received(async (socket, messages) => {
      await nextTurn();
      listen(socket, messages);
      listen(socket, second);
    });
    expect(messages).toEqual(all);
    expect(second).toEqual(all);
  });

  test.each<[string, (client: RawClient) => void, SocketEvents["close"]]>([
    ["with a Close", (client) => client.send(text("bye"), close(4000)), [4000, "", true]],
    ["with a FIN", (client) => (client.send(text("bye")), client.end()), [1006, "", false]],
  ])(
    "a client that goes away %s is noticed meanwhile, and its messages still reach a listener",
    async (_name, go, end) => {
      const { app, arrived, ready } = await waitingApp();
      const client = await connectTo(app);
      const socket = await arrived;
      go(client);
      expect(await eventOf(socket, "close")).toEqual(end);
      expect(app.sockets.size).toBe(0);
      const order: unknown[] = [];
      socket.on("message", (data) => order.push(data));
      socket.on("close", (...args) => order.push(args));
      await until(() => order.length === 2);
      expect(order).toEqual(["bye", end]);
      ready();
    },
  );

  test("a close listener that is added after the end is called once, unless it is removed at once", async () => {
    const { socket, client, seen } = await connectPair();
    client.send(close(4000));
    await seen.closed;
    const calls: unknown[] = [];
    const removed = (): unknown => calls.push("removed");
    socket.on("close", removed);
    socket.off("close", removed);
    socket.on("close", (code) => calls.push(code));
    socket.once("close", (code) => calls.push(`once ${code}`));
    expect(calls).toEqual([]);
    await nextTurn();
    expect(calls).toEqual([4000, "once 4000"]);
    expect(socket.listenerCount("close")).toBe(0);
  });

  test("messages that nobody wants are dropped when the handler has ended: they never pause the wire", async () => {
    const { app, arrived, ready } = await waitingApp();
    const client = await connectTo(app);
    const socket = await arrived;
    const some = Buffer.concat(Array.from({ length: 2_000 }, (_, i) => text(`${i}`)));
    client.send(some);
    await until(() => socket.isPaused);
    ready();
    client.send(some, ping("still there?"));
    expect((await client.nextFrame()).payload.toString()).toBe("still there?");
    expect(socket.isPaused).toBe(false);
    const seen = watch(socket);
    client.send(text("new"), close(1000));
    await seen.closed;
    expect(seen.messages).toEqual(["new"]);
  });
});

describe("an exception is logged, emitted as error, and closes its socket with 1011; the server lives on", () => {
  const failure = new Error("a fault of the handler");

  const failures: [string, (socket: Socket) => unknown][] = [
    ["in the handler", () => {
      throw failure;
    }],
    ["in an async handler", async () => {
      await nextTurn();
      throw failure;
    }],
    ["in a message listener", (socket) => {
      socket.on("message", () => {
        throw failure;
      });
    }],
    ["in an async message listener", (socket) => {
      socket.on("message", async () => {
        await nextTurn();
        throw failure;
      });
    }],
    ["in a ping listener", (socket) => {
      socket.on("ping", () => {
        throw failure;
      });
      socket.ping();
    }],
  ];

  test.each(failures)("%s", async (name, handler) => {
    const { logger, entries } = recordingLogger();
    const errors: unknown[] = [];
    const closed = Promise.withResolvers<unknown[]>();
    const app = await listeningApp({ logger }, (app) =>
      app
        .ws("/fails", (socket) => {
          socket.on("error", (error) => errors.push(error));
          socket.on("close", (...args) => closed.resolve(args));
          return handler(socket);
        })
        .ws("/works", (socket) => void socket.on("message", (data) => socket.send(data))));
    const bystander = await connectTo(app, "/works");
    const client = await connectTo(app, "/fails");
    client.send(name === "in a ping listener" ? Buffer.from("898000000000", "hex") : text("hello"));
    while (client.closeFrame === undefined) await client.nextFrame();
    client.send(close(1011));
    expect(await client.closed()).toEqual({ code: 1011, reason: "", ended: "fin" });
    expect(await closed.promise).toEqual([1011, "", true]);
    expect(errors).toEqual([failure]);
    expect(entries).toEqual([errorEntry("1011", failure)]);
    bystander.send(text("still there?"));
    expect(await bystander.nextMessage()).toBe("still there?");
    expect(app.sockets.size).toBe(1);
  });

  test("in an error listener, it is logged, and not given to the listener again", async () => {
    const { logger, entries } = recordingLogger();
    let calls = 0;
    const { client, seen } = await connectPair({ logger }, (socket) => {
      socket.on("error", () => {
        calls++;
        throw failure;
      });
    });
    client.send(text("bad", { rsv: 1 }));
    expect(await seen.closed).toEqual([1002, expect.any(String), false]);
    expect(calls).toBe(1);
    expect(entries).toEqual([errorEntry('"error"', failure)]);
  });

  test("in a close listener, it is logged, the other listeners are called, and no socket is left over", async () => {
    const { logger, entries } = recordingLogger();
    const { app, client, seen } = await connectPair({ logger }, (socket) => {
      socket.on("close", () => {
        throw failure;
      });
    });
    client.send(close(1000));
    expect(await seen.closed).toEqual([1000, "", true]);
    await client.closed();
    await nextTurn();
    expect(app.sockets.size).toBe(0);
    expect(seen.errors).toEqual([failure]);
    expect(entries).toEqual([errorEntry('"close"', failure)]);
  });

  test("after the socket is closed, it is only logged", async () => {
    const { logger, entries } = recordingLogger();
    const ready = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<Socket>();
    const app = await listeningApp({ logger }, (app) =>
      app.ws("/", async (socket) => {
        arrived.resolve(socket);
        await ready.promise;
        throw failure;
      }));
    const client = await connectTo(app);
    const socket = await arrived.promise;
    const seen = watch(socket);
    client.reset();
    await seen.closed;
    ready.resolve();
    await until(() => entries.length > 0);
    expect(entries).toEqual([errorEntry("", failure)]);
    expect(seen.closes.length).toBe(1);
  });

  test.each<[string, unknown]>([
    ["a string", "just text"],
    ["undefined", undefined],
    ["null", null],
    ["a symbol", Symbol("s")],
    ["an object without a prototype", Object.create(null)],
    ["an object that cannot be shown", { toString: () => ({}) }],
  ])("and need not be an Error: %s", async (_name, thrown) => {
    const { logger, entries } = recordingLogger();
    const errors: Error[] = [];
    const app = await listeningApp({ logger }, (app) =>
      app.ws("/", (socket) => {
        socket.on("error", (error) => errors.push(error));
        throw thrown;
      }).ws("/async", async (socket) => {
        socket.on("error", (error) => errors.push(error));
        await nextTurn();
        throw thrown;
      }));
    for (const path of ["/", "/async"]) {
      const client = await connectTo(app, path);
      expect((await client.nextFrame()).payload.readUInt16BE(0)).toBe(1011);
      client.send(close(1011));
      await client.closed();
    }
    expect(errors.map((error) => [error instanceof Error, error.cause])).toEqual([[true, thrown], [true, thrown]]);
    expect(entries).toEqual([errorEntry("1011", thrown), errorEntry("1011", thrown)]);
  });

  test("happens once: a listener that fails at every message is not called any more when its socket is closing", async () => {
    const { logger, entries } = recordingLogger();
    const { client, seen } = await connectPair({ logger }, (socket) => {
      socket.on("message", () => {
        throw failure;
      });
    });
    client.send(Buffer.concat(Array.from({ length: 100 }, (_, i) => text(`${i}`))), close(1011));
    await seen.closed;
    expect(entries.length).toBe(1);
  });
});
