/** Brokers that are away, that fail, and that are slow. */
import { describe, expect, test, vi } from "vitest";
import { FAILURES, newsPair, report } from "../../support/broker-faults.ts";
import { messagesOf, peers } from "../../support/crowd.ts";
import { Hub, type MemoryBroker } from "../../support/memory-broker.ts";

describe("while the broker is away", () => {
  test("local delivery goes on, and messages that others miss are counted", async () => {
    const { a, news } = await newsPair();
    a.broker.disconnect(new Error("cable pulled"));
    expect([a.app.publish("news", "1"), a.app.publish("news", "2"), a.app.publish("elsewhere", "3")]).toEqual([
      1,
      1,
      0,
    ]);
    expect(await news()).toEqual({ here: ["1", "2"], there: [] });
    expect(a.app.stats().broker).toEqual({ isConnected: false, published: 0, pending: 0, received: 0, dropped: 3 });
  });

  test("when it is back, all wanted topics are subscribed, and messages go both ways", async () => {
    const { hub, a, b, news } = await newsPair();
    const one = await a.member("old");
    await hub.settle();
    a.broker.disconnect();
    one.socket.unsubscribe("old");
    one.socket.subscribe("new");
    await hub.settle();
    a.app.publish("news", "lost");
    b.app.publish("news", "missed");
    await hub.settle();
    a.broker.reconnect();
    await hub.settle();
    expect(a.broker.usersTopics).toEqual(["new", "news"]);
    a.app.publish("news", "from a");
    b.app.publish("news", "from b");
    b.app.publish("new", "to one");
    expect(await news()).toEqual({ here: ["lost", "from a", "from b"], there: ["missed", "from b", "from a"] });
    expect(await messagesOf(one)).toEqual(["to one"]);
    expect(a.app.stats().broker).toEqual({ isConnected: true, published: 1, pending: 0, received: 2, dropped: 1 });
  });

  test("at the start, delivery is local too", async () => {
    const { hub, a, b, news } = await newsPair(false);
    expect(a.app.stats().broker).toMatchObject({ isConnected: false, dropped: 0 });
    a.app.publish("news", "early");
    expect(await news()).toEqual({ here: ["early"], there: [] });
    a.broker.reconnect();
    await hub.settle();
    b.app.publish("news", "hello");
    a.app.publish("news", "hello too");
    expect(await news()).toEqual({ here: ["hello too", "hello"], there: ["hello", "hello too"] });
    // A broker that has only not connected yet is not logged.
    expect(report(a.entries)).toEqual([]);
  });

  test("at the start, this is logged once there is an error", async () => {
    const { hub, a } = await newsPair(false);
    a.broker.tell({ isConnected: false, error: new Error("nobody there") });
    a.broker.reconnect();
    await hub.settle();
    expect(report(a.entries)).toEqual([
      expect.stringMatching(/^warn: .*broker is away/),
      expect.stringMatching(/^info: .*broker/),
    ]);
  });

  test("each change is logged once with its error, however often the broker reports it", async () => {
    const { hub, a } = await newsPair();
    expect(report(a.entries)).toEqual([]);
    const error = new Error("cable pulled");
    a.broker.disconnect(error);
    for (const attempt of [1, 2, 3]) {
      a.broker.tell({ isConnected: false, error: new Error(`attempt ${attempt}`) });
      a.app.publish("news", "lost");
      (await a.member()).socket.subscribe(`topic ${attempt}`);
      await hub.settle();
    }
    expect(report(a.entries)).toEqual([expect.stringMatching(/^warn: .*broker/)]);
    expect(String(a.entries[0].args)).toMatch(/: Error: (cable pulled|broker at fault)$/);
    a.broker.reconnect();
    a.broker.tell({ isConnected: true });
    await hub.settle();
    expect(report(a.entries).slice(1)).toEqual([expect.stringMatching(/^info: .*broker/)]);
    a.broker.disconnect();
    expect(report(a.entries).slice(2)).toEqual([expect.stringMatching(/^warn: .*broker/)]);
  });

  test("each message that was on its way when the link was cut is counted as dropped", async () => {
    const { a, b, hub, news } = await newsPair();
    a.broker.stall();
    for (const text of ["1", "2", "3"]) a.app.publish("news", text);
    await hub.settle();
    expect(a.app.stats().broker).toMatchObject({ dropped: 0 });
    a.broker.disconnect();
    expect(await news()).toEqual({ here: ["1", "2", "3"], there: [] });
    expect(a.app.stats().broker).toEqual({ isConnected: false, published: 0, pending: 0, received: 0, dropped: 3 });
    expect(b.entries).toEqual([]);
  });

  test("messages of the turn in which the link was cut are dropped too", async () => {
    const { a, news } = await newsPair();
    a.app.publish("news", "1");
    a.broker.disconnect();
    a.app.publish("news", "2");
    expect(await news()).toEqual({ here: ["1", "2"], there: [] });
    expect(a.app.stats().broker).toMatchObject({ published: 0, dropped: 2 });
  });
});

type Method = "publish" | "subscribe" | "unsubscribe";

