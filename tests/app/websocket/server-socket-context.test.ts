/** AsyncLocalStorage: in which store listeners, loops and streams run. */

import { AsyncLocalStorage } from "node:async_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Socket } from "../../../mod.ts";
import { connectTo, listeningApp } from "../../support/app.ts";
import { close, ping, text } from "../../support/frames.ts";

const storage = new AsyncLocalStorage<string>();

/** Runs a handler in a store, sends it two messages, a Ping and a Close, and gives the stores that it has seen. */
async function storesOf(handler: (socket: Socket, see: (what: unknown) => void) => unknown): Promise<unknown[]> {
  const seen: unknown[] = [];
  const closed = Promise.withResolvers<void>();
  const see = (what: unknown): void => void seen.push([what, storage.getStore()]);
  const app = await listeningApp({}, (app) =>
    app.ws("/", (socket) => {
      const result = storage.run("handler", () => handler(socket, see));
      socket.on("close", () => closed.resolve());
      return result;
    }));
  const client = await connectTo(app);
  client.send(text("1"));
  await nextTurn();
  client.send(ping("p"), text("2"), close(4000));
  await client.closed();
  await closed.promise;
  await nextTurn();
  return seen;
}

test("a listener runs in none of the handler's stores", async () => {
  const seen = await storesOf((socket, see) => {
    socket.on("message", see);
    socket.on("close", see);
    socket.on("ping", (payload) => see(`${payload}`));
  });
  expect(seen).toEqual([["1", undefined], ["p", undefined], ["2", undefined], [4000, undefined]]);
});

test("a listener that is bound runs in the store in which it was bound, however its event has come", async () => {
  for (const turns of [0, 3]) {
    const seen = await storesOf(async (socket, see) => {
      socket.on("close", AsyncLocalStorage.bind(see));
      socket.on("ping", AsyncLocalStorage.bind(() => see("p")));
      for (let i = 0; i < turns; i++) await nextTurn();
      socket.on("message", AsyncLocalStorage.bind(see));
    });
    expect(seen.toSorted()).toEqual([["1", "handler"], ["2", "handler"], [4000, "handler"], ["p", "handler"]]);
  }
});

test.each<[string, (socket: Socket) => AsyncIterable<unknown>]>([
  ["a loop", (socket) => socket],
  ["a stream", (socket) => socket.readable],
])("%s keeps the store in which it runs, and so does what follows it", async (_name, messagesOf) => {
  const seen = await storesOf(async (socket, see) => {
    for await (const message of messagesOf(socket)) see(message);
    see("end");
  });
  expect(seen).toEqual([["1", "handler"], ["2", "handler"], ["end", "handler"]]);
});
