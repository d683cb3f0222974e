/**
 * `for await` over a socket, with a client over TCP: the client is slowed down by TCP itself, no message is lost
 * between loops, and a loop ends as its connection does.
 */

import { connect as connectTcp } from "node:net";
import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import type { App, AppOptions, Socket } from "../../../mod.ts";
import { connectTo, errorEntry, eventOf, listeningApp, portOf, recordingLogger, until } from "../../support/app.ts";
import { binary, close, continuation, opcodes, text } from "../../support/frames.ts";
import { usedBytes } from "../../support/memory.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { flood, StreamClient, untilStill } from "../../support/stream-client.ts";

const MiB = 1024 * 1024;

/** The results of a handler's loops. */
interface Ending {
  readonly messages: (string | Buffer)[];
  readonly error: Error | undefined;
}

interface Looping {
  readonly app: App;
  /** Settles when the handler's promise does. */
  readonly ended: Promise<Ending>;
}

/** An app whose handler takes messages in a loop, which `body` may leave by returning true. */
async function loopingApp(
  body: (message: string | Buffer, socket: Socket) => unknown = () => {},
  options: AppOptions = {},
): Promise<Looping> {
  const ended = Promise.withResolvers<Ending>();
  const app = await listeningApp(options, (app) =>
    app.ws("/", async (socket) => {
      const messages: (string | Buffer)[] = [];
      try {
        for await (const message of socket) {
          messages.push(message);
          if (await body(message, socket)) break;
        }
        ended.resolve({ messages, error: undefined });
      } catch (error) {
        ended.resolve({ messages, error: error as Error });
      }
    }));
  return { app, ended: ended.promise };
}

async function connectStream(app: App): Promise<StreamClient> {
  const stream = connectTcp(portOf(app), "127.0.0.1");
  stream.on("error", () => {});
  onTestFinished(() => void stream.destroy());
  return await StreamClient.connect(stream);
}

/** A message of 64 KiB that begins with its number. */
function numbered(index: number): Buffer {
  const payload = Buffer.alloc(64 * 1024, index);
  payload.writeUInt32BE(index);
  return binary(payload);
}

