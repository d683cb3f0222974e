/** The limits of the histories in the memory of a process. */

import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { FakeClient, fakeClocks, type FakePubSub, FakeSocket, topicsOf } from "../../../support/followers.ts";
import { usedBytes } from "../../../support/memory.ts";

const KIB = 1024;

function histories(limits: object, history: object = {}): FakePubSub {
  const topics = topicsOf(undefined, limits);
  topics.declare("*", { history });
  onTestFinished(() => topics.close());
  return topics;
}

async function keptOf(topics: FakePubSub, topic: string): Promise<number> {
  return (await topics.history(topic, { since: "", limit: 10_000 })).messages.length;
}

function follow(topics: FakePubSub, topic: string): FakeSocket {
  const socket = new FakeSocket(topics, false, () => {});
  void topics.follow(socket, topic, {});
  return socket;
}

describe("maxHistoryBytes", () => {
  test("holds under a flood to one topic, and the small histories of others stay", async () => {
    const topics = histories({ maxHistoryBytes: 100 * KIB }, { size: 100_000 });
    for (let i = 0; i < 20; i++) topics.publish(`quiet ${i}`, "x".repeat(KIB));
    for (let i = 0; i < 5_000; i++) topics.publish("flood", "x".repeat(KIB));
    for (let i = 0; i < 20; i++) expect(await keptOf(topics, `quiet ${i}`)).toBe(1);
    // The flood has what the others leave: 64 bytes are counted for each message besides its data.
    const left = (100 * KIB - 20 * (KIB + 64)) / (KIB + 64);
    const kept = await keptOf(topics, "flood");
    expect(kept).toBeLessThanOrEqual(left);
    expect(kept).toBeGreaterThan(left - 2);
  });

  test("holds when many topics have a little more than their share each", async () => {
    const topics = histories({ maxHistoryBytes: 100 * KIB });
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 50; i++) topics.publish(`topic ${i}`, "x".repeat(KIB));
    }
    let kept = 0;
    for (let i = 0; i < 50; i++) kept += await keptOf(topics, `topic ${i}`);
    expect(kept * (KIB + 64)).toBeLessThanOrEqual(100 * KIB);
    expect(kept * (KIB + 64)).toBeGreaterThan(90 * KIB);
  });

  test("counts a text by its bytes", async () => {
    const topics = histories({ maxHistoryBytes: 100 * KIB });
    for (let i = 0; i < 200; i++) topics.publish("news", "你".repeat(KIB));
    expect(await keptOf(topics, "news")).toBeLessThanOrEqual(100 / 3);
  });

  test("drops also a message that is larger by itself, once its followers have it", async () => {
    const topics = histories({ maxHistoryBytes: KIB });
    const client = new FakeClient();
    client.connect(topics, "news", false);
    topics.publish("news", "x".repeat(2 * KIB));
    topics.publish("news", "small");
    expect(client.visits[0].frames.map(({ data }) => data?.length)).toEqual([undefined, 2 * KIB, 5]);
    expect(await keptOf(topics, "news")).toBe(1);
  });

  test("holds in the memory of the process", async () => {
    const topics = histories({ maxHistoryBytes: 4 * KIB * KIB }, { size: 1_000_000 });
    const before = await usedBytes();
    for (let i = 0; i < 2_000; i++) topics.publish(`topic ${i % 50}`, Buffer.alloc(32 * KIB, i));
    expect(await usedBytes() - before).toBeLessThan(24 * KIB * KIB);
    expect(await keptOf(topics, "topic 0")).toBeGreaterThan(0);
  });
});

