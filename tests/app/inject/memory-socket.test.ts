import { Buffer } from "node:buffer";
import { once } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { MemorySocket } from "../../../src/app/inject/memory-socket.ts";

test("bytes that are written at one end are read at the other, in both directions", async () => {
  const { client, server } = MemorySocket.pair();
  for (const [from, to] of [[client, server], [server, client]]) {
    from.write("hello");
    expect(await once(to, "data")).toEqual([Buffer.from("hello")]);
  }
});

test("the memory of a write may be used again after its callback", async () => {
  const { client, server } = MemorySocket.pair();
  const bytes = Buffer.from("hello");
  await new Promise<void>((resolve) => client.write(bytes, () => resolve()));
  bytes.fill(0);
  expect(await once(server, "data")).toEqual([Buffer.from("hello")]);
});

test("a write waits while the other end is full, and goes on when that end is read", async () => {
  const { client, server } = MemorySocket.pair();
  let isTaken = false;
  client.write(Buffer.alloc(server.readableHighWaterMark), () => isTaken = true);
  for (let turn = 0; turn < 5; turn++) await nextTurn();
  expect(isTaken).toBe(false);
  server.resume();
  for (let turn = 0; turn < 5; turn++) await nextTurn();
  expect(isTaken).toBe(true);
});

test("an end that has ended its side can still be written to", async () => {
  const { client, server } = MemorySocket.pair();
  client.end();
  server.resume();
  await once(server, "end");
  server.write("still here");
  expect(await once(client, "data")).toEqual([Buffer.from("still here")]);
});

test("destroying one end destroys the other, without an uncaught error", async () => {
  const { client, server } = MemorySocket.pair();
  client.destroy(new Error("a reset"));
  await once(server, "close");
  expect([client.destroyed, server.destroyed]).toEqual([true, true]);
});

test("both ends have the address of this machine", () => {
  const { client, server } = MemorySocket.pair();
  expect([client.remoteAddress, server.remoteAddress]).toEqual(["127.0.0.1", "127.0.0.1"]);
});
