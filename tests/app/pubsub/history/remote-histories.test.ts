import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { AppOptions, HistoryOptions } from "../../../../mod.ts";
import { until } from "../../../support/app.ts";
import { type Member, messagesOf, type Peer, peer, peers, stall } from "../../../support/crowd.ts";
import { Hub, type MemoryBroker } from "../../../support/memory-broker.ts";

interface Frame {
  readonly id: string;
  readonly data?: string;
  readonly recovered?: boolean;
}

/** Several apps on one hub, in which "news" has a history. */
async function processes(count: number, history: HistoryOptions = {}, options: AppOptions = {}) {
  const hub = new Hub();
  const all = await peers(hub, count, options);
  for (const { app } of all) app.topic("news", { history });
  await hub.settle();
  return { hub, all };
}

async function framesOf(member: Member): Promise<Frame[]> {
  return (await messagesOf(member)).map((text) => JSON.parse(String(text)));
}

function shortly(frames: readonly Frame[]): unknown[] {
  return frames.map(({ data, recovered }) => data ?? recovered);
}

/** Connects a client to a process, and follows. */
async function follower({ app, member }: Peer, hub: Hub, since?: string): Promise<Member> {
  const one = await member();
  const followed = one.socket.follow("news", { since });
  await hub.settle();
  await followed;
  expect(app.subscribers("news")).toBeGreaterThan(0);
  return one;
}

describe("across processes", () => {
  test("all followers get the messages of all processes in the same order, under the same ids", async () => {
    const { hub, all } = await processes(3);
    const members: Member[] = [];
    for (const process of all) members.push(await follower(process, hub));
    for (let i = 0; i < 30; i++) {
      all[i % 3].app.publish("news", `${i}`);
      if (i % 4 === 0) await nextTurn();
    }
    await hub.settle();
    const [first, ...others] = await Promise.all(members.map(framesOf));
    expect(shortly(first)).toHaveLength(31);
    expect(new Set(shortly(first)).size).toBe(31);
    for (const frames of others) expect(frames).toEqual(first);
  });

  test("a client goes on in another process with its last id", async () => {
    const { hub, all: [a, b] } = await processes(2);
    const first = await follower(a, hub);
    a.app.publish("news", "1");
    await hub.settle();
    const { id } = (await framesOf(first)).at(-1)!;
    first.socket.terminate();
    for (const text of ["2", "3"]) b.app.publish("news", text);
    await hub.settle();
    const second = await follower(b, hub, id);
    a.app.publish("news", "4");
    await hub.settle();
    const frames = await framesOf(second);
    expect([frames[0].id, shortly(frames)]).toEqual([id, [true, "2", "3", "4"]]);
  });

  test("a client that had more than its new process loses nothing and gets nothing twice", async () => {
    const { hub, all: [a, b] } = await processes(2);
    const [one, two] = [await follower(a, hub), await follower(b, hub)];
    const late: [MemoryBroker, Parameters<MemoryBroker["receive"]>][] = [];
    hub.loses = (topic, to) => {
      const { bytes, position } = hub.published.at(-1)!;
      if (to === b.broker) late.push([to, [topic, bytes, position]]);
      return to === b.broker;
    };
    for (const text of ["1", "2"]) a.app.publish("news", text);
    await hub.settle();
    const { id } = (await framesOf(one)).at(-1)!;
    const moved = await follower(b, hub, id);
    hub.loses = () => false;
    for (const [to, args] of late) to.receive(...args);
    a.app.publish("news", "3");
    await hub.settle();
    expect(shortly(await framesOf(moved))).toEqual([true, "3"]);
    expect(shortly(await framesOf(two))).toEqual([false, "1", "2", "3"]);
  });

  test("the first message after a subscription reaches its own process", async () => {
    const { hub, all: [a] } = await processes(1);
    const one = await a.member("news");
    expect(a.app.publish("news", "hello")).toBe(1);
    await hub.settle();
    expect(await messagesOf(one)).toEqual(["hello"]);
  });
});

