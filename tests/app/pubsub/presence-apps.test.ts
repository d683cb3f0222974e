/**
 * Presence across apps that share a broker: what each app lists, and how lost messages and dead processes are noticed.
 */
import { describe, expect, test } from "vitest";
import type { App, AppOptions, Socket } from "../../../mod.ts";
import { until } from "../../support/app.ts";
import { type Peer, peer, peers } from "../../support/crowd.ts";
import { close } from "../../support/frames.ts";
import { Hub } from "../../support/memory-broker.ts";
import { Program } from "../../support/program.ts";

function names(app: App, topic: string = "room"): unknown[] {
  return app.presence(topic).map(({ data }) => data).sort();
}

/** Times so long that no heartbeat and no time-out takes part in these tests. */
const SLOW = { presence: { intervalMs: 60_000, timeoutMs: 600_000 } };
const QUICK = { presence: { intervalMs: 20, timeoutMs: 400 } };

/** Processes that have exchanged their states, which takes a moment. */
async function acquainted(hub: Hub, count: number, options: AppOptions = SLOW): Promise<Peer[]> {
  const all = await peers(hub, count, options);
  const probes: Socket[] = [];
  for (const each of all) probes.push(await come(each, "", "probe"));
  await until(() => all.every(({ app }) => app.presence("probe").length === count));
  for (const probe of probes) probe.terminate();
  await hub.settle();
  return all;
}

/** A socket that is present. */
async function come({ member }: Peer, presence: unknown, topic: string = "room"): Promise<Socket> {
  const { socket } = await member();
  expect(socket.subscribe(topic, { presence })).toBe(true);
  return socket;
}

