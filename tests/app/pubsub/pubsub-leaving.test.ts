/** Sockets that leave their topics: by closing, by failing, and by being too slow. */
import { describe, expect, test } from "vitest";
import type { AppOptions, Socket } from "../../../mod.ts";
import { until, watch } from "../../support/app.ts";
import { changesOf, type Crowd, crowd, type Member, messagesOf, stall } from "../../support/crowd.ts";
import { close, frame, text } from "../../support/frames.ts";

type End = (member: Member, crowd: Crowd) => unknown;

/** Ways of ending a socket that the server begins. */
const OWN_ENDS: [string, End][] = [
  ["close()", ({ socket }) => socket.close()],
  ["terminate()", ({ socket }) => socket.terminate()],
  ["close() and terminate()", ({ socket }) => {
    socket.close();
    socket.terminate();
  }],
  ["the app's close()", (_member, { app }) => void app.close({ timeoutMs: 50 })],
];

const PEERS_ENDS: [string, End][] = [
  ["the peer's Close", ({ client }) => client.send(close(1000))],
  ["the peer's Close in the middle of what it sends", ({ client }) => client.send(text("x"), close(1000), text("y"))],
  ["the peer's FIN", ({ client }) => client.end()],
  ["the peer's reset", ({ client }) => client.reset()],
  ["a protocol fault", ({ client }) => client.send(frame(0x3))],
  ["an exception in a listener", ({ client }) => client.send(text("throw"))],
];

/** What a socket and its app say when it is asked during its events. */
function view(socket: Socket, { app }: Crowd): unknown {
  return { topics: socket.topics, counts: ["a", "b"].map((topic) => app.subscribers(topic)) };
}

describe("a socket that ends leaves all its topics at once", () => {
  test.each(OWN_ENDS)("%s", async (_name, end) => {
    const all = await crowd();
    const { app } = all;
    const [one, other] = [await all.member("a", "b"), await all.member("b")];
    const changes = changesOf(app);
    end(one, all);
    // Closing the app ends all sockets.
    const isAlone = other.socket.readyState === other.socket.OPEN;
    expect(changes.filter(({ socket }) => socket === one.socket)).toEqual([
      { event: "leave", socket: one.socket, topic: "a" },
      { event: "leave", socket: one.socket, topic: "b" },
    ]);
    expect(view(one.socket, all)).toEqual({ topics: [], counts: [0, isAlone ? 1 : 0] });
    expect(app.publish("b", "to who is left")).toBe(isAlone ? 1 : 0);
    const before = changes.length;
    one.socket.terminate();
    await until(() => one.socket.readyState === one.socket.CLOSED);
    expect(changes).toHaveLength(before);
    if (isAlone) expect(await messagesOf(other)).toEqual(["to who is left"]);
  });

  test.each([...OWN_ENDS, ...PEERS_ENDS])("before its close event: %s", async (_name, end) => {
    const all = await crowd({ closeTimeoutMs: 50 });
    const { app } = all;
    const one = await all.member("a", "b");
    const seen = watch(one.socket);
    one.socket.on("message", (data) => {
      if (data === "throw") throw new Error("listener at fault");
    });
    const events: string[] = [];
    const views: unknown[] = [];
    app.on("leave", (_socket, topic) => void events.push(`leave ${topic}`));
    one.socket.on("error", () => void views.push(view(one.socket, all)));
    one.socket.on("close", () => {
      events.push("close");
      views.push(view(one.socket, all));
    });
    end(one, all);
    await Promise.race([seen.closed, one.client.closed()]);
    one.client.terminate();
    await seen.closed;
    expect(events).toEqual(["leave a", "leave b", "close"]);
    expect(views.at(-1)).toEqual({ topics: [], counts: [0, 0] });
    expect(app.stats().topics).toBe(0);
  });

  test("when the Close of the peer has come, before it is answered", async () => {
    const all = await crowd();
    const one = await all.member("a", "b");
    const states: number[] = [];
    all.app.on("leave", (socket) => void states.push(socket.readyState));
    one.socket.on("message", () => {});
    one.client.send(close(1000));
    await until(() => one.socket.readyState !== one.socket.OPEN);
    expect([states, one.socket.topics]).toEqual([[one.socket.CLOSING, one.socket.CLOSING], []]);
  });

  test("and does not get messages that others publish because it leaves", async () => {
    const all = await crowd();
    const [one, other] = [await all.member("a", "b"), await all.member("a", "b")];
    all.app.on("leave", (socket, topic) => void all.app.publish(topic, `${socket === one.socket} ${topic}`));
    one.socket.send("before");
    one.socket.close();
    expect(await one.client.nextMessage()).toBe("before");
    expect((await one.client.nextFrame()).opcode).toBe(8);
    expect(await messagesOf(other)).toEqual(["true a", "true b"]);
    expect(one.client.frames).toHaveLength(2);
  });

  test("a listener of leave may make other sockets leave", async () => {
    const all = await crowd();
    const members = [await all.member("a", "b"), await all.member("b", "a"), await all.member("a")];
    all.app.on("leave", () => members.forEach(({ socket }) => socket.close()));
    const changes = changesOf(all.app);
    members[0].socket.terminate();
    const left = changes.map(({ socket, topic }) => `${members.findIndex((each) => each.socket === socket)} ${topic}`);
    expect(left.sort()).toEqual(["0 a", "0 b", "1 a", "1 b", "2 a"]);
    expect([all.app.stats().topics, all.app.subscribers("a"), all.app.subscribers("b")]).toEqual([0, 0, 0]);
  });

  test("a socket whose handler has failed has no topics", async () => {
    const all = await crowd();
    const changes = changesOf(all.app);
    const one = await all.member();
    const seen = watch(one.socket);
    one.socket.subscribe("a");
    one.socket.close(4003, "no");
    one.client.send(close(4003));
    await seen.closed;
    expect(changes.map(({ event }) => event)).toEqual(["join", "leave"]);
    expect(all.app.stats()).toMatchObject({ topics: 0, connections: 0 });
  });
});

