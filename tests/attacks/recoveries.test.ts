// Clients that let a server read a long history, and then do not take it, or vanish in the middle of it.

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import type { AppOptions } from "../../mod.ts";
import { eventOf, until } from "../support/app.ts";
import { crowd, type Member } from "../support/crowd.ts";
import { Census } from "../support/memory.ts";

const MESSAGE_BYTES = 50_000;
const HIGH_WATER_MARK = 64 * 1024;
const COUNT = 600;
/** The bytes of a frame around its data: the topic, the id, and the header. */
const FRAME_BYTES = 200;

async function longHistory(options: AppOptions = {}) {
  const all = await crowd({ highWaterMark: HIGH_WATER_MARK, maxBufferedBytes: 1024 * 1024, ...options });
  all.app.topic("news", { history: { maxRecover: 10_000 } });
  for (let i = 0; i < COUNT; i++) all.app.publish("news", `${i} ${"x".repeat(MESSAGE_BYTES)}`);
  return all;
}

/** Follows for a client that does not read, until the socket is full. */
async function recover({ socket, client }: Member): Promise<void> {
  client.pause();
  const followed = socket.follow("news", { since: "" });
  expect((await followed).recovered).toBe(true);
  await until(() => socket.bufferedAmount > HIGH_WATER_MARK);
}

describe.each<AppOptions["slowConsumer"]>(["close", "drop"])("with slowConsumer %s", (slowConsumer) => {
  test("a client that does not read holds highWaterMark and one message, and gets all in the end", async () => {
    const { app, member } = await longHistory({ slowConsumer });
    const slow = await member();
    await recover(slow);
    let most = 0;
    for (let i = 0; i < 100; i++) {
      app.publish("news", `${COUNT + i} ${"x".repeat(MESSAGE_BYTES)}`);
      await nextTurn();
      most = Math.max(most, slow.socket.bufferedAmount);
    }
    expect(most).toBeLessThanOrEqual(HIGH_WATER_MARK + MESSAGE_BYTES + FRAME_BYTES);
    slow.client.resume();
    expect(JSON.parse(String(await slow.client.nextMessage())).recovered).toBe(true);
    for (let i = 0; i < COUNT + 100; i++) {
      const { data } = JSON.parse(String(await slow.client.nextMessage()));
      expect(data.slice(0, data.indexOf(" "))).toBe(String(i));
    }
    expect([slow.socket.readyState, app.stats().droppedMessages]).toEqual([1, 0]);
  });
});

test("a socket that is paused while it recovers goes on sending, because a pause stops reading only", async () => {
  const { member } = await longHistory();
  const { socket, client } = await member();
  socket.pause();
  await socket.follow("news", { since: "" });
  for (let i = 0; i <= COUNT; i++) await client.nextMessage();
  expect(socket.bufferedAmount).toBe(0);
});

describe("a recovery that ends in the middle", () => {
  test.each<[string, (member: Member) => unknown]>([
    ["terminate", ({ socket }) => socket.terminate()],
    ["close", ({ socket, client }) => {
      socket.close();
      client.resume();
    }],
    ["a client that vanishes", ({ client }) => client.terminate()],
    ["unsubscribe, and then terminate", async ({ socket, client }) => {
      socket.unsubscribe("news");
      client.resume();
      await socket.drained();
      socket.terminate();
    }],
  ])("leaves nothing: %s", async (_name, end) => {
    const census = new Census();
    const { app, member } = await longHistory({ closeTimeoutMs: 1_000, logger: false });
    const visit = async (): Promise<void> => {
      const one = await member();
      census.track(one.socket);
      await recover(one);
      const closed = eventOf(one.socket, "close");
      await end(one);
      one.client.terminate();
      await closed;
    };
    for (let i = 0; i < 12; i++) await visit();
    expect([app.subscribers("news"), app.stats().connections]).toEqual([0, 0]);
    expect(await census.countBelow(4)).toBeLessThan(4);
  });
});

test("a socket that unsubscribes in the middle of a recovery gets nothing more", async () => {
  const { app, member } = await longHistory();
  const one = await member();
  await recover(one);
  one.socket.unsubscribe("news");
  app.publish("news", "after");
  one.client.resume();
  await one.socket.drained();
  await nextTurn();
  one.socket.send("end");
  let count = 0;
  while (await one.client.nextMessage() !== "end") count++;
  expect(count).toBeLessThan(COUNT);
});

test("app.close ends recoveries that nobody reads", async () => {
  const { app, member } = await longHistory();
  const members = [await member(), await member()];
  for (const each of members) await recover(each);
  onTestFinished(() => members.forEach(({ client }) => client.terminate()));
  await app.close({ timeoutMs: 300 });
  expect(app.stats().connections).toBe(0);
});
