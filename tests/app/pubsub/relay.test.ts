import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crowd, type Member, messagesOf, messagesOfAll, peer, peers } from "../../support/crowd.ts";
import { Hub } from "../../support/memory-broker.ts";

describe("subscriptions at the broker", () => {
  test("begin with the first socket of a topic and end with the last", async () => {
    const hub = new Hub();
    const { broker, member } = await peer(hub);
    const [a, b] = [await member(), await member()];
    await hub.settle();
    expect(broker.calls).toEqual([]);
    for (const { socket } of [a, b]) {
      socket.subscribe("news");
      await hub.settle();
    }
    expect(broker.calls).toEqual(["subscribe news"]);
    a.socket.unsubscribe("news");
    await hub.settle();
    expect(broker.usersTopics).toEqual(["news"]);
    b.socket.terminate();
    await hub.settle();
    expect(broker.calls).toEqual(["subscribe news", "unsubscribe news"]);
    expect(broker.usersTopics).toEqual([]);
  });

  test("are not needed to publish", async () => {
    const hub = new Hub();
    const [a, b] = await peers(hub, 2);
    const one = await b.member("news");
    await hub.settle();
    expect(a.app.publish("news", "hello")).toBe(0);
    await hub.settle();
    expect(await messagesOf(one)).toEqual(["hello"]);
    expect(a.broker.calls).toEqual(["publish news"]);
  });

  test("stay when a socket leaves and comes back in one turn", async () => {
    const hub = new Hub();
    const [a, b] = await peers(hub, 2);
    const [one, other] = [await a.member("news"), await a.member()];
    await hub.settle();
    one.socket.unsubscribe("news");
    b.app.publish("news", "1");
    one.socket.subscribe("news");
    await hub.settle();
    one.socket.terminate();
    other.socket.subscribe("news");
    b.app.publish("news", "2");
    await hub.settle();
    expect(a.broker.calls).toEqual(["subscribe news"]);
    expect(await messagesOf(other)).toEqual(["2"]);
    expect(a.app.stats().broker).toMatchObject({ received: 2 });
  });

  test("of many topics that come and go do not get mixed up", async () => {
    const hub = new Hub();
    const { app, broker, member } = await peer(hub);
    const { socket } = await member();
    const names = Array.from({ length: 400 }, (_, i) => `topic ${1_000 + i}`);
    for (let round = 0; round < 6; round++) {
      for (const [i, name] of names.entries()) {
        if (i % 7 <= round) socket.subscribe(name);
        else socket.unsubscribe(name);
      }
      if (round === 3) broker.disconnect();
      await hub.settle();
      if (round === 4) broker.reconnect();
      for (const [i, name] of names.entries()) if (i % 5 !== round % 5) socket.unsubscribe(name);
      await hub.settle();
      if (round !== 3) expect(broker.usersTopics).toEqual(names.filter((name) => app.subscribers(name) > 0));
    }
    expect(broker.usersTopics.length).toBeGreaterThan(50);
    socket.terminate();
    await hub.settle();
    expect(broker.usersTopics).toEqual([]);
  });

  test("agree with the sockets in the end, whatever happens before", async () => {
    const TOPICS = ["a", "b", "c"];
    const change = fc.record({ who: fc.nat(1), topic: fc.constantFrom(...TOPICS), isWanted: fc.boolean() });
    const step = fc.oneof(
      { weight: 8, arbitrary: change },
      { weight: 4, arbitrary: fc.constantFrom("end of turn", "stall", "unstall") },
      { weight: 2, arbitrary: fc.constantFrom("disconnect", "reconnect") },
    );
    const hub = new Hub();
    const [a, b] = await peers(hub, 2);
    const members = [await a.member(), await a.member()];
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: "max" }), async (steps) => {
        for (const each of steps) {
          if (typeof each === "object") {
            const { socket } = members[each.who];
            if (each.isWanted) socket.subscribe(each.topic);
            else socket.unsubscribe(each.topic);
          } else if (each === "end of turn") await nextTurn();
          else a.broker[each as "stall" | "unstall" | "disconnect" | "reconnect"]();
        }
        a.broker.unstall();
        if (!a.app.stats().broker!.isConnected) a.broker.reconnect();
        await hub.settle();
        const wanted = TOPICS.filter((topic) => a.app.subscribers(topic) > 0);
        expect(a.broker.usersTopics).toEqual(wanted);
        await messagesOfAll(members);
        for (const topic of TOPICS) b.app.publish(topic, topic);
        await hub.settle();
        for (const member of members) {
          expect(await messagesOf(member)).toEqual(TOPICS.filter((topic) => member.socket.topics.includes(topic)));
        }
      }),
      { numRuns: 60, endOnFailure: true },
    );
  });
});