describe("a broker's method that", () => {
  test.each(FAILURES)("%s does not disturb local delivery", async (_name, fail) => {
    const { a, b, hub, news } = await newsPair();
    const guest = await a.member();
    const spies = (["publish", "subscribe", "unsubscribe"] satisfies Method[]).map((method) =>
      vi.spyOn(a.broker, method).mockImplementation(fail as MemoryBroker[Method])
    );
    for (let i = 0; i < 3; i++) {
      expect(guest.socket.subscribe(`topic ${i}`)).toBe(true);
      expect(a.app.publish("news", `${i}`)).toBe(1);
      expect(guest.socket.publish(`topic ${i}`, "to nobody")).toBe(0);
      await hub.settle();
      expect(guest.socket.unsubscribe(`topic ${i}`)).toBe(true);
      await hub.settle();
    }
    for (const spy of spies) expect(spy).toHaveBeenCalled();
    expect(await news()).toEqual({ here: ["0", "1", "2"], there: [] });
    // Failures are logged once for each method, not for each call.
    expect(report(a.entries).length).toBeLessThanOrEqual(3);
    spies.forEach((spy) => spy.mockRestore());
    a.app.publish("news", "mended");
    expect(await news()).toEqual({ here: ["mended"], there: ["mended"] });
    b.app.publish("news", "hello");
    expect(await news()).toEqual({ here: ["hello"], there: ["hello"] });
    expect(guest.socket.readyState).toBe(guest.socket.OPEN);
  });

  test("fails to publish makes the messages count as dropped, and is logged with the error", async () => {
    const { a, hub } = await newsPair();
    const error = new Error("broker at fault");
    vi.spyOn(a.broker, "publish").mockRejectedValue(error);
    for (const topic of ["x", "x", "y"]) a.app.publish(topic, "hello");
    await hub.settle();
    expect(a.app.stats().broker).toMatchObject({ isConnected: true, published: 0, dropped: 3 });
    expect(report(a.entries)).toEqual([expect.stringMatching(/^(warn|error): .*broker.*publish/)]);
    expect(String(a.entries[0].args)).toMatch(/: Error: (cable pulled|broker at fault)$/);
  });
});

describe("a broker that is slow", () => {
  const MIB = 1024 * 1024;

  test("gets at most 16 MiB: above that, messages are dropped for other processes, but not locally", async () => {
    const hub = new Hub();
    const [a, b] = await peers(hub, 2);
    const [here, there] = [await a.member("news"), await b.member("news")];
    await hub.settle();
    a.broker.stall();
    const sent: string[] = [];
    for (let i = 0; i < 24; i++) {
      const text = `${i} `.padEnd(MIB, "x");
      sent.push(text);
      expect(a.app.publish("news", text)).toBe(1);
      expect(await messagesOf(here)).toEqual([text]);
      expect(a.broker.waitingBytes).toBeLessThanOrEqual(16 * MIB);
    }
    expect(a.broker.waitingBytes).toBeGreaterThan(14 * MIB);
    const { dropped, published } = a.app.stats().broker!;
    expect([dropped + published, dropped >= 8 && dropped <= 10]).toEqual([24, true]);
    expect(report(a.entries)).toEqual([expect.stringMatching(/^warn: .*broker.*slow/)]);
    a.broker.unstall();
    await hub.settle();
    expect(await messagesOf(there)).toEqual(sent.slice(0, published));
  });

  test.each<[string, (broker: MemoryBroker) => void]>([
    ["once it has taken the messages that waited", (broker) => broker.unstall()],
    ["once it has lost the messages that waited", (broker) => {
      broker.disconnect();
      broker.unstall();
      broker.reconnect();
    }],
  ])("has as much room as before, %s", async (_name, end) => {
    const hub = new Hub();
    const [a, b] = await peers(hub, 2);
    const there = await b.member("news");
    await hub.settle();
    a.broker.stall();
    for (let i = 0; i < 20; i++) a.app.publish("news", "x".repeat(MIB));
    await hub.settle();
    end(a.broker);
    await hub.settle();
    await messagesOf(there);
    // The heartbeat of the presence may be on its way.
    expect(a.broker.waitingBytes).toBeLessThan(MIB);
    a.broker.stall();
    for (let i = 0; i < 15; i++) a.app.publish("news", "y".repeat(MIB));
    a.broker.unstall();
    await hub.settle();
    expect((await messagesOf(there)).length).toBe(15);
  });

  test("gets no more of many small messages either", async () => {
    const hub = new Hub();
    const [a, b] = await peers(hub, 2);
    const there = await b.member("news");
    await hub.settle();
    a.broker.stall();
    const text = "x".repeat(8_000);
    for (let i = 0; i < 3_000; i++) a.app.publish("news", text);
    expect(a.broker.waitingBytes).toBeGreaterThan(15 * MIB);
    await hub.settle();
    expect(a.broker.waitingBytes).toBeLessThanOrEqual(16 * MIB);
    const { dropped, published } = a.app.stats().broker!;
    expect(dropped).toBeGreaterThan(500);
    a.broker.unstall();
    await hub.settle();
    expect((await messagesOf(there)).length).toBe(published);
    expect(a.app.stats().broker).toMatchObject({ published, dropped: 3_000 - published });
  });

  test("does not delay sockets of this process that subscribe, unsubscribe and publish", async () => {
    const { a, hub, news } = await newsPair();
    a.broker.stall();
    const guest = await a.member("news", "more");
    expect(a.app.publish("news", "hello")).toBe(2);
    expect(await messagesOf(guest)).toEqual(["hello"]);
    guest.socket.unsubscribe("more");
    await hub.settle();
    expect(await news()).toEqual({ here: ["hello"], there: [] });
    a.broker.unstall();
    expect(await news()).toEqual({ here: [], there: ["hello"] });
    expect(a.broker.usersTopics).toEqual(["news"]);
  });
});
