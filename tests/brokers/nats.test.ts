/** The broker over NATS, with a real server. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { natsBroker } from "../../src/brokers/nats.ts";
import type { NatsClient } from "../../src/brokers/nats-client.ts";
import { createServer, type OpenBroker, testBroker } from "../support/broker-contract.ts";
import { Member } from "../support/broker-member.ts";
import { natsServer, natsServerWith } from "../support/nats-server.ts";
import { Program } from "../support/program.ts";
import { isInstalled, type ServerProgram } from "../support/server-program.ts";

function open(port: number): OpenBroker {
  const connection = connect({
    servers: `127.0.0.1:${port}`,
    reconnectTimeWait: 20,
    maxReconnectAttempts: -1,
    waitOnFirstConnect: true,
  });
  return {
    broker: natsBroker(connection),
    useClient: async () => expect(await (await connection).rtt()).toBeGreaterThan(-1),
    endClient: async () => await (await connection).close(),
  };
}

testBroker({ name: "NATS", server: natsServer, open });

const WANTED = "natsBroker takes a connection from connect of @nats-io/transport-node, or its promise";

test.each<[what: string, connection: unknown, given: string]>([
  ["nothing", undefined, "got undefined"],
  ["an address", "nats://localhost", 'got "nats://localhost"'],
  ["options", { servers: "localhost" }, "got an object (Object)"],
])("natsBroker refuses %s", (_what, connection, given) => {
  const make = () => natsBroker(connection as NatsClient);
  expect(make).toThrow(TypeError);
  expect(make).toThrow(`${WANTED}; ${given}`);
});

test.each<[options: unknown, message: RegExp]>([
  [{ prefix: 1 }, /^prefix must be tokens of a NATS subject without wildcards, at most 256 characters; got 1$/],
  [{ prefix: "" }, /; got ""$/],
  [{ prefix: "a." }, /; got "a\."$/],
  [{ prefix: "a.*" }, /; got "a\.\*"$/],
  [{ prefix: ">" }, /; got ">"$/],
  [{ prefix: "a b" }, /; got "a b"$/],
  [{ prefix: "a".repeat(257) }, /; got "a{80}…"$/],
  [{ prefx: "a" }, /^natsBroker has no option "prefx"; it has prefix, jetstream, historyTtlMs$/],
  [{ jetstream: {} }, /^jetstream must be the function jetstream of @nats-io\/jetstream; got an object \(Object\)$/],
  [{ historyTtlMs: "1d" }, /^historyTtlMs must be a whole number from 1000 to 315360000000; got "1d"$/],
])("natsBroker refuses the options %j", (options, message) => {
  const make = () => natsBroker(new Promise<never>(() => {}), options as object);
  expect(() => make()).toThrow(TypeError);
  expect(() => make()).toThrow(message);
});

test.each([
  ["fails", () => Promise.reject(new Error("no such host")), "no such host"],
  ["brings something else", () => Promise.resolve({} as NatsClient), `${WANTED}; got an object (Object)`],
])("a promise that %s is reported as the error for which the link is down", async (_what, connect, message) => {
  const broker = natsBroker(connect());
  const told = Promise.withResolvers<unknown>();
  broker.onMessage(() => {});
  broker.onStatus(({ error }) => error !== undefined && told.resolve(error));
  expect(await told.promise).toMatchObject({ message });
  await expect(broker.publish("news", Buffer.from("hello"))).rejects.toThrow("The NATS server is away");
  await broker.close();
});

describe.skipIf(!isInstalled(natsServer))("a broker over NATS (nats-server)", () => {
  async function connected(server: ServerProgram, options: object = {}): Promise<NatsConnection> {
    const connection = await connect({ servers: `127.0.0.1:${server.port}`, reconnectTimeWait: 20, ...options });
    onTestFinished(() => connection.close());
    return connection;
  }

  test("takes a connection or a promise of one, and gets only messages of its prefix", async () => {
    const server = await (await createServer(natsServer)).start();
    const prefixes = ["one", "one", "one.more"];
    const members: Member[] = [];
    for (const prefix of prefixes) members.push(new Member(natsBroker(await connected(server), { prefix })));
    for (const member of members) await (await member.connected()).broker.subscribe("news");
    for (const [i, member] of members.entries()) await member.publish("news", `from ${i}`);
    expect(await Promise.all(members.map((member) => member.heard("news")))).toEqual([
      ["from 0", "from 1"],
      ["from 0", "from 1"],
      ["from 2"],
    ]);
  });

  test("refuses a connection that has been closed", async () => {
    const server = await (await createServer(natsServer)).start();
    const connection = await connected(server);
    await connection.close();
    expect(() => natsBroker(connection)).toThrow(new TypeError(`${WANTED}; got one that has been closed`));
  });

  test("flushes once for many messages", async () => {
    const server = await (await createServer(natsServer)).start();
    const connection = await connected(server);
    const flush = vi.spyOn(connection, "flush");
    const member = await new Member(natsBroker(connection)).connected();
    await Promise.all(Array.from({ length: 10_000 }, (_, i) => member.publish("news", String(i))));
    expect(flush).toHaveBeenCalledTimes(2);
  });

  test("rejects a message that the server would not take, and delivers the others", async () => {
    const server = await (await createServer(natsServer)).start();
    const member = await new Member(natsBroker(await connected(server))).connected();
    await member.broker.subscribe("news");
    const results = await Promise.allSettled([
      member.publish("news", "before"),
      member.broker.publish("news", Buffer.alloc(1024 * 1024 + 1)),
      member.publish("news", "behind"),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(await member.heard("news")).toEqual(["before", "behind"]);
  });

  test("is away for good when its connection has ended, and rejects the promises that wait", async () => {
    const server = await (await createServer(natsServer)).start();
    const connection = await connected(server);
    const member = await new Member(natsBroker(connection)).connected();
    await member.broker.subscribe("news");
    await server.pause();
    const published = member.publish("news", "lost");
    const failed = expect(published).rejects.toThrow("The NATS server is away");
    await connection.close();
    await failed;
    server.resume();
    expect(member.isConnected).toBe(false);
    await expect(member.publish("news", "too late")).rejects.toThrow("The NATS server is away");
    await member.broker.close();
  });

  test("is away for good when the client has stopped reconnecting", async () => {
    const server = await (await createServer(natsServer)).start();
    const member = await new Member(natsBroker(await connected(server, { maxReconnectAttempts: 2 }))).connected();
    await server.kill();
    await member.away();
    await member.broker.close();
    expect(member.statuses.filter(({ isConnected }) => isConnected)).toHaveLength(1);
  });

  test("rejects a subscription that the rules of the server forbid", async () => {
    const rules =
      'authorization { users = [{ user: ada, password: "1", permissions: { subscribe: "spacenode.b3Blbg" } }] }';
    const server = await (await createServer(natsServerWith(rules))).start();
    const member = await new Member(natsBroker(await connected(server, { user: "ada", pass: "1" }))).connected();
    await expect(member.broker.subscribe("closed")).rejects.toThrow(/permissions violation/i);
    await expect(member.broker.subscribe("closed")).rejects.toThrow(/permissions violation/i);
    await member.broker.subscribe("open");
    await member.publish("closed", "not heard");
    await member.publish("open", "heard");
    expect((await member.received(1))[0].bytes.toString()).toBe("heard");
  });

  test("leaves nothing open that keeps a process alive", async () => {
    const { port } = await (await createServer(natsServer)).start();
    const program = Program.source(`
      import { connect } from "@nats-io/transport-node";
      import { natsBroker } from "{root}src/brokers/nats.ts";
      const connection = await connect({ servers: "127.0.0.1:${port}" });
      const broker = natsBroker(connection);
      broker.onMessage(() => {});
      broker.onStatus(() => {});
      await new Promise((resolve) => setImmediate(resolve));
      await broker.subscribe("news");
      await broker.close();
      await connection.drain();
      console.log("closed");
    `);
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(program.lines).toEqual(["closed"]);
    expect(program.errors).toBe("");
  });
});