describe("maxHistoryTopics", () => {
  test("forgets the topics to which nothing was published for the longest time", async () => {
    const topics = histories({ maxHistoryTopics: 32 });
    for (let i = 0; i < 32; i++) topics.publish(`topic ${i}`, "x");
    topics.publish("topic 0", "y");
    topics.publish("new", "x");
    expect(await keptOf(topics, "new")).toBe(1);
    expect(await keptOf(topics, "topic 0")).toBe(2);
    expect(await keptOf(topics, "topic 1")).toBe(0);
    expect(await keptOf(topics, "topic 31")).toBe(1);
  });

  test("never forgets a topic that is followed", async () => {
    const topics = histories({ maxHistoryTopics: 16 });
    topics.publish("followed", "x");
    follow(topics, "followed");
    for (let i = 0; i < 1_000; i++) topics.publish(`topic ${i}`, "x");
    expect(await keptOf(topics, "followed")).toBe(1);
  });

  test("makes publish throw while all are followed, and append reject", async () => {
    const topics = histories({ maxHistoryTopics: 2 });
    const sockets = ["a", "b"].map((name) => follow(topics, name));
    for (const name of ["a", "b"]) topics.publish(name, "x");
    for (let i = 0; i < 5; i++) expect(() => topics.publish(`other ${i}`, "x")).toThrow(/maxHistoryTopics/);
    await expect(topics.append("other", "x")).rejects.toThrow(RangeError);
    expect(topics.publish("a", "y")).toBe(1);
    sockets[1].terminate();
    topics.publish("other", "x");
    expect([await keptOf(topics, "other"), await keptOf(topics, "b")]).toEqual([1, 0]);
  });

  test("keeps nothing of the topics that publish has refused", async () => {
    const topics = histories({ maxHistoryTopics: 1 });
    follow(topics, "a");
    topics.publish("a", "x");
    const before = await usedBytes();
    let refused = 0;
    for (let i = 0; i < 10_000; i++) {
      try {
        topics.publish(`${i} ${"x".repeat(500)}`, "x");
      } catch {
        refused++;
      }
    }
    expect(refused).toBe(10_000);
    expect(await usedBytes() - before).toBeLessThan(4 * KIB * KIB);
  });

  test("tells a client whose topic was forgotten", async () => {
    const topics = histories({ maxHistoryTopics: 1 });
    const client = new FakeClient();
    client.connect(topics, "news", false);
    topics.publish("news", "x");
    client.socket!.terminate();
    topics.publish("other", "x");
    client.connect(topics, "news", false);
    await vi.waitFor(() => expect(client.visits[1].frames).toMatchObject([{ recovered: false }]));
  });
});

test("what followers of 10,000 topics have made is gone when they have left", async () => {
  const topics = histories({ maxTopicsPerSocket: 10_000 });
  const visit = (round: number): void => {
    const socket = new FakeSocket(topics, false, () => {});
    for (let i = 0; i < 10_000; i++) {
      void topics.follow(socket, `round ${round} topic ${i}`, { since: i % 2 ? "" : "?" });
    }
    expect(socket.subscriptions?.size).toBe(10_000);
    socket.terminate();
  };
  visit(0);
  const before = await usedBytes();
  for (let round = 1; round < 4; round++) visit(round);
  expect(await usedBytes() - before).toBeLessThan(4 * KIB * KIB);
  expect(topics.size).toBe(0);
});

describe("maxAgeMs", () => {
  beforeEach(fakeClocks);
  afterEach(() => void vi.useRealTimers());

  test("ends a message also where nothing is published any more", async () => {
    const topics = histories({}, { maxAgeMs: 1_000 });
    topics.publish("news", "1");
    await vi.advanceTimersByTimeAsync(600);
    topics.publish("news", "2");
    expect(await keptOf(topics, "news")).toBe(2);
    await vi.advanceTimersByTimeAsync(400);
    expect(await keptOf(topics, "news")).toBe(1);
    await vi.advanceTimersByTimeAsync(600);
    expect(await keptOf(topics, "news")).toBe(0);
  });

  test("does not make a client that has missed nothing lose its place", async () => {
    const topics = histories({}, { maxAgeMs: 1_000 });
    const client = new FakeClient();
    client.connect(topics, "news", false);
    topics.publish("news", "1");
    client.socket!.terminate();
    await vi.advanceTimersByTimeAsync(60_000);
    client.connect(topics, "news", false);
    await vi.advanceTimersByTimeAsync(0);
    expect(client.visits[1].frames).toEqual([{ topic: "news", id: client.lastId, recovered: true }]);
  });

  test("frees the memory of old messages without a read or a publish", async () => {
    const topics = histories({ maxHistoryBytes: 64 * KIB * KIB }, { maxAgeMs: 1_000 });
    const before = await usedBytes();
    for (let i = 0; i < 500; i++) topics.publish(`topic ${i % 5}`, Buffer.alloc(64 * KIB, 1));
    expect(await usedBytes() - before).toBeGreaterThan(16 * KIB * KIB);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(await usedBytes() - before).toBeLessThan(8 * KIB * KIB);
  });
});
