/** The histories of the broker over NATS, with a real server. */
import { jetstream } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { HISTORY_PREFIX } from "../../src/app/pubsub/broker.ts";
import { natsBroker } from "../../src/brokers/nats.ts";
import type { NatsClient, NatsJetStream } from "../../src/brokers/nats-client.ts";
import { createServer } from "../support/broker-contract.ts";
import { AMPLE, HistoryMember, testHistories, textsOf } from "../support/history-contract.ts";
import { connected, natsServer, openMember } from "../support/nats-server.ts";
import { Program } from "../support/program.ts";
import { isInstalled, ServerProgram } from "../support/server-program.ts";

const TOPIC = `${HISTORY_PREFIX}news`;

testHistories({
  name: "NATS",
  isInstalled: isInstalled(natsServer),
  createStore: async () => {
    const server = await (await ServerProgram.create(natsServer)).start();
    return {
      open: () => {
        const connection = connect({ servers: `127.0.0.1:${server.port}`, reconnectTimeWait: 20 });
        return {
          broker: natsBroker(connection, { jetstream }),
          endClient: async () => await (await connection).close(),
        };
      },
      dispose: () => server.dispose(),
    };
  },
});

test("a broker without JetStream has no histories, which shows", () => {
  const { append, read } = natsBroker(new Promise<never>(() => {}));
  expect([append, read]).toEqual([undefined, undefined]);
});

