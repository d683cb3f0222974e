// Attacks on topics with a history, by clients that may publish or follow what they like.

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { App, AppOptions, Broker, HistoryOptions, Socket } from "../../mod.ts";
import { connectTo, listeningApp, until } from "../support/app.ts";
import { text } from "../support/frames.ts";
import { Hub } from "../support/memory-broker.ts";
import type { RawClient } from "../support/raw-client.ts";

const KiB = 1024;
const kept = { since: "", limit: 10_000 };

/** An app whose clients publish to, and follow, whatever they name. */
async function openApp(options: AppOptions, history: HistoryOptions = {}): Promise<App> {
  return await listeningApp(options, (app) => {
    app.topic("*", { history });
    app.ws("/publish", (socket) => {
      socket.on("message", (message) => {
        const [name, data] = String(message).split(" ", 2);
        app.publish(name!, data!);
      });
    });
    app.ws("/follow", (socket, req) => {
      const since = req.query.get("since");
      socket.on("message", (name) => socket.follow(String(name), { since }));
    });
  });
}

/** Publishes a message to each of these names, and resolves when all have come. */
async function publishTo(app: App, names: readonly string[], data: string): Promise<void> {
  const client = await connectTo(app, "/publish");
  client.send(...names.map((name) => text(`${name} ${data}`)), text("the-last x"));
  const last = async (): Promise<boolean> => (await app.history("the-last", kept)).messages.length > 0;
  while (!await last()) await nextTurn();
}

async function lengthOf(app: App, topic: string): Promise<number> {
  return (await app.history(topic, kept)).messages.length;
}

async function hears(client: RawClient): Promise<{ id: string; recovered?: boolean; data?: string }> {
  return JSON.parse(String(await client.nextMessage()));
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `topic-${index}`);
}

describe("a client that publishes to names that it invents", () => {
  test("makes no more histories than maxHistoryTopics, and those that are followed stay", async () => {
    const app = await openApp({ maxHistoryTopics: 100 });
    const follower = await connectTo(app, "/follow");
    follower.send(text("followed"));
    await hears(follower);
    app.publish("followed", "first");
    await publishTo(app, names(2_000), "x");
    const lengths = await Promise.all(names(2_000).map((name) => lengthOf(app, name)));
    const made = lengths.filter((length) => length > 0).length;
    expect(made).toBeGreaterThan(0);
    expect(made).toBeLessThan(100);
    expect(await lengthOf(app, "followed")).toBe(1);
  });

  test("fills no more than maxHistoryBytes, and the topics of others keep their share", async () => {
    const maxHistoryBytes = 256 * KiB;
    const app = await openApp({ maxHistoryBytes }, { size: 1_000_000 });
    app.publish("quiet", "still here");
    await publishTo(app, Array<string>(2_000).fill("flooded"), "x".repeat(KiB));
    const { messages } = await app.history("flooded", kept);
    const bytes = messages.reduce((sum, { data }) => sum + data.length, 0);
    expect(bytes).toBeGreaterThan(maxHistoryBytes / 2);
    expect(bytes).toBeLessThanOrEqual(maxHistoryBytes);
    expect(await lengthOf(app, "quiet")).toBe(1);
  });

  test("keeps no more of a topic than its size", async () => {
    const app = await openApp({}, { size: 10 });
    await publishTo(app, Array<string>(1_000).fill("flooded"), "x");
    expect(await lengthOf(app, "flooded")).toBe(10);
  });
});

test("a client that follows names that it invents makes no history, and pushes none out", async () => {
  const app = await openApp({ maxHistoryTopics: 10 });
  await publishTo(app, names(9), "x");
  const client = await connectTo(app, "/follow");
  for (const name of names(2_000)) client.send(text(`invented-${name}`));
  for (const _ of names(2_000)) expect((await hears(client)).recovered).toBe(false);
  expect(await Promise.all(names(9).map((name) => lengthOf(app, name)))).toEqual(Array(9).fill(1));
});

test("a client that asks for more than maxRecover gets a notice and nothing else", async () => {
  const app = await openApp({}, { maxRecover: 10 });
  for (const data of names(11)) app.publish("room", data);
  const { messages } = await app.history("room", kept);
  const follow = async (since: string): Promise<RawClient> => {
    const client = await connectTo(app, `/follow?since=${since}`);
    client.send(text("room"));
    return client;
  };
  const [greedy, modest] = [await follow(""), await follow(messages[0]!.id)];
  expect(await hears(greedy)).toMatchObject({ recovered: false });
  expect(await hears(modest)).toMatchObject({ recovered: true });
  for (const data of names(11).slice(1)) expect(await hears(modest)).toMatchObject({ data });
  app.publish("room", "new");
  for (const client of [greedy, modest]) expect(await hears(client)).toMatchObject({ data: "new" });
});

test.each([
  "x",
  ".",
  "-.1",
  `${"a".repeat(65)}.1`,
  "a.99999999999999999999",
  "a.-1",
  "a.1e3",
  "%00.1",
  "__proto__.1",
  "constructor",
  "a".repeat(4_000),
])("a client that comes with %j as its position recovers nothing", async (since) => {
  const app = await openApp({});
  app.publish("room", "secret");
  const client = await connectTo(app, `/follow?since=${since}`);
  client.send(text("room"));
  expect(await hears(client)).toMatchObject({ recovered: false });
  app.publish("room", "new");
  expect(await hears(client)).toMatchObject({ data: "new" });
});

test("a follower that does not read takes highWaterMark and one message, and is told when it reads again", async () => {
  const highWaterMark = 64 * KiB;
  const message = "m".repeat(16 * KiB);
  const sockets: Socket[] = [];
  const app = await listeningApp({ highWaterMark }, (app) => {
    app.topic("room", { history: { size: 10 } });
    app.ws("/", async (socket) => {
      sockets.push(socket);
      await socket.follow("room");
    });
  });
  const slow = await connectTo(app);
  const other = await connectTo(app);
  await hears(slow);
  await hears(other);
  slow.pause();
  // More than the operating systems of both ends take for a connection that nobody reads.
  for (let published = 0; published < 4_096; published++) {
    app.publish("room", message);
    expect(sockets[0]!.bufferedAmount).toBeLessThan(highWaterMark + 2 * message.length);
    expect((await hears(other)).data).toBe(message);
  }
  expect(sockets.map(({ readyState }) => readyState)).toEqual([1, 1]);

  slow.resume();
  let seen = await hears(slow);
  while (seen.recovered === undefined) seen = await hears(slow);
  expect(seen.recovered).toBe(false);
});

test("clients that come back all at once read from the broker maxRecoveries at a time", async () => {
  const broker: Broker & { most: number } = Object.assign(new Hub().link(), { most: 0 });
  const read = broker.read!.bind(broker);
  let reads = 0;
  broker.read = async (...args) => {
    broker.most = Math.max(broker.most, ++reads);
    try {
      return await read(...args);
    } finally {
      reads--;
    }
  };
  const app = await openApp({ broker, maxRecoveries: 4 });
  await app.append("room", "x");
  const clients = await Promise.all(names(50).map(() => connectTo(app, "/follow?since=")));
  for (const client of clients) client.send(text("room"));
  await until(() => app.subscribers("room") === 50);
  for (const client of clients) {
    expect(await hears(client)).toMatchObject({ recovered: true });
    expect(await hears(client)).toMatchObject({ data: "x" });
  }
  expect(broker.most).toBe(4);
});
