import { describe, expect, test } from "vitest";
import type { Socket } from "../../../mod.ts";
import { changesOf, crowd, messagesOfAll } from "../../support/crowd.ts";
import { ODD_TOPICS, WRONG_TOPICS } from "../../support/topic-names.ts";

describe("subscribe", () => {
  test("returns whether the subscription is new, and unsubscribe whether there was one", async () => {
    const { app, member } = await crowd();
    const { socket } = await member();
    expect(socket.topics).toEqual([]);
    expect(socket.subscribe("news")).toBe(true);
    expect(socket.subscribe("news")).toBe(false);
    expect([socket.topics, app.subscribers("news")]).toEqual([["news"], 1]);
    expect(socket.unsubscribe("other")).toBe(false);
    expect(socket.unsubscribe("news")).toBe(true);
    expect(socket.unsubscribe("news")).toBe(false);
    expect([socket.topics, app.subscribers("news")]).toEqual([[], 0]);
  });

  test("topics are listed in order of subscription, in an array that belongs to the caller", async () => {
    const { member } = await crowd();
    const { socket } = await member("c", "a", "b");
    socket.unsubscribe("c");
    socket.subscribe("c");
    expect(socket.topics).toEqual(["a", "b", "c"]);
    socket.topics.push("d");
    expect(socket.topics).toEqual(["a", "b", "c"]);
  });

  test("a topic counts its sockets, and exists while it has one", async () => {
    const { app, member } = await crowd();
    const [a, b] = [await member("x", "y"), await member("y")];
    expect([app.subscribers("x"), app.subscribers("y"), app.subscribers("z")]).toEqual([1, 2, 0]);
    expect(app.stats().topics).toBe(2);
    a.socket.unsubscribe("x");
    a.socket.unsubscribe("y");
    expect([app.subscribers("x"), app.subscribers("y"), app.stats().topics]).toEqual([0, 1, 1]);
    b.socket.unsubscribe("y");
    expect(app.stats().topics).toBe(0);
  });

  test("apps have topics of their own", async () => {
    const [a, b] = [await crowd(), await crowd()];
    const [one, other] = [await a.member("news"), await b.member("news")];
    expect(a.app.publish("news", "from a")).toBe(1);
    expect(await messagesOfAll([one, other])).toEqual([["from a"], []]);
    expect(a.app.id).toMatch(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/);
    expect(a.app.id).not.toBe(b.app.id);
  });

  test.each(ODD_TOPICS.map((topic) => [topic]))("any name is possible: %j", async (topic) => {
    const { app, member } = await crowd();
    const [a, b] = [await member(topic), await member()];
    expect([a.socket.topics, app.subscribers(topic)]).toEqual([[topic], 1]);
    expect(app.publish(topic, "hello")).toBe(1);
    expect(await messagesOfAll([a, b])).toEqual([["hello"], []]);
    expect(a.socket.unsubscribe(topic)).toBe(true);
    expect(app.stats().topics).toBe(0);
  });

  test.each(WRONG_TOPICS)("the name %j is refused", async (topic, kind, message) => {
    const { app, member } = await crowd();
    const { socket } = await member();
    const attempts: ((topic: string) => unknown)[] = [
      (topic) => socket.subscribe(topic),
      (topic) => socket.unsubscribe(topic),
      (topic) => socket.publish(topic, "hello"),
      (topic) => app.publish(topic, "hello"),
      (topic) => app.subscribers(topic),
      (topic) => app.presence(topic),
    ];
    for (const attempt of attempts) {
      expect(() => attempt(topic as string)).toThrow(kind);
      expect(() => attempt(topic as string)).toThrow(message);
    }
    expect([socket.topics, app.stats().topics, socket.readyState]).toEqual([[], 0, socket.OPEN]);
  });

  test.each<[string, (socket: Socket) => void]>([
    ["close", (socket) => socket.close()],
    ["terminate", (socket) => socket.terminate()],
  ])("does nothing on a socket that is not open: %s", async (_name, end) => {
    const { app, member } = await crowd();
    const { socket } = await member();
    const changes = changesOf(app);
    const inClose = new Promise((resolve) => socket.on("close", () => resolve(socket.subscribe("news"))));
    end(socket);
    expect(socket.subscribe("news")).toBe(false);
    expect(socket.unsubscribe("news")).toBe(false);
    socket.terminate();
    expect(await inClose).toBe(false);
    expect(socket.subscribe("news")).toBe(false);
    expect([socket.topics, app.subscribers("news"), app.stats().topics, changes]).toEqual([[], 0, 0, []]);
  });

  test("throws above maxTopicsPerSocket, until the socket has left a topic", async () => {
    const { app, member } = await crowd({ maxTopicsPerSocket: 2 });
    const { socket } = await member("a", "b");
    const changes = changesOf(app);
    expect(() => socket.subscribe("c")).toThrow(RangeError);
    expect(() => socket.subscribe("c")).toThrow(/\b2\b/);
    expect(socket.subscribe("a")).toBe(false);
    expect([socket.topics, app.subscribers("c"), changes]).toEqual([["a", "b"], 0, []]);
    socket.unsubscribe("a");
    expect(socket.subscribe("c")).toBe(true);
    const { socket: other } = await member("d", "e");
    expect(other.topics).toEqual(["d", "e"]);
  });

  test("lets a socket have 10,000 topics by default", async () => {
    const { app, member } = await crowd();
    const { socket } = await member();
    for (let i = 0; i < 10_000; i++) socket.subscribe(`topic ${i}`);
    expect(() => socket.subscribe("one more")).toThrow(RangeError);
    expect([socket.topics.length, app.stats().topics]).toEqual([10_000, 10_000]);
    socket.terminate();
    expect([socket.topics.length, app.stats().topics]).toEqual([0, 0]);
  });
});