describe("messages", () => {
  const BYTES = Uint8Array.from({ length: 256 }, (_, i) => i);

  test.each<[string, string | ArrayBuffer | ArrayBufferView, string | Buffer]>([
    ["a text", "grüße 🌍", "grüße 🌍"],
    ["a text with a NUL, and one that looks like a header", "\0\u0001\u0000\u0000\u0002", "\0\u0001\u0000\u0000\u0002"],
    ["an empty text", "", ""],
    ["a long text", "ü".repeat(300_000), "ü".repeat(300_000)],
    ["bytes of every value", BYTES, Buffer.from(BYTES)],
    ["a part of a view", new Uint16Array(BYTES.buffer, 2, 2), Buffer.from([2, 3, 4, 5])],
    ["an ArrayBuffer", BYTES.slice(250).buffer, Buffer.from(BYTES.subarray(250))],
    ["no bytes", new Uint8Array(0), Buffer.alloc(0)],
    ["many bytes", Buffer.alloc(300_000, BYTES), Buffer.alloc(300_000, BYTES)],
  ])("arrive unchanged: %s", async (_name, data, expected) => {
    const hub = new Hub();
    const [a, b] = await peers(hub, 2);
    const members = [await a.member("news"), await b.member("news"), await b.member("news")];
    await hub.settle();
    expect(a.app.publish("news", data)).toBe(1);
    await hub.settle();
    expect(await messagesOfAll(members)).toEqual([[expected], [expected], [expected]]);
  });

  test("arrive once: at once in their own process, and through the broker in the others", async () => {
    const hub = new Hub();
    const all = await peers(hub, 3);
    const members: Member[] = [];
    for (const { member } of all) members.push(await member("news"), await member("news"));
    await hub.settle();
    expect(all[0].app.publish("news", "from the app")).toBe(2);
    expect(members[0].socket.publish("news", "from a socket")).toBe(1);
    expect(await messagesOf(members[1])).toEqual(["from the app", "from a socket"]);
    await hub.settle();
    expect(await messagesOfAll(members)).toEqual([
      ["from the app"],
      [],
      ...Array(4).fill(["from the app", "from a socket"]),
    ]);
    expect(all.map(({ app }) => app.stats().broker)).toEqual([
      { isConnected: true, published: 2, pending: 0, received: 0, dropped: 0 },
      { isConnected: true, published: 0, pending: 0, received: 2, dropped: 0 },
      { isConnected: true, published: 0, pending: 0, received: 2, dropped: 0 },
    ]);
  });

  test("arrive as they were when they were published", async () => {
    const hub = new Hub();
    const [a, b] = await peers(hub, 2);
    const one = await b.member("news");
    await hub.settle();
    a.broker.stall();
    const expected: Buffer[] = [];
    const bytes = Buffer.alloc(1_000);
    for (let i = 0; i < 200; i++) {
      a.app.publish("news", bytes.fill(i));
      expected.push(Buffer.alloc(1_000, i));
      if (i % 3 === 0) await nextTurn();
    }
    bytes.fill("overwritten");
    a.broker.unstall();
    await hub.settle();
    expect(await messagesOf(one)).toEqual(expected);
  });

  test("to one topic in one turn are sent as one, and the order across topics is kept", async () => {
    const hub = new Hub();
    const [a, b] = await peers(hub, 2);
    const one = await b.member("x", "y");
    await hub.settle();
    for (const topic of ["x", "x", "x", "y", "x", "y", "y"]) a.app.publish(topic, topic);
    await nextTurn();
    a.app.publish("y", "in another turn");
    await hub.settle();
    expect(hub.usersTopics).toEqual(["x", "y", "x", "y", "y"]);
    expect(await messagesOf(one)).toEqual(["x", "x", "x", "y", "x", "y", "y", "in another turn"]);
    expect([a, b].map(({ app }) => app.stats().broker)).toMatchObject([{ published: 8 }, { received: 8 }]);
  });

  test("stay in order when they are many and large", async () => {
    const hub = new Hub();
    const [a, b] = await peers(hub, 2);
    const one = await b.member("x", "y");
    await hub.settle();
    const expected = Array.from({ length: 100 }, (_, i) => `${i} `.padEnd(i % 7 === 0 ? 70_000 : 5_000, "x"));
    expected.forEach((text, i) => a.app.publish(i % 5 === 0 ? "y" : "x", text));
    expect(a.broker.waitingBytes).toBeGreaterThan(0);
    await hub.settle();
    expect(await messagesOf(one)).toEqual(expected);
  });

  test("of each process arrive in order, in every process", async () => {
    const hub = new Hub();
    const all = await peers(hub, 3);
    const members: Member[] = [];
    for (const { member } of all) members.push(await member("news"));
    await hub.settle();
    for (let i = 0; i < 60; i++) {
      all[i % 3].app.publish("news", `${i % 3} ${i}`);
      if (i % 7 === 0) await nextTurn();
    }
    await hub.settle();
    for (const messages of await messagesOfAll(members)) {
      for (const sender of [0, 1, 2]) {
        expect(messages.filter((message) => String(message).startsWith(`${sender} `)))
          .toEqual(Array.from({ length: 20 }, (_, i) => `${sender} ${i * 3 + sender}`));
      }
    }
  });

  test("that come from the broker are not sent back to it", async () => {
    const hub = new Hub();
    const [a, b] = await peers(hub, 2);
    for (const { member } of [a, b]) await member("news");
    await hub.settle();
    a.app.publish("news", "hello");
    await hub.settle();
    expect(hub.usersTopics).toEqual(["news"]);
  });

  test("for a topic that was left in the meantime are not counted", async () => {
    const hub = new Hub();
    const [a, b] = await peers(hub, 2);
    const one = await b.member("news");
    await hub.settle();
    b.broker.stall();
    one.socket.unsubscribe("news");
    a.app.publish("news", "late");
    await hub.settle();
    expect(b.broker.usersTopics).toEqual(["news"]);
    expect(b.app.stats().broker).toMatchObject({ received: 0 });
    expect(await messagesOf(one)).toEqual([]);
  });
});

test("an app without a broker has no figures of one", async () => {
  const { app } = await crowd();
  expect(app.stats().broker).toBeUndefined();
});
