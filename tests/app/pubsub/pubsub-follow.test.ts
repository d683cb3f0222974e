import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Broker, createApp, type FollowOptions, type Socket } from "../../../mod.ts";
import { changesOf, crowd, type Member, messagesOf } from "../../support/crowd.ts";
import { Hub } from "../../support/memory-broker.ts";
import { WRONG_TOPICS } from "../../support/topic-names.ts";

async function news(history: object | true = true) {
  const all = await crowd();
  all.app.topic("news", { history });
  return all;
}

/** What the client of a member got: the data of messages, and whether notices say `recovered`. */
async function shortly(member: Member): Promise<unknown[]> {
  return (await messagesOf(member)).map((text) => {
    if (!String(text).startsWith("{")) return `bare ${text}`;
    const { data, recovered } = JSON.parse(String(text));
    return data ?? recovered;
  });
}

describe("app.topic", () => {
  test("returns the app, and throws for what cannot be", async () => {
    const { app, member } = await news();
    expect(app.topic("other", { history: true })).toBe(app);
    expect(() => app.topic("other", { history: true })).toThrow(/"other".*already/);
    expect(() => app.topic("x", { histori: true } as never)).toThrow(/histori/);
    for (const [topic, kind, message] of WRONG_TOPICS) {
      expect(() => app.topic(topic as string, { history: true })).toThrow(kind);
      expect(() => app.topic(topic as string, { history: true })).toThrow(message);
    }
    await member("taken");
    expect(() => app.topic("taken", { history: true })).toThrow(/subscribed to "taken" already/);
    expect(() => app.topic("t*", { history: true })).toThrow(/subscribed to "taken" already/);
    await app.close({ timeoutMs: 50 });
    expect(() => app.topic("late", { history: true })).toThrow(/closed/);
  });

  test.each(["append", "read"])(
    "says that a broker without %s keeps no history, and leaves the topic as it was",
    async (name) => {
      const broker: Broker = new Hub().link();
      Object.defineProperty(broker, name, { value: undefined });
      const app = await createApp({ broker, logger: false });
      onTestFinished(async () => void await app.close());
      expect(() => app.topic("news", { history: true })).toThrow(
        `The broker keeps no history for "news": it has no method ${name}`,
      );
      expect(app.publish("news", "goes on as before")).toBe(0);
      app.topic("news", { history: false });
      await expect(app.append("news", "x")).rejects.toThrow(/has no history/);
    },
  );
});

