/** The events join and leave of an app. */
import { describe, expect, test } from "vitest";
import type { Socket } from "../../../mod.ts";
import { until } from "../../support/app.ts";
import { changesOf, crowd, messagesOf } from "../../support/crowd.ts";

describe("join and leave", () => {
  test("are emitted once for each socket and topic, after the change", async () => {
    const { app, member } = await crowd();
    const [a, b] = [await member(), await member()];
    const changes = changesOf(app);
    const counts: number[] = [];
    app.on("join", (_socket, topic) => void counts.push(app.subscribers(topic)));
    app.on("leave", (_socket, topic) => void counts.push(app.subscribers(topic)));
    a.socket.subscribe("x");
    a.socket.subscribe("x");
    b.socket.subscribe("x");
    b.socket.subscribe("y");
    a.socket.unsubscribe("x");
    a.socket.unsubscribe("x");
    expect(changes).toEqual([
      { event: "join", socket: a.socket, topic: "x" },
      { event: "join", socket: b.socket, topic: "x" },
      { event: "join", socket: b.socket, topic: "y" },
      { event: "leave", socket: a.socket, topic: "x" },
    ]);
    expect(counts).toEqual([1, 2, 1, 1]);
  });

  test("a message that is published in them reaches a socket that has joined, and not one that has left", async () => {
    const { app, member } = await crowd();
    app.on("join", (_socket, topic) => void app.publish(topic, "somebody has come"));
    app.on("leave", (_socket, topic) => void app.publish(topic, "somebody has gone"));
    const [a, b] = [await member("room"), await member("room")];
    b.socket.unsubscribe("room");
    expect(await messagesOf(a)).toEqual(["somebody has come", "somebody has come", "somebody has gone"]);
    expect(await messagesOf(b)).toEqual(["somebody has come"]);
  });

  test("off removes a listener, and on and off return the app", async () => {
    const { app, member } = await crowd();
    const { socket } = await member();
    const heard: string[] = [];
    const listener = (_socket: Socket, topic: string): void => void heard.push(topic);
    expect(app.on("join", listener).on("leave", listener)).toBe(app);
    socket.subscribe("a");
    expect(app.off("join", listener)).toBe(app);
    socket.subscribe("b");
    socket.unsubscribe("b");
    expect(heard).toEqual(["a", "b"]);
  });

  test.each<[string, unknown, unknown, RegExp]>([
    ["other events do not exist", "message", () => {}, /"message".*join, leave/],
    ["a listener is a function", "join", "log", /"join".*"log"/],
  ])("%s", async (_name, event, listener, message) => {
    const { app } = await crowd();
    const attempt = (): unknown => app.on(event as "join", listener as () => void);
    expect(attempt).toThrow(TypeError);
    expect(attempt).toThrow(message);
  });

  test.each<[string, () => unknown]>([
    ["throws", () => {
      throw new Error("listener at fault");
    }],
    ["rejects", () => Promise.reject(new Error("listener at fault"))],
  ])("a listener that %s is logged, without any other effect", async (_name, fail) => {
    const { app, member, entries } = await crowd();
    app.on("join", fail);
    app.on("leave", fail);
    const changes = changesOf(app);
    const one = await member();
    const errors: Error[] = [];
    one.socket.on("error", (error) => errors.push(error));
    expect(one.socket.subscribe("news")).toBe(true);
    expect([one.socket.topics, app.publish("news", "hello")]).toEqual([["news"], 1]);
    expect(one.socket.unsubscribe("news")).toBe(true);
    expect(await messagesOf(one)).toEqual(["hello"]);
    expect(changes.map(({ event }) => event)).toEqual(["join", "leave"]);
    expect(entries.map(({ level }) => level)).toEqual(["error", "error"]);
    for (const [i, event] of ["join", "leave"].entries()) {
      expect(String(entries[i].args)).toMatch(new RegExp(`"${event}" has thrown: Error: listener at fault$`));
    }
    expect([errors, one.socket.readyState]).toEqual([[], one.socket.OPEN]);
  });

  test("a listener may undo the change that it is called for", async () => {
    const { app, member } = await crowd();
    app.on("join", (socket, topic) => void (topic === "private" && socket.unsubscribe(topic)));
    app.on("leave", (socket, topic) => void (topic === "home" && socket.subscribe(topic)));
    const changes = changesOf(app);
    const { socket } = await member("home", "private");
    expect([socket.topics, app.subscribers("private")]).toEqual([["home"], 0]);
    socket.unsubscribe("home");
    expect([socket.topics, app.subscribers("home")]).toEqual([["home"], 1]);
    expect(changes).toHaveLength(5);
    socket.terminate();
    await until(() => socket.readyState === socket.CLOSED);
    expect([socket.topics, app.subscribers("home"), app.stats().topics]).toEqual([[], 0, 0]);
  });

  test("a listener may close the socket that joins", async () => {
    const { app, member } = await crowd();
    app.on("join", (socket) => socket.close(4001, "not for you"));
    const { socket, client } = await member();
    const changes = changesOf(app);
    socket.subscribe("private");
    expect([socket.topics, app.subscribers("private")]).toEqual([[], 0]);
    expect(changes.map(({ event }) => event).sort()).toEqual(["join", "leave"]);
    expect((await client.nextFrame()).payload.readUInt16BE(0)).toBe(4001);
  });
});
