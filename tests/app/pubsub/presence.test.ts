import { describe, expect, test } from "vitest";
import type { App, Socket, SubscribeOptions } from "../../../mod.ts";
import { until } from "../../support/app.ts";
import { changesOf, crowd, peers } from "../../support/crowd.ts";
import { Hub } from "../../support/memory-broker.ts";

function names(app: App, topic: string = "room"): unknown[] {
  return app.presence(topic).map(({ data }) => data).sort();
}

describe("in one process", () => {
  test("sockets that have subscribed with presence are listed until they leave", async () => {
    const { app, member } = await crowd();
    const [ada, bob, eve] = [await member(), await member(), await member()];
    expect(app.presence("room")).toEqual([]);
    expect(ada.socket.subscribe("room", { presence: { name: "Ada" } })).toBe(true);
    expect(bob.socket.subscribe("room", { presence: { name: "Bob" } })).toBe(true);
    bob.socket.subscribe("hall", { presence: "busy" });
    eve.socket.subscribe("room");
    const here = (socket: Socket, data: unknown): object => ({ id: socket.id, processId: app.id, data });
    expect(app.presence("room")).toEqual([here(ada.socket, { name: "Ada" }), here(bob.socket, { name: "Bob" })]);
    expect(app.presence("hall")).toEqual([here(bob.socket, "busy")]);
    expect(app.subscribers("room")).toBe(3);
    ada.socket.unsubscribe("room");
    expect(app.presence("room")).toEqual([here(bob.socket, { name: "Bob" })]);
    bob.socket.close();
    expect([app.presence("room"), app.presence("hall")]).toEqual([[], []]);
  });

  test("the list is up to date when a join or leave event is emitted", async () => {
    const { app, member } = await crowd();
    const lists: unknown[] = [];
    app.on("join", (_socket, topic) => void lists.push(names(app, topic)));
    app.on("leave", (_socket, topic) => void lists.push(names(app, topic)));
    const [a, b] = [await member(), await member()];
    a.socket.subscribe("room", { presence: "a" });
    b.socket.subscribe("room", { presence: "b" });
    a.socket.terminate();
    expect(lists).toEqual([["a"], ["a", "b"], ["b"]]);
  });

  test("subscribing again changes the data, and keeps it without the option", async () => {
    const { app, member } = await crowd();
    const { socket } = await member("room");
    const changes = changesOf(app);
    expect(app.presence("room")).toEqual([]);
    expect(socket.subscribe("room", { presence: "typing" })).toBe(false);
    expect(names(app)).toEqual(["typing"]);
    expect(socket.subscribe("room", { presence: "reading" })).toBe(false);
    expect(socket.subscribe("room")).toBe(false);
    expect(socket.subscribe("room", {})).toBe(false);
    expect(socket.subscribe("room", { presence: undefined })).toBe(false);
    expect(names(app)).toEqual(["reading"]);
    expect(changes).toEqual([]);
  });

  test.each<[string, unknown]>([
    ["a text", "Ada"],
    ["an empty text", ""],
    ["a number", 0],
    ["false", false],
    ["null", null],
    ["a list", [1, ["two"], null]],
    ["an object", { name: "Ada", tags: ["x"], at: { x: 1.5 } }],
    ["a name that objects have", { ["__proto__"]: 1, constructor: 2 }],
    ["1,024 bytes as JSON", "x".repeat(1_022)],
    ["1,024 bytes as JSON, in fewer characters", "ü".repeat(511)],
  ])("the data may be %s", async (_name, presence) => {
    const hub = new Hub();
    const [a, b] = await peers(hub, 2);
    const { socket } = await a.member();
    expect(socket.subscribe("room", { presence })).toBe(true);
    await until(() => b.app.presence("room").length > 0);
    for (const { app } of [a, b]) {
      expect(app.presence("room")).toEqual([{ id: socket.id, processId: a.app.id, data: presence }]);
    }
  });

  test("the data is a copy through JSON, made when the socket subscribes", async () => {
    const { app, member } = await crowd();
    const { socket } = await member();
    const presence = { since: new Date(0), gone: undefined, tags: ["x"] };
    socket.subscribe("room", { presence });
    presence.tags.push("y");
    expect(names(app)).toEqual([{ since: "1970-01-01T00:00:00.000Z", tags: ["x"] }]);
    app.presence("room").pop();
    expect(names(app)).toHaveLength(1);
  });

  const cycle: { self?: object } = {};
  cycle.self = cycle;

  test.each<[string, unknown, ErrorConstructor, RegExp]>([
    ["a function", { presence: () => {} }, TypeError, /^presence .*JSON/],
    ["a symbol", { presence: Symbol("x") }, TypeError, /^presence .*JSON/],
    ["a bigint", { presence: 1n }, TypeError, /^presence .*JSON/],
    ["a cycle", { presence: cycle }, TypeError, /^presence .*JSON/],
    ["1,025 bytes", { presence: "x".repeat(1_023) }, RangeError, /^presence .*1024.*1025$/],
    ["1,026 bytes in fewer characters", { presence: "ü".repeat(512) }, RangeError, /^presence .*1024.*1026$/],
    ["another option", { presense: 1 }, TypeError, /^subscribe has no option "presense".*presence/],
    ["no options", "Ada", TypeError, /^subscribe takes an object.*"Ada"/],
    ["null for options", null, TypeError, /^subscribe takes an object.*null/],
  ])("subscribe refuses %s, and then nothing has changed", async (_name, options, kind, message) => {
    const { app, member } = await crowd();
    const { socket } = await member();
    const changes = changesOf(app);
    const attempt = (): unknown => socket.subscribe("room", options as SubscribeOptions);
    expect(attempt).toThrow(kind);
    expect(attempt).toThrow(message);
    expect([socket.topics, app.subscribers("room"), app.presence("room"), changes]).toEqual([[], 0, [], []]);
  });

  test("a socket that could not subscribe is not listed", async () => {
    const { app, member } = await crowd({ maxTopicsPerSocket: 1 });
    const { socket } = await member("full");
    expect(() => socket.subscribe("room", { presence: "a" })).toThrow(RangeError);
    socket.close();
    expect(socket.subscribe("full", { presence: "a" })).toBe(false);
    expect([app.presence("room"), app.presence("full")]).toEqual([[], []]);
  });
});