describe("backpressure", () => {
  const count = 512;

  test("reaches the client's TCP while the loop is busy, and 32 MiB come whole and in order when it goes on", async () => {
    const released = Promise.withResolvers<void>();
    const numbers: number[] = [];
    const { app, ended } = await loopingApp(async (message) => {
      numbers.push((message as Buffer).readUInt32BE(0));
      await released.promise;
    });
    const client = await connectStream(app);
    const sending = flood(client.stream, count, numbered);
    await untilStill(() => sending.takenBytes);
    expect(numbers).toEqual([0]);
    expect(sending.takenBytes).toBeLessThan(16 * MiB);
    const [socket] = app.sockets;
    expect(socket.isPaused).toBe(true);

    released.resolve();
    await sending.done;
    client.send(close(1000));
    expect((await ended).error).toBeUndefined();
    expect(numbers).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  test("goes both ways: an echo that awaits drained() takes no more than its client reads", async () => {
    let most = 0;
    const { app } = await loopingApp(async (message, socket) => {
      const mayGoOn = socket.send(message);
      most = Math.max(most, socket.bufferedAmount);
      if (!mayGoOn) await socket.drained();
    });
    const client = await connectStream(app);
    client.stream.pause();
    const sending = flood(client.stream, count, numbered);
    await untilStill(() => sending.takenBytes);
    expect(sending.takenBytes).toBeLessThan(24 * MiB);

    client.stream.resume();
    for (let i = 0; i < count; i++) expect((await client.nextMessage() as Buffer).readUInt32BE(0)).toBe(i);
    await sending.done;
    expect(most).toBeLessThan(MiB);
    client.send(close(1000));
    expect((await client.closed()).code).toBe(1000);
  });

  test("does not make the heartbeat cut a peer: while the wire is paused, a peer that answers cannot be heard", async () => {
    const released = Promise.withResolvers<void>();
    const { app, ended } = await loopingApp(() => released.promise, { heartbeat: { intervalMs: 20, timeoutMs: 50 } });
    const client = await connectTo(app);
    const texts = Array.from({ length: 3_000 }, (_, i) => String(i));
    client.send(Buffer.concat(texts.map((each) => text(each))));
    const [socket] = app.sockets;
    await until(() => socket.isPaused);
    // Many more Pings than a silent peer is sent.
    for (let i = 0; i < 12; i++) expect((await client.nextFrame()).opcode).toBe(opcodes.ping);
    expect(socket.readyState).toBe(socket.OPEN);
    client.send(close(1000));
    released.resolve();
    expect(await ended).toEqual({ messages: texts, error: undefined });
  });
});

describe("leaving a loop", () => {
  const numbers = Array.from({ length: 20 }, (_, i) => String(i));
  const burst = Buffer.concat([...numbers.map((each) => text(each)), close(1000)]);

  test.each<[string, (socket: Socket, take: (message: string | Buffer) => void) => Promise<void>]>([
    ["by break", async (socket, take) => {
      for await (const message of socket) {
        take(message);
        break;
      }
    }],
    ["by an exception", async (socket, take) => {
      const loop = async (): Promise<void> => {
        for await (const message of socket) {
          take(message);
          throw new Error("enough");
        }
      };
      await expect(loop()).rejects.toThrow("enough");
    }],
    ["by return", async (socket, take) => {
      const loop = async (): Promise<void> => {
        for await (const message of socket) return take(message);
      };
      await loop();
    }],
    ["by asking the iterator for one", async (socket, take) => {
      const { value } = await socket[Symbol.asyncIterator]().next();
      take(value!);
    }],
  ])("%s loses nothing: the next goes on, also much later, and the last ends", async (_name, takeOne) => {
    const taken = Promise.withResolvers<unknown[]>();
    const app = await listeningApp({}, (app) =>
      app.ws("/", async (socket) => {
        const messages: unknown[] = [];
        for (let i = 0; i < 5; i++) {
          await takeOne(socket, (message) => messages.push(message));
          if (i % 2 === 1) await delay(10);
          else await nextTurn();
        }
        messages.push("second loop");
        for await (const message of socket) messages.push(message);
        taken.resolve(messages);
      }));
    const client = await connectTo(app);
    client.send(burst);
    expect(await taken.promise).toEqual([...numbers.slice(0, 5), "second loop", ...numbers.slice(5)]);
    expect((await client.closed()).code).toBe(1000);
  });

  test("leaves the wire paused, once too much waits, until the next", async () => {
    const left = Promise.withResolvers<Socket>();
    const { app } = await loopingApp((_message, socket) => {
      left.resolve(socket);
      return true;
    });
    const client = await connectStream(app);
    const sending = flood(client.stream, 512, numbered);
    const socket = await left.promise;
    await untilStill(() => sending.takenBytes);
    expect(sending.takenBytes).toBeLessThan(16 * MiB);
    let count = 1;
    const rest = (async () => {
      for await (const _message of socket) count++;
    })();
    await sending.done;
    client.send(close(1000));
    await rest;
    expect(count).toBe(512);
  });

  test("two loops at once share the messages, each of them once", async () => {
    const shared = Promise.withResolvers<unknown[]>();
    const app = await listeningApp({}, (app) =>
      app.ws("/", async (socket) => {
        const messages: unknown[] = [];
        const loop = async (): Promise<void> => {
          for await (const message of socket) {
            messages.push(message);
            await nextTurn();
          }
        };
        await Promise.all([loop(), loop()]);
        shared.resolve(messages);
      }));
    (await connectTo(app)).send(burst);
    const messages = await shared.promise;
    expect(messages.toSorted((a, b) => Number(a) - Number(b))).toEqual(numbers);
  });
});

describe("the end of a loop", () => {
  test.each<[string, Buffer]>([
    ["1000", close(1000)],
    ["1001", close(1001)],
    ["4000 and a reason", close(4000, "because")],
    ["no code", close()],
  ])("is quiet after a clean close with %s, and comes after the last message", async (_name, frame) => {
    const { app, ended } = await loopingApp(() => nextTurn());
    const client = await connectTo(app);
    client.send(Buffer.concat([text("a"), text("b"), text("c"), frame]));
    expect(await ended).toEqual({ messages: ["a", "b", "c"], error: undefined });
  });

  test("is clean after a close by the server, once the peer has answered; until then messages still arrive", async () => {
    const { app, ended } = await loopingApp((message, socket) => {
      if (message === "enough") socket.close(4001);
    });
    const client = await connectTo(app);
    client.send(text("enough"));
    expect((await client.nextFrame()).payload.readUInt16BE(0)).toBe(4001);
    client.send(text("one more"), close(4001));
    expect(await ended).toEqual({ messages: ["enough", "one more"], error: undefined });
  });

  test.each<[string, (client: RawClient) => void, RegExp]>([
    ["a reset", (client) => client.reset(), /ended with 1006/],
    ["a FIN without a Close", (client) => client.end(), /ended with 1006/],
    ["a fault of the protocol", (client) => client.send(continuation("x")), /ended with 1002/],
    ["text that is not UTF-8", (client) => client.send(text(Buffer.from([0xff]))), /ended with 1007/],
    ["a message that is too long", (client) => client.send(text("x".repeat(101))), /ended with 1009/],
  ])("is an error after %s, behind the messages that had come", async (_name, end, message) => {
    const taken = Promise.withResolvers<void>();
    const { app, ended } = await loopingApp(() => taken.resolve(), { maxMessageBytes: 100 });
    const client = await connectTo(app);
    client.send(text("before"));
    await taken.promise;
    end(client);
    const { messages, error } = await ended;
    expect(messages).toEqual(["before"]);
    expect(error).toBeInstanceOf(Error);
    expect(error!.message).toMatch(message);
  });

  test("is an error after a terminate by the server", async () => {
    const { app, ended } = await loopingApp((_message, socket) => socket.terminate());
    (await connectTo(app)).send(text("cut me"));
    const { messages, error } = await ended;
    expect([messages, error?.message]).toEqual([["cut me"], "The socket has ended with 1006"]);
  });

  test("is thrown once: later loops are over at once", async () => {
    const ends = Promise.withResolvers<string[]>();
    const app = await listeningApp({}, (app) =>
      app.ws("/", async (socket) => {
        const outcomes: string[] = [];
        for (let i = 0; i < 3; i++) {
          try {
            for await (const _message of socket);
            outcomes.push("quiet");
          } catch {
            outcomes.push("error");
          }
        }
        ends.resolve(outcomes);
      }));
    (await connectTo(app)).reset();
    expect(await ends.promise).toEqual(["error", "quiet", "quiet"]);
  });
});

test("a socket that is closing keeps no more than maxBufferedBytes of the messages that a peer sends instead of its Close", async () => {
  const { app } = await loopingApp((_message, socket) => {
    socket.close();
    return true;
  }, { closeTimeoutMs: 60_000, maxBufferedBytes: 4 * MiB });
  const client = await connectStream(app);
  const [socket] = app.sockets;
  const closed = eventOf(socket, "close");
  client.send(text("the last that is wanted"));
  const before = await usedBytes();
  await flood(client.stream, 512, numbered).done;
  await untilStill(() => 0);
  expect(await usedBytes() - before).toBeLessThan(16 * MiB);
  client.stream.destroy();
  await closed;
});

describe("a handler that is nothing but a loop", () => {
  const simplest = async (socket: Socket): Promise<void> => {
    for await (const message of socket) socket.send(message);
  };

  test("gets the messages that came with the handshake, and ends with its client", async () => {
    const closed = Promise.withResolvers<unknown[]>();
    const app = await listeningApp({}, (app) =>
      app.ws("/", (socket) => {
        socket.on("close", (...args) => closed.resolve(args));
        return simplest(socket);
      }));
    const client = await connectTo(app, { early: Buffer.concat([text("early"), text("bird")]) });
    client.send(text("late"));
    expect([await client.nextMessage(), await client.nextMessage(), await client.nextMessage()])
      .toEqual(["early", "bird", "late"]);
    client.send(close(1000));
    expect((await client.closed()).code).toBe(1000);
    expect(await closed.promise).toEqual([1000, "", true]);
  });

  test("is closed with 1011 when it throws, and that is logged", async () => {
    const { logger, entries } = recordingLogger();
    const failure = new Error("no such command");
    const app = await listeningApp({ logger }, (app) =>
      app.ws("/", async (socket) => {
        for await (const _message of socket) throw failure;
      }));
    const client = await connectTo(app);
    client.send(text("x"), text("y"));
    expect((await client.nextFrame()).payload.readUInt16BE(0)).toBe(1011);
    expect(entries).toEqual([errorEntry("", failure)]);
  });

  test("is not at fault when its client vanishes: no error is logged", async () => {
    const { logger, entries } = recordingLogger();
    const closed = Promise.withResolvers<unknown[]>();
    const app = await listeningApp({ logger }, (app) =>
      app.ws("/", (socket) => {
        socket.on("close", (...args) => closed.resolve(args));
        return simplest(socket);
      }));
    const client = await connectTo(app);
    client.send(text("hello"));
    await client.nextMessage();
    client.reset();
    expect((await closed.promise)[0]).toBe(1006);
    await nextTurn();
    await nextTurn();
    expect(entries).toEqual([]);
  });
});
