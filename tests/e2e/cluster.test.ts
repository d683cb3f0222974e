/**
 * Six processes on one topic over a real server: two each under Node, Deno and Bun, each with a client that listens.
 * The processes serve all tests of a server, each of which has a topic of its own.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { AppStats } from "../../mod.ts";
import { Cluster, type ClusterMember } from "../support/cluster.ts";
import { natsServer } from "../support/nats-server.ts";
import { redisServer } from "../support/redis-server.ts";
import { isInstalled, ServerProgram } from "../support/server-program.ts";

const TIMEOUT_MS = 60_000;

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** The number of messages of one member that the client of another has. */
const heardOf = (listener: ClusterMember, speaker: ClusterMember): number =>
  listener.numbers.get(speaker.name)?.length ?? 0;

const last = (listener: ClusterMember, speaker: ClusterMember): number =>
  listener.numbers.get(speaker.name)?.at(-1) ?? -1;

/** The gaps in a list of numbers, each as `from → to`. */
function jumps(numbers: readonly number[]): string[] {
  return numbers.flatMap((number, i) =>
    i > 0 && number !== numbers[i - 1] + 1 ? [`${numbers[i - 1]} → ${number}`] : []
  );
}

async function stopCounting(members: readonly ClusterMember[]): Promise<number[]> {
  return await Promise.all(members.map((member) => member.tell<number>({ do: "stop" })));
}

describe.each([
  { name: "Redis", kind: redisServer, libraries: ["node-redis", "ioredis"] },
  { name: "NATS", kind: natsServer, libraries: ["nats"] },
])("six processes over $name", ({ kind, libraries }) => {
  describe.skipIf(!isInstalled(kind))(`with ${kind.name}`, () => {
    let server: ServerProgram;
    let cluster: Cluster;
    let members: readonly ClusterMember[];
    let topic: string;

    beforeAll(async () => {
      server = await (await ServerProgram.create(kind)).start();
      cluster = new Cluster(libraries, server.port);
    });

    // Each test leaves the server running, also one that has failed in between.
    beforeEach(async () => {
      await server.start();
      await cluster.meetAnew();
      ({ members, topic } = cluster);
    }, TIMEOUT_MS);

    afterAll(async () => {
      await cluster.dispose();
      await server.dispose();
    });

    test("get each of 10,000 messages of each process once and in order", async () => {
      const count = 10_000;
      await Promise.all(members.map((member) => member.tell({ do: "count", topic, to: count, inTurn: 100 })));
      await cluster.until((listener) => members.every((speaker) => heardOf(listener, speaker) >= count));
      // A duplicate would arrive before the messages that are sent now.
      await cluster.meet();
      for (const listener of members) {
        for (const speaker of members) expect(listener.numbers.get(speaker.name)).toEqual(upTo(count));
      }
      for (const member of members) {
        const { broker } = await member.tell<AppStats>({ do: "stats" });
        expect(broker).toMatchObject({ isConnected: true, dropped: 0 });
        expect(broker!.published).toBeGreaterThanOrEqual(count);
        expect(broker!.received).toBeGreaterThanOrEqual(5 * count);
      }
    }, TIMEOUT_MS);

    test("lose no messages but the last ones of a killed process", async () => {
      const [victim, ...others] = members;
      await Promise.all(members.map((member) => member.tell({ do: "begin", topic })));
      await cluster.until((listener) => members.every((speaker) => heardOf(listener, speaker) >= 200));
      await victim.kill();
      const before = others.map((listener) => others.map((speaker) => heardOf(listener, speaker)));
      await cluster.until((listener) => {
        const counts = before[others.indexOf(listener)];
        return others.every((speaker, i) => heardOf(listener, speaker) >= counts[i] + 200);
      }, others);
      const counts = await stopCounting(others);
      await cluster.until((listener) => others.every((speaker, i) => last(listener, speaker) >= counts[i] - 1), others);
      await cluster.meet(others);
      for (const listener of others) {
        for (const [i, speaker] of others.entries()) {
          expect(listener.numbers.get(speaker.name)).toEqual(upTo(counts[i]));
        }
        expect(listener.numbers.get(victim.name)).toEqual(upTo(heardOf(listener, victim)));
      }
    }, TIMEOUT_MS);

    test("lose no messages but those that are published while the server is away", async () => {
      await Promise.all(members.map((member) => member.tell({ do: "begin", topic })));
      await cluster.until((listener) => members.every((speaker) => heardOf(listener, speaker) >= 200));
      await server.kill();
      await cluster.until((member) => !member.isConnected);
      // Within a process, messages are still delivered.
      const before = members.map((member) => last(member, member));
      await cluster.until((member) => last(member, member) >= before[members.indexOf(member)] + 50);
      const atReturn = members.map((listener) => members.map((speaker) => last(listener, speaker)));
      await server.start();
      await cluster.until((member) => member.isConnected);
      await cluster.meet();
      // The greeting of a member may arrive before its next number.
      await cluster.until((listener) => {
        const numbers = atReturn[members.indexOf(listener)];
        return members.every((speaker, i) => last(listener, speaker) > numbers[i]);
      });
      const after = members.map((listener) => members.map((speaker) => last(listener, speaker)));
      await cluster.until((listener) => {
        const numbers = after[members.indexOf(listener)];
        return members.every((speaker, i) => last(listener, speaker) >= numbers[i] + 200);
      });
      const counts = await stopCounting(members);
      await cluster.until((listener) => members.every((speaker, i) => last(listener, speaker) >= counts[i] - 1));
      await cluster.meet();
      for (const [i, listener] of members.entries()) {
        for (const [k, speaker] of members.entries()) {
          const numbers = listener.numbers.get(speaker.name)!;
          expect(numbers.at(-1)).toBe(counts[k] - 1);
          if (listener === speaker) expect(numbers).toEqual(upTo(counts[k]));
          else {
            // No duplicate, and no message out of order: the only gap is that of the outage, which has ended.
            expect(jumps(numbers)).toHaveLength(1);
            expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
            const gap = numbers.findIndex((number, at) => number !== at);
            expect(gap).toBeGreaterThanOrEqual(200);
            expect(numbers[gap]).toBeLessThanOrEqual(after[i][k]);
          }
        }
      }
    }, TIMEOUT_MS);

    test("list the sockets that are present, until a process dies, and again after the server was away", async () => {
      const [victim, leaver, ...others] = members;
      const present = async (expected: readonly ClusterMember[]): Promise<void> => {
        const names = expected.map(({ name }) => name).sort();
        for (const member of expected) {
          await expect.poll(async () => (await member.tell<string[]>({ do: "presence", topic })).sort(), {
            timeout: 10_000,
          }).toEqual(names);
        }
      };
      await present(members);
      await victim.kill();
      await present([leaver, ...others]);
      await leaver.leave();
      await present(others);
      await server.kill();
      await cluster.until((member) => !member.isConnected, others);
      for (const member of others) {
        await expect.poll(() => member.tell({ do: "presence", topic }), { timeout: 10_000 }).toEqual([
          member.name,
        ]);
      }
      await server.start();
      await present(others);
    }, TIMEOUT_MS);
  });
});