describe("while the broker is away", () => {
  test("follow waits, and an outage costs nobody a message", async () => {
    const { hub, all: [a, b] } = await processes(2);
    const one = await follower(b, hub);
    b.broker.disconnect();
    for (const text of ["1", "2"]) a.app.publish("news", text);
    await hub.settle();
    const two = await b.member();
    let hasFollowed = false;
    const followed = two.socket.follow("news", { since: "" }).then(() => hasFollowed = true);
    await hub.settle();
    b.broker.reconnect();
    await followed;
    expect(hasFollowed).toBe(true);
    await hub.settle();
    expect(shortly(await framesOf(one))).toEqual([false, "1", "2"]);
    expect(shortly(await framesOf(two))).toEqual([true, "1", "2"]);
  });

  test("follow of the first socket waits, too, and ends when the socket does", async () => {
    const { hub, all: [a] } = await processes(1);
    a.broker.disconnect();
    const [one, two] = [await a.member(), await a.member()];
    const [first, second] = [one.socket.follow("news"), two.socket.follow("news")];
    one.socket.terminate();
    expect(await first).toEqual({ recovered: false, id: "" });
    a.broker.reconnect();
    await hub.settle();
    expect(await second).toEqual({ recovered: false, id: expect.stringMatching(/\.0$/) });
  });

  test("append rejects and history rejects; publish sends to nobody; the log says once that the broker is away", async () => {
    const { hub, all: [a] } = await processes(1);
    const one = await follower(a, hub);
    a.broker.disconnect(new Error("cable pulled"));
    await expect(a.app.append("news", "lost")).rejects.toThrow(/no link/);
    await expect(a.app.history("news")).rejects.toThrow(/no link/);
    for (let i = 0; i < 5; i++) a.app.publish("news", "lost");
    await hub.settle();
    expect(a.entries.filter(({ level }) => level === "warn")).toHaveLength(1);
    a.broker.reconnect();
    await hub.settle();
    expect(await a.app.append("news", "kept").then((id) => id.split(".")[1])).toBe("1");
    await hub.settle();
    expect(shortly(await framesOf(one))).toEqual([false, "kept"]);
  });

  test("append that the broker did, but could not answer, rejects, and the message comes", async () => {
    const { hub, all: [a] } = await processes(1);
    const one = await follower(a, hub);
    const refused = expect(a.app.append("news", "there")).rejects.toThrow(/cut/);
    await new Promise<void>((resolve) => void process.nextTick(resolve));
    a.broker.disconnectBeforeAnswers();
    await refused;
    a.broker.reconnect();
    const frames = [await one.client.nextMessage(), await one.client.nextMessage()];
    expect(shortly(frames.map((text) => JSON.parse(String(text))))).toEqual([false, "there"]);
  });
});

test("a broker that fails is logged once, and not for each message", async () => {
  const hub = new Hub();
  const broker = hub.link();
  broker.append = () => Promise.reject(new Error("disk full"));
  const { app, entries } = await peer(hub, {}, broker);
  app.topic("news", { history: true });
  await hub.settle();
  for (let i = 0; i < 5; i++) {
    await expect(app.append("news", "x")).rejects.toThrow("disk full");
    app.publish("news", "x");
  }
  await hub.settle();
  expect(entries).toHaveLength(1);
  expect(String(entries[0].args[0])).toMatch(/the broker could not append to a history.*disk full/);
});