describe.skipIf(!isInstalled(natsServer))("histories (nats-server)", () => {
  /** Opens a broker whose client of JetStream is made in another way. */
  const openWith = async (port: number, make: (connection: NatsClient) => unknown): Promise<HistoryMember> => {
    const connection = await connected(port);
    const member = new HistoryMember(
      natsBroker(connection, { jetstream: (connection) => make(connection) as NatsJetStream }),
    );
    onTestFinished(async () => void await member.broker.close());
    return await member.connected();
  };

  test("are those of a client that is made in any way, also with a promise", async () => {
    const server = await (await createServer(natsServer)).start();
    const connection = await connected(server.port);
    const one = await openWith(server.port, () => jetstream(connection, { timeout: 9_000 }));
    const other = await openWith(server.port, () => Promise.resolve(jetstream(connection)));
    await one.append(TOPIC, ["a"]);
    await other.append(TOPIC, ["b"]);
    expect(textsOf((await one.read(TOPIC)).messages)).toEqual([[1, "a"], [2, "b"]]);
  });

  test.each<[name: string, make: () => unknown, message: string]>([
    ["fails", () => Promise.reject(new Error("no client")), "no client"],
    ["throws", () => {
      throw new Error("no client");
    }, "no client"],
    ["returns nothing", () => undefined, "jetstream must return a client of JetStream; it returned undefined"],
    [
      "returns something else",
      () => ({}),
      "jetstream must return a client of JetStream; it returned an object (Object)",
    ],
  ])("reject when the function that makes the client %s, and plain topics go on", async (_name, make, message) => {
    const server = await (await createServer(natsServer)).start();
    const member = await openWith(server.port, make);
    await expect(member.append(TOPIC, ["a"])).rejects.toThrow(message);
    await expect(member.read(TOPIC)).rejects.toThrow(message);
    await member.broker.subscribe("plain");
    await member.publish("plain", "heard");
    expect(await member.heard("plain")).toEqual(["heard"]);
  });

  test("are kept apart by their prefixes", async () => {
    const server = await (await createServer(natsServer)).start();
    const prefixes = ["one", "one", "one.more", "one.bmV3cw"];
    const opened = await Promise.all(prefixes.map((prefix) => openMember(server.port, { prefix })));
    for (const { member } of opened) await member.broker.subscribe(TOPIC);
    for (const [i, { member }] of opened.entries()) await member.append(TOPIC, [`from ${i}`]);
    for (const { member } of opened) await member.heard(TOPIC);
    expect(await Promise.all(opened.map(({ member }) => member.heard(TOPIC)))).toEqual([
      ["from 0", "from 1"],
      ["from 0", "from 1"],
      ["from 2"],
      ["from 3"],
    ]);
  });

  test.each(["stop", "kill"] as const)("go on when the server was restarted with its data: %s", async (end) => {
    const server = await (await createServer(natsServer)).start();
    const { member: ada } = await openMember(server.port);
    const { member: bob } = await openMember(server.port);
    const { epoch } = await ada.append(TOPIC, ["a", "b"]);
    await bob.broker.subscribe(TOPIC);
    const place = await ada.read(`${TOPIC} of others`);
    await server[end]();
    await Promise.all([ada.away(), bob.away()]);
    await expect(ada.append(TOPIC, ["lost"])).rejects.toThrow(/is away/);
    await expect(ada.read(TOPIC)).rejects.toThrow(/is away/);
    await server.start();
    await Promise.all([ada.connected(), bob.connected()]);
    await bob.broker.subscribe(TOPIC);
    expect(await ada.append(TOPIC, ["c"])).toEqual({ epoch, offset: 3 });
    expect(await bob.received(1)).toMatchObject([{ topic: TOPIC, position: { epoch, offset: 3 } }]);
    const { messages } = await bob.read(TOPIC, { after: { epoch, offset: 1 } });
    expect(textsOf(messages)).toEqual([[2, "b"], [3, "c"]]);
    const after = { epoch: place.epoch, offset: 0 };
    expect(await bob.read(`${TOPIC} of others`, { after })).toMatchObject({ isComplete: true });
  });

  test("begin again when the server was restarted without its data, and old positions are not complete", async () => {
    const server = await (await createServer(natsServer)).start();
    const { member, manager } = await openMember(server.port);
    await manager.streams.add({
      name: "MEMORY",
      subjects: ["spacenode.*.*.history"],
      storage: "memory",
      republish: { src: "spacenode.*.*.history", dest: "spacenode.{{wildcard(1)}}.{{wildcard(2)}}.live" },
    });
    const before = await member.append(TOPIC, ["a"]);
    const { epoch } = await member.read(`${TOPIC} of others`);
    await server.kill();
    await member.away();
    await server.start();
    await member.connected();
    expect(await member.read(TOPIC, { after: before })).toMatchObject({ isComplete: false, newest: 0, messages: [] });
    expect((await member.read(`${TOPIC} of others`, { after: { epoch, offset: 0 } })).isComplete).toBe(false);
    const position = await member.append(TOPIC, ["b"]);
    expect(position).toMatchObject({ offset: 1 });
    expect(position.epoch).not.toBe(before.epoch);
    expect(await member.read(TOPIC, { after: before })).toMatchObject({ isComplete: false, messages: [] });
  });

  test("are looked for after each loss of the link, before anything is read: the server may be another one", async () => {
    const server = await (await createServer(natsServer)).start();
    const requests: string[] = [];
    const member = await openWith(server.port, async (connection) => {
      const client = jetstream(connection as NatsConnection);
      const manager = await client.jetstreamManager(false);
      for (const name of ["find", "info", "getMessage"] as const) {
        const request = manager.streams[name].bind(manager.streams) as (...args: unknown[]) => unknown;
        Object.assign(manager.streams, { [name]: (...args: unknown[]) => (requests.push(name), request(...args)) });
      }
      client.jetstreamManager = () => Promise.resolve(manager);
      return client;
    });
    await member.append(TOPIC, ["a"]);
    await member.read(TOPIC);
    for (const use of [() => member.read(TOPIC), () => member.append(`${TOPIC} of others`, ["b"])]) {
      await server.kill();
      await member.away();
      await server.start();
      await member.connected();
      requests.length = 0;
      await use();
      expect(requests.slice(0, 4)).toEqual(["find", "info", "info", "getMessage"]);
      // Nothing has happened since, but somebody may delete the stream at any time.
      requests.length = 0;
      await member.read(TOPIC);
      expect(requests.slice(0, 2)).toEqual(["info", "getMessage"]);
    }
  });

  test("wait for a server that stands still, and reject at once when it dies", async () => {
    const server = await (await createServer(natsServer)).start();
    const { member } = await openMember(server.port);
    const { epoch } = await member.append(TOPIC, ["a"]);
    const outcomes: string[] = [];
    const note = (promise: Promise<unknown>): Promise<unknown> =>
      promise.then(() => outcomes.push("done"), (error: Error) => outcomes.push(error.message));
    await server.pause();
    const waited = [note(member.append(TOPIC, ["b"])), note(member.read(TOPIC))];
    await new Promise((resolve) => setImmediate(resolve));
    expect(outcomes).toEqual([]);
    server.resume();
    await Promise.all(waited);
    expect(outcomes).toEqual(["done", "done"]);
    await server.pause();
    const lost = [note(member.append(TOPIC, ["c"])), note(member.read(TOPIC))];
    await server.kill();
    await member.away();
    await Promise.all(lost);
    expect(outcomes.slice(2)).not.toContain("done");
    await server.start();
    await member.connected();
    // Whether the server has taken "c" before it died is not known.
    const { offset } = await member.append(TOPIC, ["last"]);
    const { messages } = await member.read(TOPIC, { after: { epoch, offset: 1 } });
    const expected = offset === 3 ? ["b", "last"] : ["b", "c", "last"];
    expect(textsOf(messages).map(([, text]) => text)).toEqual(expected);
  });

  test("are closed once the messages that wait are stored, and refuse more", async () => {
    const server = await (await createServer(natsServer)).start();
    const { member, connection } = await openMember(server.port);
    const last = [member.append(TOPIC, ["a"]), member.append(TOPIC, ["b"]), member.read(TOPIC)];
    await member.broker.close();
    expect(await Promise.all(last)).toMatchObject([{ offset: 1 }, { offset: 2 }, {}]);
    await expect(member.append(TOPIC, ["too late"])).rejects.toThrow("The broker is closed");
    await expect(member.read(TOPIC)).rejects.toThrow("The broker is closed");
    expect(await connection.rtt()).toBeGreaterThan(-1);
  });

  test("do not keep a broker from closing while the server stands still", async () => {
    const server = await (await createServer(natsServer)).start();
    const { member } = await openMember(server.port);
    await member.append(TOPIC, ["a"]);
    await server.pause();
    const results = Promise.allSettled([member.append(TOPIC, ["b"]), member.read(TOPIC)]);
    await member.broker.close();
    server.resume();
    expect(await results).toMatchObject([
      { reason: { message: "The broker is closed" } },
      { reason: { message: "The broker is closed" } },
    ]);
  });

  test("leave nothing open that keeps a process alive", async () => {
    const { port } = await (await createServer(natsServer)).start();
    const program = Program.source(`
      import { jetstream } from "@nats-io/jetstream";
      import { connect } from "@nats-io/transport-node";
      import { natsBroker } from "{root}src/brokers/nats.ts";
      const connection = await connect({ servers: "127.0.0.1:${port}" });
      const broker = natsBroker(connection, { jetstream });
      broker.onMessage(() => {});
      broker.onStatus(() => {});
      await new Promise((resolve) => setImmediate(resolve));
      const limits = { size: 100, maxAgeMs: 60_000 };
      const topic = "\\0history:news";
      await broker.subscribe(topic);
      for (let i = 0; i < 20; i++) await broker.append(topic, [new Uint8Array(10)], limits);
      const { messages } = await broker.read(topic, { maxMessages: 100, maxBytes: 10_000 }, limits);
      await broker.close();
      await connection.drain();
      console.log(messages.length);
    `);
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(program.lines).toEqual(["20"]);
    expect(program.errors).toBe("");
  });

  test("ignore what a stranger sends to the subject of live messages", async () => {
    const server = await (await createServer(natsServer)).start();
    const { member, connection } = await openMember(server.port);
    await member.broker.subscribe(TOPIC);
    for (const payload of ["", "hello", "\x01\x01e"]) connection.publish("spacenode.bmV3cw.life.live", payload);
    const position = await member.append(TOPIC, ["a"]);
    await vi.waitFor(() => expect(member.messages).toHaveLength(1));
    expect(member.messages[0]!.position).toEqual(position);
  });

  test("live as long as their last message, and then begin again", async () => {
    const server = await (await createServer(natsServer)).start();
    const { member } = await openMember(server.port, { historyTtlMs: 1_000 });
    const brief = { ...AMPLE, maxAgeMs: 500 };
    const before = await member.append(TOPIC, ["a"], brief);
    await expect.poll(async () => (await member.read(TOPIC, {}, brief)).newest, { timeout: 15_000 }).toBe(0);
    expect((await member.read(TOPIC, { after: before }, brief)).isComplete).toBe(false);
    const { epoch, offset } = await member.append(TOPIC, ["b"], brief);
    expect([offset, epoch === before.epoch]).toEqual([1, false]);
  });
});