describe("slow consumers", () => {
  const LIMITS: AppOptions = { maxBufferedBytes: 4_000_000 };
  const LARGE = "x".repeat(2_000_000);

  test("are closed, leave and are not counted, while the others get the message", async () => {
    const all = await crowd(LIMITS);
    const [a, slow, b] = [await all.member("news"), await all.member("news", "more"), await all.member("news")];
    const seen = watch(slow.socket);
    await stall(slow, 3_000_000);
    const changes = changesOf(all.app);
    expect(all.app.publish("news", LARGE)).toBe(2);
    expect(changes.map(({ socket, topic }) => [socket === slow.socket, topic])).toEqual([[true, "news"], [
      true,
      "more",
    ]]);
    expect([slow.socket.topics, all.app.subscribers("news"), all.app.subscribers("more")]).toEqual([[], 2, 0]);
    expect(seen.errors.map(({ message }) => message)).toEqual([expect.stringMatching(/slow consumer/i)]);
    expect(all.app.publish("news", "next")).toBe(2);
    for (const member of [a, b]) expect(await messagesOf(member)).toEqual([LARGE, "next"]);
    slow.client.resume();
    expect((await slow.client.closed()).code).toBe(1013);
  });

  test('miss the message and stay, with slowConsumer: "drop"', async () => {
    const all = await crowd({ ...LIMITS, slowConsumer: "drop" });
    const [a, slow, b] = [await all.member("news"), await all.member("news"), await all.member("news")];
    await stall(slow, 3_000_000);
    const before = slow.client.frames.length;
    expect(all.app.publish("news", LARGE)).toBe(2);
    expect(all.app.stats()).toMatchObject({ droppedMessages: 1, connections: 3 });
    expect(all.app.publish("news", "small enough")).toBe(3);
    for (const member of [a, b]) expect(await messagesOf(member)).toEqual([LARGE, "small enough"]);
    slow.client.resume();
    const drained = slow.socket.drained();
    await drained;
    const received = await messagesOf(slow);
    expect([before, received.at(-1)]).toEqual([0, "small enough"]);
    expect(received.filter((message) => message === LARGE)).toEqual([]);
  });

  test("that are only above highWaterMark get the message, are counted, and emit drain", async () => {
    const all = await crowd({ highWaterMark: 10 });
    const one = await all.member("news");
    const drained = new Promise<number>((resolve) => one.socket.on("drain", () => resolve(one.socket.bufferedAmount)));
    expect(all.app.publish("news", "more than ten bytes")).toBe(1);
    expect(await drained).toBe(0);
    expect(await messagesOf(one)).toEqual(["more than ten bytes"]);
  });

  /**
   * Things that a listener may do in the middle of a publish, when the third of five sockets has turned out to be too
   * slow.
   */
  const REACTIONS: [string, (members: readonly Member[], guest: Member) => void][] = [
    ["a socket that has the message leaves and comes back", ([a]) => {
      a.socket.unsubscribe("news");
      a.socket.subscribe("news");
    }],
    ["a socket that waits for the message leaves and comes back", ([, , , d]) => {
      d.socket.unsubscribe("news");
      d.socket.subscribe("news");
    }],
    ["all leave and come back", (members) => {
      for (const { socket } of members) socket.unsubscribe("news");
      for (const { socket } of members) socket.subscribe("news");
    }],
    ["a socket that has the message ends", ([a]) => a.socket.terminate()],
    ["a socket that waits for the message leaves", ([, , , d]) => d.socket.unsubscribe("news")],
    ["a socket that waits for the message ends", ([, , , d]) => d.socket.close()],
    ["another socket comes", (_members, { socket }) => socket.subscribe("news")],
    ["a socket publishes", ([a]) => a.socket.publish("other", "something else")],
  ];

  describe.each(["error", "leave"] as const)("a change by a listener of %s in the middle of a publish", (event) => {
    test.each(REACTIONS)("makes no socket miss the message or get it twice: %s", async (_name, react) => {
      const all = await crowd(LIMITS);
      const members: Member[] = [];
      while (members.length < 5) members.push(await all.member("news"));
      const [slow, guest] = [members[2], await all.member("other")];
      await stall(slow, 3_000_000);
      let reactions = 0;
      const onSlow = (): void => {
        if (++reactions === 1) react(members, guest);
      };
      if (event === "error") slow.socket.on("error", onSlow);
      else all.app.on("leave", onSlow);
      const count = all.app.publish("news", LARGE);
      expect(reactions).toBeGreaterThan(0);
      let got = 0;
      for (const member of [...members, guest]) {
        if (member === slow || member.socket.readyState !== member.socket.OPEN) continue;
        const times = (await messagesOf(member)).filter((message) => message === LARGE).length;
        const isSure = members.includes(member) && member.socket.topics.includes("news");
        expect(isSure ? [1] : [0, 1]).toContain(times);
        got += times;
      }
      expect(count).toBeGreaterThanOrEqual(got);
      expect(count).toBeLessThanOrEqual(got + 1);
      expect(all.app.subscribers("news")).toBe(
        [...members, guest].filter(({ socket }) => socket.topics.includes("news")).length,
      );
    });
  });
});