test("a slow client gets from the broker what its process has not in memory any more", async () => {
  const { hub, all: [a] } = await processes(1, { maxRecover: 1_000 }, { maxHistoryBytes: 100_000 });
  const slow = await follower(a, hub);
  await stall(slow, 200_000);
  const texts = Array.from({ length: 300 }, (_, i) => `${i} ${"x".repeat(2_000)}`);
  for (const text of texts) {
    a.app.publish("news", text);
    await nextTurn();
  }
  await hub.settle();
  slow.client.resume();
  await until(() => slow.socket.bufferedAmount === 0 && a.broker.isBusy === false);
  const got: Frame[] = [];
  while (got.at(-1)?.data !== texts.at(-1)) {
    const message = await slow.client.nextMessage();
    if (typeof message === "string") got.push(JSON.parse(message));
  }
  expect(shortly(got)).toEqual([false, ...texts]);
  expect(a.broker.calls.filter((call) => call.startsWith("read")).length).toBeGreaterThan(1);
});

test("no more than maxRecoveries histories are read at the same time, and who has gone is left out", async () => {
  const { hub, all: [a, b] } = await processes(2, {}, { maxRecoveries: 2 });
  await follower(a, hub);
  for (const text of ["1", "2", "3"]) b.app.publish("news", text);
  await hub.settle();
  const members: Member[] = [];
  while (members.length < 8) members.push(await a.member());
  a.broker.calls.length = 0;
  a.broker.stall();
  const followed = members.map(({ socket }) => socket.follow("news", { since: "" }));
  await nextTurn();
  expect(a.broker.calls.filter((call) => call.startsWith("read"))).toHaveLength(2);
  for (const { socket } of members.slice(0, 6)) socket.terminate();
  a.broker.unstall();
  await hub.settle();
  expect((await Promise.all(followed.slice(6))).map(({ recovered }) => recovered)).toEqual([true, true]);
  for (const member of members.slice(6)) expect(shortly(await framesOf(member))).toEqual([true, "1", "2", "3"]);
});

test("app.history gives the newest messages, or those behind an id, and the id to go on from", async () => {
  const { hub, all: [a, b] } = await processes(2, { size: 5 });
  const ids: string[] = [];
  for (let i = 1; i <= 7; i++) {
    const id = a.app.append("news", String(i));
    await hub.settle();
    ids.push(await id);
  }
  const read = async (options: object) => {
    const { messages, id, recovered } = await b.app.history("news", options);
    return [messages.map(({ data }) => data).join(), ids.indexOf(id) + 1, recovered];
  };
  expect(await read({})).toEqual(["3,4,5,6,7", 7, false]);
  expect(await read({ limit: 2 })).toEqual(["6,7", 7, false]);
  expect(await read({ since: "" })).toEqual(["3,4,5,6,7", 7, true]);
  expect(await read({ since: "", limit: 2 })).toEqual(["3,4", 4, true]);
  expect(await read({ since: ids[3], limit: 2 })).toEqual(["5,6", 6, true]);
  expect(await read({ since: ids[6] })).toEqual(["", 7, true]);
  expect(await read({ since: ids[0] })).toEqual(["", 7, false]);
  expect(await read({ since: "garbage" })).toEqual(["", 7, false]);
});

test("app.close sends what was published, ends all that waits, and logs nothing", async () => {
  const { hub, all: [a, b] } = await processes(2);
  const [one, two] = [await follower(a, hub), await follower(b, hub)];
  a.app.publish("news", "last words");
  const appended = a.app.append("news", "the very last");
  const closed = a.app.close({ timeoutMs: 200 });
  one.client.terminate();
  expect(await appended).toMatch(/\.2$/);
  await closed;
  await hub.settle();
  expect(shortly(await framesOf(two))).toEqual([false, "last words", "the very last"]);
  await expect(a.app.append("news", "too late")).rejects.toThrow(/closed/);
  expect(a.entries).toEqual([]);
});

test("a topic that nobody follows any more is unsubscribed, and nothing of it is kept", async () => {
  const { hub, all: [a] } = await processes(1);
  const one = await follower(a, hub);
  expect(a.broker.topics.size).toBe(2);
  one.socket.unsubscribe("news");
  await hub.settle();
  expect(a.broker.topics.size).toBe(1);
  const again = await follower(a, hub, "");
  expect(shortly(await framesOf(again))).toEqual([true]);
});