describe("what a topic without a history refuses", () => {
  test.each<[string, (socket: Socket, app: Awaited<ReturnType<typeof crowd>>["app"]) => Promise<unknown>]>([
    ["follow", (socket) => socket.follow("other")],
    ["append", (_socket, app) => app.append("other", "x")],
    ["history", (_socket, app) => app.history("other")],
  ])("%s", async (_name, call) => {
    for (const { app, member } of [await news(), await crowd()]) {
      const { socket } = await member();
      await expect(call(socket, app)).rejects.toThrow(/"other" has no history: app\.topic\("other"/);
      expect(socket.topics).toEqual([]);
    }
  });
});

describe("follow", () => {
  test("rejects for a wrong topic, option or id, and subscribes to nothing then", async () => {
    const { app, member } = await crowd({ maxTopicsPerSocket: 1 });
    app.topic("*", { history: true });
    const { socket } = await member();
    for (const [topic, kind, message] of WRONG_TOPICS) {
      await expect(socket.follow(topic as string)).rejects.toThrow(kind);
      await expect(socket.follow(topic as string)).rejects.toThrow(message);
    }
    const wrong: [FollowOptions, RegExp][] = [
      [{ from: "x" } as never, /from/],
      [{ since: 7 } as never, /since.*7/],
      [{ presence: () => {} }, /presence|JSON/],
    ];
    for (const [options, message] of wrong) await expect(socket.follow("news", options)).rejects.toThrow(message);
    expect([socket.topics, app.subscribers("news")]).toEqual([[], 0]);
    await socket.follow("news");
    await expect(socket.follow("second")).rejects.toThrow(/maxTopicsPerSocket/);
    await expect(socket.follow("news")).rejects.toThrow(/follows "news" already/);
    expect(socket.topics).toEqual(["news"]);
  });

  test("is to subscribe: it joins, leaves, is counted and is present", async () => {
    const { app, member } = await news();
    const changes = changesOf(app);
    const one = await member();
    expect(await one.socket.follow("news", { presence: "Ada" })).toEqual({ recovered: false, id: expect.any(String) });
    expect([app.subscribers("news"), one.socket.topics]).toEqual([1, ["news"]]);
    expect(app.presence("news").map(({ data }) => data)).toEqual(["Ada"]);
    expect(one.socket.unsubscribe("news")).toBe(true);
    app.publish("news", "after");
    expect(await shortly(one)).toEqual([false]);
    expect([app.subscribers("news"), app.presence("news")]).toEqual([0, []]);
    await one.socket.follow("news", { since: "" });
    expect(await shortly(one)).toEqual([true, "after"]);
    one.socket.terminate();
    expect(changes.map(({ event }) => event)).toEqual(["join", "leave", "join", "leave"]);
    expect(app.subscribers("news")).toBe(0);
  });

  test("makes a plain subscription a following one, without a second join", async () => {
    const { app, member } = await news();
    const changes = changesOf(app);
    const one = await member("news");
    app.publish("news", "1");
    const followed = one.socket.follow("news");
    app.publish("news", "2");
    await followed;
    app.publish("news", "3");
    expect(one.socket.subscribe("news")).toBe(false);
    expect(await shortly(one)).toEqual(["bare 1", false, "2", "3"]);
    expect(changes).toHaveLength(1);
  });

  test("resolves for a socket that has closed, or closes meanwhile, and leaves nothing", async () => {
    const { app, member } = await news();
    app.publish("news", "1");
    const [one, two] = [await member(), await member()];
    const meanwhile = one.socket.follow("news", { since: "" });
    one.socket.terminate();
    two.socket.terminate();
    for (const followed of [meanwhile, two.socket.follow("news", { since: "" })]) {
      expect(await followed).toEqual({ recovered: false, id: "" });
    }
    expect(app.subscribers("news")).toBe(0);
  });

  test("begins anew for a socket that unsubscribes and follows again in one turn", async () => {
    const { app, member } = await news();
    for (const text of ["1", "2"]) app.publish("news", text);
    const one = await member();
    const first = one.socket.follow("news", { since: "" });
    one.socket.unsubscribe("news");
    const second = one.socket.follow("news", { since: "" });
    expect(await first).toEqual({ recovered: false, id: "" });
    expect((await second).recovered).toBe(true);
    expect(await shortly(one)).toEqual([true, "1", "2"]);
  });
});

describe("publish", () => {
  test("sends followers frames, and plain subscribers what was published; the publisher gets it too", async () => {
    const { app, member } = await news();
    const [follower, plain] = [await member(), await member("news")];
    await follower.socket.follow("news");
    expect(follower.socket.publish("news", "from a follower")).toBe(2);
    expect(app.publish("news", "from the app")).toBe(2);
    expect(await shortly(follower)).toEqual([false, "from a follower", "from the app"]);
    expect(await shortly(plain)).toEqual(["bare from a follower", "bare from the app"]);
  });

  test("makes the frame of a message once for all followers", async () => {
    let made = 0;
    const frame = (content: object): string => {
      made++;
      return JSON.stringify(content);
    };
    const { app, member } = await news({ frame });
    const members = [await member(), await member(), await member()];
    for (const { socket } of members) await socket.follow("news");
    made = 0;
    for (const text of ["1", "2"]) app.publish("news", text);
    expect(made).toBe(2);
    for (const each of members) expect(await shortly(each)).toEqual([false, "1", "2"]);
  });

  test("keeps the order in message, join, leave and close listeners", async () => {
    const { app, member } = await news();
    for (const event of ["join", "leave"] as const) app.on(event, () => void app.publish("news", event));
    const [one, two] = [await member(), await member()];
    await one.socket.follow("news");
    two.socket.on("message", (text) => {
      for (const part of String(text)) two.socket.publish("news", part);
    });
    two.socket.on("close", () => void app.publish("news", "close"));
    await two.socket.follow("news");
    const closed = new Promise<void>((resolve) => void two.socket.on("close", () => resolve()));
    two.client.terminate();
    await closed;
    app.publish("news", "end");
    expect(await shortly(one)).toEqual([false, "join", "join", "leave", "close", "end"]);
  });

  test("copies what is published, because the application may change its own bytes", async () => {
    const { app, member } = await news();
    const bytes = Buffer.from([1, 2, 255]);
    app.publish("news", bytes);
    bytes.fill(0);
    const one = await member();
    await one.socket.follow("news", { since: "" });
    expect(await shortly(one)).toEqual([true, "AQL/"]);
  });
});

test("a follower that unsubscribes others in the middle of a message keeps them from it", async () => {
  const others: Socket[] = [];
  const frame = (content: object): string => {
    if ("data" in content) { for (const socket of others) socket.unsubscribe("news"); }
    return JSON.stringify(content);
  };
  const { app, member } = await news({ frame });
  const [one, two, three] = [await member(), await member(), await member()];
  for (const { socket } of [one, two]) await socket.follow("news");
  three.socket.subscribe("news");
  others.push(two.socket, three.socket);
  app.publish("news", "1");
  await nextTurn();
  expect(await shortly(one)).toEqual([false, "1"]);
  expect(await shortly(two)).toEqual([false]);
  expect(await shortly(three)).toEqual([]);
});