describe("across processes", () => {
  test("every process lists all sockets with their processes, even if none of its own sockets is subscribed", async () => {
    const hub = new Hub();
    const [a, b, c] = await acquainted(hub, 3);
    const [ada, bob] = [await come(a, "Ada"), await come(b, "Bob")];
    await hub.settle();
    const here = { id: ada.id, processId: a.app.id, data: "Ada" };
    const there = { id: bob.id, processId: b.app.id, data: "Bob" };
    expect(a.app.presence("room")).toEqual([here, there]);
    expect(b.app.presence("room")).toEqual([there, here]);
    expect(c.app.presence("room")).toEqual(expect.arrayContaining([here, there]));
    expect([c.app.presence("room").length, c.app.presence("hall"), c.app.subscribers("room")]).toEqual([2, [], 0]);
  });

  test.each<[string, (socket: Socket) => unknown]>([
    ["unsubscribe", (socket) => socket.unsubscribe("room")],
    ["close", (socket) => socket.close()],
    ["terminate", (socket) => socket.terminate()],
  ])("a socket that leaves is not listed by any process: %s", async (_name, leave) => {
    const hub = new Hub();
    const [a, b] = await acquainted(hub, 2);
    const [ada] = [await come(a, "Ada"), await come(a, "Bob")];
    await hub.settle();
    expect(names(b.app)).toEqual(["Ada", "Bob"]);
    leave(ada);
    await hub.settle();
    expect(names(b.app)).toEqual(["Bob"]);
  });

  test("a client that disconnects is not listed any more, and changed data is listed", async () => {
    const hub = new Hub();
    const [a, b] = await acquainted(hub, 2);
    const { socket, client } = await a.member();
    socket.on("message", () => {});
    socket.subscribe("room", { presence: "reading" });
    socket.subscribe("room", { presence: "typing" });
    await hub.settle();
    expect(names(b.app)).toEqual(["typing"]);
    socket.subscribe("room", { presence: "away" });
    await hub.settle();
    expect(names(b.app)).toEqual(["away"]);
    client.send(close(1000));
    await until(() => socket.readyState !== socket.OPEN);
    await hub.settle();
    expect(names(b.app)).toEqual([]);
  });

  test("the changes of one turn are sent in one message, with only the last change of each socket", async () => {
    const hub = new Hub();
    const [a, b] = await acquainted(hub, 2);
    const { socket } = await a.member();
    const before = hub.published.length;
    for (let i = 0; i < 100; i++) socket.subscribe(`room ${i}`, { presence: i });
    socket.unsubscribe("room 0");
    socket.unsubscribe("room 1");
    socket.subscribe("room 1", { presence: "again" });
    await hub.settle();
    expect([0, 1, 2, 99].map((i) => names(b.app, `room ${i}`))).toEqual([[], ["again"], [2], [99]]);
    const told = hub.published.slice(before).filter(({ bytes }) => bytes.includes("room 99"));
    expect(told).toHaveLength(1);
  });

  test("a process that starts late gets the whole state, however large it is", async () => {
    const hub = new Hub();
    const [a, b] = await acquainted(hub, 2);
    for (const each of [a, b]) {
      const { socket } = await each.member();
      for (let i = 0; i < 1_200; i++) socket.subscribe(`room ${i}`, { presence: { of: each.app.id, i } });
    }
    await come(b, "Bob", "hall");
    await hub.settle();
    const late = await peer(hub, SLOW);
    await until(() => late.app.presence("room 1199").length === 2 && late.app.presence("hall").length === 1);
    for (const i of [0, 499, 500, 501, 1_000, 1_199]) {
      const all = late.app.presence(`room ${i}`);
      expect(all.map(({ processId }) => processId).sort()).toEqual([a.app.id, b.app.id].sort());
      for (const { processId, data } of all) expect(data).toEqual({ of: processId, i });
    }
  });

  test("the others forget a process at once when it closes", async () => {
    const hub = new Hub();
    const [a, b] = await acquainted(hub, 2);
    await come(a, "Ada");
    await come(b, "Bob");
    await hub.settle();
    // The news that its sockets leave are lost. When the last socket has left, the process tells that it is closing.
    hub.loses = () => a.app.sockets.size > 0;
    await a.app.close({ timeoutMs: 50 });
    await hub.settle();
    expect(names(b.app)).toEqual(["Bob"]);
  });

  test("the others forget a process after timeoutMs without a message, and list it again if it was not dead", async () => {
    const hub = new Hub();
    const [a, b, c] = await acquainted(hub, 3, QUICK);
    await come(a, "Ada");
    await come(b, "Bob");
    await until(() => names(c.app).length === 2);
    // None of its messages arrives any more, not even that it is closing.
    hub.mute(a.broker);
    await until(() => names(b.app).length === 1 && names(c.app).length === 1);
    expect([names(b.app), names(c.app)]).toEqual([["Bob"], ["Bob"]]);
    hub.unmute(a.broker);
    await until(() => names(b.app).length === 2 && names(c.app).length === 2);
    expect([a, b, c].map(({ app }) => names(app))).toEqual(Array(3).fill(["Ada", "Bob"]));
  });

  test("lists are complete again after lost messages", async () => {
    const hub = new Hub();
    const [a, b, c] = await acquainted(hub, 3, QUICK);
    const [ada, bob] = [await come(a, "Ada"), await come(b, "Bob")];
    await until(() => names(c.app).length === 2);
    let count = 0;
    hub.loses = (_topic, to) => to !== a.broker && ++count % 2 === 0;
    for (let i = 0; i < 10; i++) {
      await come(a, `guest ${i}`);
      ada.subscribe("room", { presence: `Ada ${i}` });
      (await come(b, "short")).unsubscribe("room");
      await hub.settle();
    }
    bob.unsubscribe("room");
    hub.loses = (_topic, to) => to !== a.broker;
    ada.terminate();
    await hub.settle();
    hub.loses = () => false;
    const expected = Array.from({ length: 10 }, (_, i) => `guest ${i}`);
    await until(() => [a, b, c].every(({ app }) => String(names(app)) === String(expected)));
    expect([a, b, c].map(({ app }) => names(app))).toEqual(Array(3).fill(expected));
  });

  test("while the broker is away, a process lists its own sockets only, and all when the broker is back", async () => {
    const hub = new Hub();
    const [a, b] = await acquainted(hub, 2, QUICK);
    const ada = await come(a, "Ada");
    await come(b, "Bob");
    await until(() => names(a.app).length === 2 && names(b.app).length === 2);
    a.broker.disconnect();
    await until(() => names(a.app).length === 1 && names(b.app).length === 1);
    ada.unsubscribe("room");
    await come(a, "Eve");
    await come(b, "Bea");
    expect([names(a.app), names(b.app)]).toEqual([["Eve"], ["Bea", "Bob"]]);
    a.broker.reconnect();
    await until(() => names(a.app).length === 3 && names(b.app).length === 3);
    expect([names(a.app), names(b.app)]).toEqual(Array(2).fill(["Bea", "Bob", "Eve"]));
  });

  test("a process whose link was cut for a moment lists all again at once, without a heartbeat", async () => {
    const hub = new Hub();
    const [a, b] = await acquainted(hub, 2);
    const ada = await come(a, "Ada");
    await come(b, "Bob");
    await hub.settle();
    a.broker.disconnect();
    ada.unsubscribe("room");
    await come(b, "Bea");
    await hub.settle();
    a.broker.reconnect();
    await until(() => names(a.app).length === 2 && names(b.app).length === 2);
    expect([names(a.app), names(b.app)]).toEqual(Array(2).fill(["Bea", "Bob"]));
  });

  test("messages about presence are not counted in the figures", async () => {
    const hub = new Hub();
    const [a, b] = await acquainted(hub, 2, QUICK);
    await come(a, "Ada");
    await until(() => names(b.app).length === 1);
    a.broker.disconnect();
    await until(() => names(b.app).length === 0);
    for (const { app } of [a, b]) {
      expect(app.stats()).toMatchObject({ broker: { published: 0, received: 0, dropped: 0 } });
    }
    expect([a.app.stats().topics, b.app.stats().topics]).toEqual([1, 0]);
  });

  test("the timers of presence do not keep a process alive", async () => {
    const program = Program.source(`
      import { createApp } from "{root}mod.ts";
      const none = () => Promise.resolve();
      const broker = { onMessage() {}, publish: none, subscribe: none, unsubscribe: none, close: none };
      await createApp({ broker: { ...broker, onStatus: (listener) => listener({ isConnected: true }) } });
      console.log("made");
    `);
    await program.line(/^made$/);
    expect(await program.exited).toEqual({ code: 0, signal: null });
  });
});
