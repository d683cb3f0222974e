/** Listeners, loops and streams that read one socket after each other, or together: nothing is lost or comes twice. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Socket } from "../../../mod.ts";
import { connectTo, listeningApp, until } from "../../support/app.ts";
import { close, text } from "../../support/frames.ts";

type Take = (message: string | Buffer) => void;

/** Reads one message, in one of the ways in which that can be done. */
const first: [name: string, read: (socket: Socket, take: Take) => Promise<void>][] = [
  ["a loop that is left", async (socket, take) => {
    for await (const message of socket) return take(message);
  }],
  ["one call of next()", async (socket, take) => {
    take((await socket[Symbol.asyncIterator]().next()).value!);
  }],
  ["a reader of the stream that is released", async (socket, take) => {
    const reader = socket.readable.getReader();
    take((await reader.read()).value!);
    reader.releaseLock();
  }],
  ["a listener for one message", (socket, take) => {
    return new Promise((resolve) => socket.once("message", (message) => resolve(take(message))));
  }],
  ["a listener that removes itself", (socket, take) => {
    return new Promise((resolve) => {
      socket.on("message", function listener(message): void {
        socket.off("message", listener);
        resolve(take(message));
      });
    });
  }],
];

/** Reads the rest. */
const rest: [name: string, read: (socket: Socket, take: Take) => unknown][] = [
  ["a listener", (socket, take) => void socket.on("message", take)],
  ["a loop", async (socket, take) => {
    for await (const message of socket) take(message);
  }],
  ["a stream", (socket, take) => socket.readable.pipeTo(new WritableStream({ write: take }))],
];

const orders = first.flatMap(([firstName, readFirst]) =>
  rest.map(([restName, readRest]) => [`${firstName}, then ${restName}`, readFirst, readRest] as const)
);
const texts = Array.from({ length: 20 }, (_, i) => `${i}`);

test.each(orders)("%s", async (_name, readFirst, readRest) => {
  for (const sendsApart of [false, true]) {
    const taken: unknown[] = [];
    const app = await listeningApp({}, (app) =>
      app.ws("/", async (socket) => {
        for (let i = 0; i < 3; i++) {
          await readFirst(socket, (message) => taken.push(message));
          for (let turns = 0; turns < i; turns++) await nextTurn();
        }
        taken.push("and");
        await readRest(socket, (message) => taken.push(message));
      }));
    const frames = texts.map((each) => text(each));
    const client = await connectTo(app);
    if (sendsApart) await client.sendApart(frames);
    else client.send(Buffer.concat(frames));
    client.send(close(1000));
    expect((await client.closed()).code).toBe(1000);
    await until(() => taken.length === texts.length + 1);
    expect(taken).toEqual([...texts.slice(0, 3), "and", ...texts.slice(3)]);
  }
});

test("a listener that was there before the loop hears each message with it, and goes on alone behind it", async () => {
  const heard: unknown[] = [];
  const looped: unknown[] = [];
  const app = await listeningApp({}, (app) =>
    app.ws("/", async (socket) => {
      socket.on("message", (message) => heard.push(message));
      for await (const message of socket) {
        looped.push(message);
        await nextTurn();
        expect(heard).toEqual(looped);
        if (looped.length === 5) break;
      }
    }));
  const client = await connectTo(app);
  client.send(Buffer.concat(texts.map((each) => text(each))), close(1000));
  await client.closed();
  await until(() => heard.length === texts.length);
  expect([heard, looped]).toEqual([texts, texts.slice(0, 5)]);
});

test("a listener hears what a loop takes after the end too", async () => {
  const heard: unknown[] = [];
  const done = Promise.withResolvers<void>();
  const app = await listeningApp({}, (app) =>
    app.ws("/", async (socket) => {
      socket.on("message", (message) => heard.push(message));
      const closed = new Promise((resolve) => socket.once("close", resolve));
      for await (const _message of socket) await closed;
      done.resolve();
    }));
  const client = await connectTo(app);
  client.send(text("1"), text("2"), text("3"), close(1000));
  await done.promise;
  expect(heard).toEqual(["1", "2", "3"]);
});

test("a listener inside a loop gets the message that stops its turn", async () => {
  const log: unknown[] = [];
  const done = Promise.withResolvers<void>();
  const app = await listeningApp({}, (app) =>
    app.ws("/", async (socket) => {
      for await (const prompt of socket) {
        log.push(prompt);
        log.push(await new Promise((resolve) => socket.once("message", resolve)));
      }
      done.resolve();
    }));
  const client = await connectTo(app);
  client.send(text("prompt 1"), text("stop 1"), text("prompt 2"), text("stop 2"), close(1000));
  await done.promise;
  expect(log).toEqual(["prompt 1", "stop 1", "prompt 2", "stop 2"]);
});
