/** The contract of every broker, tested with a real server and a real client. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { Broker } from "../../src/app/pubsub/broker.ts";
import { Member } from "./broker-member.ts";
import { usedBytes } from "./memory.ts";
import { isInstalled, type ServerKind, ServerProgram } from "./server-program.ts";
import { TcpProxy } from "./tcp-proxy.ts";

/** A broker, and the client that was handed to it. */
export interface OpenBroker {
  readonly broker: Broker;
  /** Uses the client. Rejects if the client cannot be used any more. */
  useClient(): Promise<unknown>;
  endClient(): unknown;
}

export interface BrokerKind {
  readonly name: string;
  readonly server: ServerKind;
  /** Makes a client that reconnects soon when the server is away, and a broker over it. */
  open(port: number): OpenBroker;
}

/** Creates a server that is disposed of when the test is over. */
export async function createServer(kind: ServerKind): Promise<ServerProgram> {
  const server = await ServerProgram.create(kind);
  onTestFinished(() => server.dispose());
  return server;
}

function join(kind: BrokerKind, port: number): Member {
  const { broker, endClient } = kind.open(port);
  onTestFinished(async () => {
    await broker.close();
    await endClient();
  });
  return new Member(broker);
}

/** Whether a promise is still pending once everything that is ready has run. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol();
  const turn = new Promise((resolve) => setImmediate(resolve, pending));
  return await Promise.race([promise.catch(() => {}), turn]) === pending;
}

const oddTopics: [name: string, topic: string][] = [
  ["spaces", " a topic with spaces "],
  ["dots", "a..b."],
  ["wildcards of Redis", "news*?[a-z]"],
  ["wildcards of NATS", "*.>"],
  ["only >", ">"],
  ["line ends", "a\r\nPUB b 0\r\n"],
  ["a null", "a\0b"],
  ["emoji", "🚀👩🏽‍🚀"],
  ["upper case", "NEWS"],
  ["lower case", "news"],
  ["a member of every object", "__proto__"],
  ["512 characters of two bytes", "ä".repeat(512)],
  ["512 characters of three bytes", "你".repeat(512)],
];

export function testBroker(kind: BrokerKind): void {
  describe.skipIf(!isInstalled(kind.server))(`${kind.name} (${kind.server.name})`, () => {
    let server: ServerProgram;

    beforeAll(async () => {
      server = await ServerProgram.create(kind.server);
    });

    // Tests may kill or pause the server. The next one finds it running.
    beforeEach(async () => {
      await server.start();
      server.resume();
    });

    afterAll(() => server.dispose());

    test("brings bytes both ways, to subscribed processes only", async () => {
      const [ada, bob] = [await join(kind, server.port).connected(), await join(kind, server.port).connected()];
      await ada.broker.subscribe("tea");
      await bob.broker.subscribe("tea");
      await bob.broker.subscribe("coffee");
      await ada.publish("tea", "from Ada");
      await ada.publish("coffee", "for Bob");
      await bob.publish("tea", "from Bob");
      expect(await bob.heard("coffee")).toEqual(["for Bob"]);
      for (const each of [ada, bob]) {
        const others = (await each.heard("tea")).filter((text) => !text.endsWith(each === ada ? "Ada" : "Bob"));
        expect(others).toEqual([each === ada ? "from Bob" : "from Ada"]);
        expect(each.messages.map(({ topic }) => topic)).not.toContain(each === ada ? "coffee" : "cocoa");
      }
      await bob.broker.unsubscribe("tea");
      await ada.publish("tea", "too late");
      await ada.publish("coffee", "still there");
      expect(await bob.heard("coffee")).toContain("still there");
      expect(await bob.heard("tea")).not.toContain("too late");
    });

    test.each([
      ["each value of a byte", Buffer.from(Array.from({ length: 256 }, (_, value) => value))],
      ["no bytes", Buffer.alloc(0)],
      ["bytes that are not UTF-8", Buffer.from("c0af fe ff eda080 80".replaceAll(" ", ""), "hex")],
      ["line ends and bytes like those of a command", Buffer.from("\r\n$5\r\nhello\r\nPING\r\n\0")],
      ["300 KiB", Buffer.alloc(300 * 1024, "0123456789abcde")],
    ])("does not change a message: %s", async (_name, bytes) => {
      const [ada, bob] = [await join(kind, server.port).connected(), await join(kind, server.port).connected()];
      await bob.broker.subscribe("bytes");
      // The message is a view of a larger buffer, whose other bytes must not be sent.
      const larger = Buffer.concat([Buffer.from("before"), bytes, Buffer.from("behind")]);
      await ada.broker.publish("bytes", new Uint8Array(larger.buffer, larger.byteOffset + 6, bytes.length));
      expect(await bob.received(1)).toEqual([{ topic: "bytes", bytes }]);
    });

    test("keeps any two topics apart", async () => {
      const [ada, bob] = [await join(kind, server.port).connected(), await join(kind, server.port).connected()];
      for (const [, topic] of oddTopics) await bob.broker.subscribe(topic);
      for (const [name, topic] of oddTopics) await ada.publish(topic, name);
      const received = await bob.received(oddTopics.length);
      expect(received.map(({ topic, bytes }) => [bytes.toString(), topic])).toEqual(oddTopics);
    });

    test("brings the messages of a process in order and once, however often the topic was subscribed to", async () => {
      const [ada, bob] = [await join(kind, server.port).connected(), await join(kind, server.port).connected()];
      await Promise.all([bob.broker.subscribe("count"), bob.broker.subscribe("count")]);
      await bob.broker.subscribe("count");
      const count = 5_000;
      await Promise.all(Array.from({ length: count }, (_, i) => ada.publish("count", String(i))));
      await bob.received(count);
      expect(await bob.heard("count")).toEqual(Array.from({ length: count }, (_, i) => String(i)));
    });

    test("does the last of several calls to subscribe and unsubscribe at once", async () => {
      const bob = await join(kind, server.port).connected();
      const { broker } = bob;
      await Promise.all([broker.subscribe("in"), broker.unsubscribe("in"), broker.subscribe("in")]);
      await Promise.all([broker.subscribe("out"), broker.unsubscribe("out")]);
      await bob.publish("in", "heard");
      await bob.publish("out", "not heard");
      expect([await bob.heard("in"), await bob.heard("out")]).toEqual([["heard"], []]);
    });

    test("waits for a server that is down at the start, and rejects messages until then", async () => {
      await server.kill();
      const bob = join(kind, server.port);
      expect(bob.statuses).toEqual([{ isConnected: false }]);
      await expect(bob.publish("news", "nobody hears it")).rejects.toThrow(/is away/);
      await expect(bob.broker.subscribe("news")).rejects.toThrow(/is away/);
      await server.start();
      await bob.connected();
      await bob.broker.subscribe("news");
      await bob.publish("news", "here we are");
      expect(await bob.heard("news")).toEqual(["here we are"]);
    });

    test("reports that the server has died, rejects messages meanwhile, and goes on when the server is back", async () => {
      const [ada, bob] = [await join(kind, server.port).connected(), await join(kind, server.port).connected()];
      for (const topic of ["stay", "leave"]) await bob.broker.subscribe(topic);
      for (let round = 1; round <= 2; round++) {
        await server.kill();
        await Promise.all([ada.away(), bob.away()]);
        await expect(ada.publish("stay", "lost")).rejects.toThrow(/is away/);
        await expect(bob.broker.subscribe("enter")).rejects.toThrow(/is away/);
        await bob.broker.unsubscribe("leave").catch(() => {});
        await server.start();
        await Promise.all([ada.connected(), bob.connected()]);
        // An app subscribes again too.
        for (const topic of ["stay", "enter"]) await bob.broker.subscribe(topic);
        for (const topic of ["stay", "leave", "enter"]) await ada.publish(topic, `round ${round}`);
        await bob.received(2 * round);
      }
      expect(await bob.heard("stay")).toEqual(["round 1", "round 2"]);
      expect(await bob.heard("enter")).toEqual(["round 1", "round 2"]);
      expect(await bob.heard("leave")).toEqual([]);
      expect(bob.statuses.filter(({ isConnected }) => isConnected)).toHaveLength(3);
      // The link is down twice, and each time a second report may add the error.
      expect(bob.statuses.length).toBeLessThanOrEqual(1 + 3 + 2 * 2);
    });

    test("lets publishers wait for a slow server, and loses no message", async () => {
      const [ada, bob] = [await join(kind, server.port).connected(), await join(kind, server.port).connected()];
      await bob.broker.subscribe("count");
      await server.pause();
      const published = Array.from({ length: 1_000 }, (_, i) => ada.publish("count", String(i)));
      expect(await isPending(Promise.any(published))).toBe(true);
      server.resume();
      await Promise.all(published);
      await bob.received(1_000);
      expect(await bob.heard("count")).toEqual(Array.from({ length: 1_000 }, (_, i) => String(i)));
    });

    test("rejects the messages that are on their way when the server dies", async () => {
      const ada = await join(kind, server.port).connected();
      await server.pause();
      const published = Array.from({ length: 1_000 }, (_, i) => ada.publish("count", String(i)));
      expect(await isPending(Promise.any(published))).toBe(true);
      await server.kill();
      const results = await Promise.allSettled(published);
      expect(new Set(results.map(({ status }) => status))).toEqual(new Set(["rejected"]));
    });

    test("does not repeat a message that the server has taken but not confirmed", async () => {
      const proxy = await TcpProxy.start(server.port);
      onTestFinished(() => proxy.dispose());
      const [ada, bob] = [await join(kind, proxy.port).connected(), await join(kind, server.port).connected()];
      await bob.broker.subscribe("news");
      proxy.isMute = true;
      const published = Array.from({ length: 10 }, (_, i) => ada.publish("news", String(i)));
      await bob.received(10);
      proxy.cut();
      proxy.isMute = false;
      const results = await Promise.allSettled(published);
      expect(new Set(results.map(({ status }) => status))).toEqual(new Set(["rejected"]));
      await ada.away();
      await ada.connected();
      await ada.publish("news", "last");
      await bob.received(11);
      expect(await bob.heard("news")).toEqual([...Array.from({ length: 10 }, (_, i) => String(i)), "last"]);
    });

    test("keeps no message that is published while the server is away", async () => {
      const ada = await join(kind, server.port).connected();
      await server.kill();
      await ada.away();
      const publishMany = async (count: number): Promise<void> => {
        for (let i = 0; i < count; i++) void ada.broker.publish("news", Buffer.alloc(1024)).catch(() => {});
        await nextTurn();
      };
      await publishMany(1_000);
      const before = await usedBytes();
      await publishMany(20_000);
      expect(await usedBytes() - before).toBeLessThan(10 * 1024 * 1024);
    });

    test("closes its own connections, and leaves the client open that was handed in", async () => {
      const { broker, useClient, endClient } = kind.open(server.port);
      onTestFinished(async () => void await endClient());
      const ada = await new Member(broker).connected();
      const bob = await join(kind, server.port).connected();
      await ada.broker.subscribe("news");
      await bob.broker.subscribe("news");
      const last = ada.publish("news", "goodbye");
      const statuses = ada.statuses.length;
      await Promise.all([broker.close(), broker.close()]);
      await last;
      expect(await bob.heard("news")).toEqual(["goodbye"]);
      await expect(ada.publish("news", "too late")).rejects.toThrow("The broker is closed");
      await expect(broker.subscribe("news")).rejects.toThrow("The broker is closed");
      await useClient();
      expect(ada.statuses).toHaveLength(statuses);
    });

    test("can be closed while the server is away", async () => {
      await server.kill();
      const { broker, endClient } = kind.open(server.port);
      onTestFinished(async () => void await endClient());
      const ada = new Member(broker);
      await broker.close();
      await server.start();
      expect(ada.isConnected).toBe(false);
      await broker.close();
    });

    test("can be closed while the server does not answer", async () => {
      const { broker, endClient } = kind.open(server.port);
      onTestFinished(async () => void await endClient());
      const ada = await new Member(broker).connected();
      await broker.subscribe("news");
      await server.pause();
      const published = ada.publish("news", "hello").then(() => "taken", () => "given up");
      await broker.close();
      server.resume();
      expect(["taken", "given up"]).toContain(await published);
    });

    test("is for one app only", () => {
      const { broker, endClient } = kind.open(server.port);
      onTestFinished(async () => {
        await broker.close();
        await endClient();
      });
      broker.onMessage(() => {});
      expect(() => broker.onMessage(() => {})).toThrow("This broker has an app already: make another for each app");
    });
  });
}
