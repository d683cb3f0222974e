import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { TopicFrame } from "../../../../mod.ts";
import { FakeClient, FakeSocket, HIGH_WATER, MAX_WAITING, topicsOf } from "../../../support/followers.ts";

/** What a client has got, as short texts: the data of messages, and whether notices say `recovered`. */
function shortly({ visits }: FakeClient): (string | boolean)[] {
  return visits.flatMap(({ frames }) => frames.map(({ data, recovered }) => data ?? recovered!));
}

/** The topics of one process, in which "news" has a history, and a client that follows it. */
function following(history: object = {}, drops: boolean = false) {
  const topics = topicsOf(undefined);
  topics.declare("news", { history });
  const client = new FakeClient();
  const socket = client.connect(topics, "news", drops);
  const publish = (...texts: string[]): void => {
    for (const text of texts) topics.publish("news", text);
  };
  return { topics, client, socket, publish };
}

function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, i) => String(from + i));
}

describe("a slow socket", () => {
  test.each([["close", false], ["drop", true]])(
    "with slowConsumer %s has what fills it, and gets all other messages as it drains",
    async (_name, drops) => {
      const { client, socket, publish } = following({}, drops);
      socket.stall();
      publish(...numbers(1, 50));
      expect(socket.waiting).toHaveLength(HIGH_WATER + 1);
      socket.drain(true);
      await nextTurn();
      expect(socket.waiting).toHaveLength(HIGH_WATER + 1);
      socket.drain(false);
      await nextTurn();
      publish("51");
      expect(shortly(client)).toEqual([false, ...numbers(1, 51)]);
    },
  );

  test("gets its messages in order while others are published between", async () => {
    const { client, socket, publish } = following();
    for (let i = 1; i <= 40; i += 2) {
      socket.stall();
      publish(String(i));
      socket.drain(i % 3 === 0);
      publish(String(i + 1));
      await nextTurn();
    }
    socket.drain(false);
    await nextTurn();
    expect(shortly(client)).toEqual([false, ...numbers(1, 40)]);
  });

  test("is told when what it lacks is not kept any more, and goes on from there", async () => {
    const { client, socket, publish } = following({ size: 2 });
    socket.stall();
    publish(...numbers(1, 10));
    socket.drain(false);
    await nextTurn();
    publish("11");
    expect(shortly(client)).toEqual([false, "1", "2", "3", "4", false, "11"]);
    expect(client.lastId).toMatch(/\.11$/);
  });

  test("that refuses a message, because something else has filled it, gets the message later", async () => {
    const { client, socket, publish } = following({}, true);
    socket.stall();
    for (let i = 0; i < MAX_WAITING; i++) socket.deliver('{"data":"else"}');
    publish("1", "2");
    socket.drain(false);
    await nextTurn();
    expect(shortly(client)).toEqual([false, ...Array(MAX_WAITING).fill("else"), "1", "2"]);
  });
  test("that follows many topics has what fills it and one message, not one of each topic", async () => {
    const topics = topicsOf(undefined);
    topics.declare("*", { history: true });
    const got: string[] = [];
    const socket = new FakeSocket(topics, false, (data) => void got.push(String(data)));
    const names = numbers(1, 20);
    for (const name of names) await topics.follow(socket, name, {});
    socket.stall();
    for (const name of names) for (const text of ["a", "b"]) topics.publish(name, text);
    expect(socket.mostWaiting).toBe(HIGH_WATER + 1);
    for (let i = 0; i < 10; i++) {
      socket.drain(true);
      await nextTurn();
    }
    expect(socket.mostWaiting).toBe(HIGH_WATER + 1);
    socket.drain(false);
    await nextTurn();
    const frames = got.map((text) => JSON.parse(text)).filter(({ data }) => data !== undefined);
    for (const name of names) {
      expect(frames.filter(({ topic }) => topic === name).map(({ data }) => data)).toEqual(["a", "b"]);
    }
  });

  test("that follows a flooded topic gets the messages of other topics, too", async () => {
    const topics = topicsOf(undefined);
    topics.declare("*", { history: true });
    const got: string[] = [];
    const socket = new FakeSocket(topics, false, (data) => void got.push(JSON.parse(String(data)).data));
    for (const name of ["flood", "news"]) await topics.follow(socket, name, {});
    socket.stall();
    topics.publish("flood", "x");
    const flood = (): void => numbers(1, 20).forEach(() => topics.publish("flood", "x"));
    flood();
    topics.publish("news", "a");
    for (let round = 0; round < 3; round++) {
      flood();
      socket.drain(true);
      await nextTurn();
    }
    expect(got).toContain("a");
  });
});

describe("a frame that publishes", () => {
  /** Publishes an answer to each message that begins with a question mark, in the middle of making its frame. */
  function answering(sockets: number) {
    const topics = topicsOf(undefined);
    const asked = new Set<string>();
    const frame: TopicFrame = (content) => {
      if ("data" in content && String(content.data).startsWith("?") && !asked.has(content.id)) {
        asked.add(content.id);
        topics.publish("news", `!${String(content.data).slice(1)}`);
      }
      return JSON.stringify(content);
    };
    topics.declare("news", { history: { frame } });
    const clients = Array.from({ length: sockets }, () => new FakeClient());
    for (const client of clients) client.connect(topics, "news", false);
    return { topics, clients };
  }

  test("does not disturb the order", async () => {
    const { topics, clients } = answering(3);
    for (const text of ["?a", "b", "?c"]) topics.publish("news", text);
    await nextTurn();
    for (const client of clients) expect(shortly(client)).toEqual([false, "?a", "!a", "b", "?c", "!c"]);
  });

  test("does not disturb the order of a follower that reads on", async () => {
    const { topics, clients: [client] } = answering(1);
    client.socket!.stall();
    for (const text of ["1", "2", "3", "4", "?a", "b"]) topics.publish("news", text);
    client.socket!.drain(false);
    await nextTurn();
    expect(shortly(client)).toEqual([false, "1", "2", "3", "4", "?a", "b", "!a"]);
  });
});

describe("a frame", () => {
  test("that throws closes the socket, and the other followers go on", () => {
    const frame: TopicFrame = (content) => {
      if ("data" in content && content.data === "bad") throw new Error("no frame");
      return JSON.stringify(content);
    };
    const { topics, client, socket, publish } = following({ frame });
    publish("1");
    topics.publish("news", "bad");
    expect(socket.errors).toEqual([expect.objectContaining({ message: "no frame" })]);
    expect([socket.isOpen, topics.count("news")]).toEqual([false, 0]);
    expect(shortly(client)).toEqual([false, "1"]);
    const next = new FakeClient();
    next.connect(topics, "news", false);
    publish("2");
    expect(shortly(next)).toEqual([false, "2"]);
  });

  test.each([["nothing", undefined], ["a number", 7], ["an object", {}], ["a promise", Promise.resolve("x")]])(
    "that gives %s closes the socket, too",
    async (_name, value) => {
      const { socket } = following({ frame: () => value });
      await nextTurn();
      expect(socket.errors).toEqual([expect.any(TypeError)]);
      expect(socket.isOpen).toBe(false);
    },
  );
});

test("a socket that ends while it reads on gets nothing more, and is no follower any more", async () => {
  const { topics, client, socket, publish } = following();
  socket.stall();
  publish(...numbers(1, 20));
  socket.terminate();
  await nextTurn();
  publish("21");
  expect(shortly(client)).toEqual([false]);
  expect(topics.count("news")).toBe(0);
});
