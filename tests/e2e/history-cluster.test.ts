/**
 * Six processes keep the history of one topic over a real server: two each under Node, Deno and Bun. Clients are cut
 * off at any moment, and come back to any process.
 */

import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { Cluster, type ClusterMember } from "../support/cluster.ts";
import { HistoryClient } from "../support/history-client.ts";
import { natsServer } from "../support/nats-server.ts";
import { Random } from "../support/random.ts";
import { redisServer } from "../support/redis-server.ts";
import { isInstalled, ServerProgram } from "../support/server-program.ts";

const TIMEOUT_MS = 120_000;
const CLIENTS = 12;
/** What all six processes publish together. */
const MESSAGES = 20_000;
const CUTS = 1_000;
/** Longer than the outages of a network that nobody notices. */
const FROZEN_MS = 3_000;

/** Kills the server, and starts it again. */
async function restart(server: ServerProgram): Promise<void> {
  await server.kill();
  await server.start();
}

/** Kills the server, and starts another one at its place that knows nothing. */
async function replace(server: ServerProgram): Promise<void> {
  await server.kill();
  await server.wipe();
  await server.start();
}

/** The Redis server of the tests keeps nothing when it ends. JetStream keeps its streams in files. */
describe.each([
  { name: "Redis", kind: redisServer, libraries: ["node-redis", "ioredis"], keeps: undefined },
  { name: "NATS", kind: natsServer, libraries: ["nats"], keeps: restart },
])("a history over $name", ({ kind, libraries, keeps }) => {
  describe.skipIf(!isInstalled(kind))(`with ${kind.name}`, () => {
    let server: ServerProgram;
    let cluster: Cluster;
    let members: readonly ClusterMember[];
    let topic: string;
    let clients: HistoryClient[];
    const random = new Random(20_000);

    const anyMember = (): ClusterMember => members[random.below(members.length)]!;

    /** Lets every process append its share of messages. Returns the id of each text that is in the history. */
    async function appendAll(count: number, inTurn: number): Promise<Map<string, string>> {
      const to = Math.ceil(count / members.length);
      const ids = await Promise.all(
        members.map((member) => member.tell<(string | null)[]>({ do: "append", topic, to, inTurn })),
      );
      return new Map(
        ids.flatMap((own, i) =>
          own.flatMap((id, n): [string, string][] => id === null ? [] : [[`${members[i]!.name}:${n}`, id]])
        ),
      );
    }

    /** Cuts clients off until `isOver`, each of which comes back to another process at once. */
    async function cutClients(count: number, isOver: () => boolean): Promise<number> {
      let cuts = 0;
      await Promise.all(clients.map(async (client, i) => {
        for (let left = Math.ceil((count - i) / CLIENTS); left > 0 && !isOver(); left--) {
          await delay(random.below(10));
          client.cut();
          cuts++;
          await delay(random.below(10));
          await client.connect(anyMember().port, topic);
        }
      }));
      return cuts;
    }

    /** The texts in the order of their ids. */
    function inOrder(ids: ReadonlyMap<string, string>): string[] {
      const offset = (id: string): number => Number(id.slice(id.lastIndexOf(".") + 1));
      return [...ids].sort(([, one], [, other]) => offset(one) - offset(other)).map(([text]) => text);
    }

    /** Resolves once each client has the message with an id. */
    async function untilAllHave(id: string): Promise<void> {
      for (const client of clients) {
        await expect.poll(() => client.lastId, { timeout: 30_000 }).toBe(id);
      }
    }

    beforeAll(async () => {
      server = await (await ServerProgram.create(kind)).start();
      cluster = new Cluster(libraries, server.port);
    });

    beforeEach(async () => {
      await server.start();
      await cluster.meetAnew();
      ({ members } = cluster);
      topic = `history-${cluster.topic}`;
      clients = Array.from({ length: CLIENTS }, () => new HistoryClient());
      onTestFinished(() => clients.forEach((client) => client.cut()));
      await Promise.all(clients.map((client) => client.connect(anyMember().port, topic)));
    }, TIMEOUT_MS);

    afterAll(async () => {
      await cluster.dispose();
      await server.dispose();
    });

    test(
      "brings each client all 20,000 messages once and in order, though clients are cut off 1,000 times",
      async () => {
        const cutting = cutClients(CUTS, () => false);
        const ids = await appendAll(MESSAGES, 20);
        expect(await cutting).toBe(CUTS);
        const truth = inOrder(ids);
        expect(truth.length).toBeGreaterThanOrEqual(MESSAGES);
        await untilAllHave(ids.get(truth.at(-1)!)!);
        for (const client of clients) {
          expect([client.faults(), client.losses]).toEqual([[], 0]);
          expect(client.texts).toEqual(truth);
        }
      },
      TIMEOUT_MS,
    );

    test("brings the clients of a process that stood still what they have missed", async () => {
      const frozen = members[0]!;
      await Promise.all(clients.map((client, i) => client.connect((i < 4 ? frozen : anyMember()).port, topic)));
      const first = await appendAll(600, 10);
      frozen.freeze();
      const others = members.slice(1);
      const shares = Promise.all(others.map((member) => member.tell({ do: "append", topic, to: 500, inTurn: 10 })));
      await Promise.all([shares, delay(FROZEN_MS)]);
      frozen.thaw();
      const last = await frozen.tell<string[]>({ do: "append", topic, to: 1, inTurn: 1 });
      await untilAllHave(last[0]!);
      const count = first.size + others.length * 500 + 1;
      for (const client of clients) {
        expect([client.faults(), client.losses, client.texts.length]).toEqual([[], 0, count]);
      }
    }, TIMEOUT_MS);

    test("tells each client when the server has lost the history, and goes on without a gap", async () => {
      await appendAll(600, 10);
      await appendDuring(replace);
      for (const client of clients) {
        expect(client.faults()).toEqual([]);
        expect(client.losses).toBeGreaterThan(0);
      }
    }, TIMEOUT_MS);

    if (keeps !== undefined) {
      test("loses nothing when the server is killed and keeps its data", async () => {
        const ids = await appendDuring(keeps);
        for (const client of clients) {
          expect([client.faults(), client.losses]).toEqual([[], 0]);
          // The last text is the one that was appended to see the end.
          const texts = client.texts.slice(0, -1);
          const known = new Set(texts);
          expect([...ids.keys()].filter((text) => !known.has(text))).toEqual([]);
          expect(known.size).toBe(texts.length);
        }
      }, TIMEOUT_MS);
    }

    /**
     * Lets all processes append, and clients be cut off, while something happens to the server. Returns the id of each
     * text that was taken, when all clients have what came last.
     */
    async function appendDuring(event: (server: ServerProgram) => Promise<void>): Promise<Map<string, string>> {
      const isOver = { value: false };
      const cutting = cutClients(Infinity, () => isOver.value);
      const appending = appendAll(2_400, 5);
      await delay(100);
      await event(server);
      const ids = await appending;
      await cluster.until((member) => member.isConnected);
      isOver.value = true;
      await cutting;
      const [last] = await members[0]!.tell<string[]>({ do: "append", topic, to: 1, inTurn: 1 });
      await untilAllHave(last!);
      return ids;
    }
  });
});
