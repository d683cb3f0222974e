/**
 * One process of a cluster: an app with a broker. It takes commands as lines on its standard input, and runs under each
 * runtime.
 *
 *     cluster-member.ts NAME LIBRARY PORT
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { createApp } from "../../mod.ts";
import type { Broker, BrokerStatus } from "../../src/app/pubsub/broker.ts";
import { natsBroker } from "../../src/brokers/nats.ts";
import { redisBroker } from "../../src/brokers/redis.ts";

/** A command to a member. The result has the id of its command. */
export type MemberCommand =
  & { readonly id: number }
  & (
    | { readonly do: "publish"; readonly topic: string; readonly texts: readonly string[] }
    /** Publishes `name:0` and so on, up to `to`, with `inTurn` messages in each turn. */
    | { readonly do: "count"; readonly topic: string; readonly to: number; readonly inTurn: number }
    /** Publishes `name:0` and so on until the command `stop`. */
    | { readonly do: "begin"; readonly topic: string }
    /** Stops counting. The result is the number of messages so far. */
    | { readonly do: "stop" }
    /**
     * Appends `name:0` and so on to a topic with a history, with `inTurn` messages in each turn. The result has the id
     * of each, or null for one that was refused.
     */
    | { readonly do: "append"; readonly topic: string; readonly to: number; readonly inTurn: number }
    | { readonly do: "presence"; readonly topic: string }
    | { readonly do: "stats" }
    | { readonly do: "close" }
  );

export type MemberReport =
  | { readonly event: "listening"; readonly port: number; readonly runtime: string }
  | { readonly event: "status"; readonly isConnected: boolean }
  | { readonly event: "answer"; readonly id: number; readonly result: unknown };

const RETRY_MS = 50;
const TICK_MS = 2;

const makers: Record<string, (port: number) => Broker> = {
  "node-redis": (port) =>
    redisBroker(createClient({ socket: { port, host: "127.0.0.1", reconnectStrategy: () => RETRY_MS } })),
  ioredis: (port) =>
    redisBroker(new Redis({ port, host: "127.0.0.1", lazyConnect: true, retryStrategy: () => RETRY_MS })),
  nats: (port) => {
    const retries = { reconnectTimeWait: RETRY_MS, maxReconnectAttempts: -1, waitOnFirstConnect: true };
    return natsBroker(connect({ servers: `127.0.0.1:${port}`, ...retries }), { jetstream });
  },
};

async function run(name: string, library: string, brokerPort: string): Promise<void> {
  const tell = (report: MemberReport): void => void process.stdout.write(`${JSON.stringify(report)}\n`);
  const app = await createApp({
    broker: reported(makers[library](Number(brokerPort)), ({ isConnected }) => tell({ event: "status", isConnected })),
    presence: { intervalMs: 200, timeoutMs: 1_000 },
    logger: false,
  });
  app.topic("history-*", { history: { size: 100_000, maxRecover: 100_000 } });
  app.ws("/followers/:topic", async (socket, { params, query }) => {
    await socket.follow(params.topic, { since: query.get("since") });
  });
  app.ws("/:topic", (socket, { params }) => {
    socket.subscribe(params.topic, { presence: name });
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  tell({ event: "listening", port: app.address!.port, runtime: runtimeName() });

  let counted = 0;
  let counting: ReturnType<typeof setInterval> | undefined;
  const count = (topic: string): void => void app.publish(topic, `${name}:${counted++}`);

  async function obey(command: MemberCommand): Promise<unknown> {
    switch (command.do) {
      case "publish":
        for (const text of command.texts) app.publish(command.topic, text);
        return;
      case "count":
        counted = 0;
        while (counted < command.to) {
          for (let i = 0; i < command.inTurn && counted < command.to; i++) count(command.topic);
          await nextTurn();
        }
        return;
      case "begin":
        clearInterval(counting);
        counted = 0;
        counting = setInterval(count, TICK_MS, command.topic);
        return;
      case "stop":
        clearInterval(counting);
        return counted;
      case "append": {
        const ids: Promise<string | null>[] = [];
        while (ids.length < command.to) {
          for (let i = 0; i < command.inTurn && ids.length < command.to; i++) {
            ids.push(app.append(command.topic, `${name}:${ids.length}`).catch(() => null));
          }
          const last = await Promise.all(ids.slice(-command.inTurn));
          // The server is away. The rest would be refused too.
          if (last.includes(null)) await delay(RETRY_MS);
        }
        return await Promise.all(ids);
      }
      case "presence":
        return app.presence(command.topic).map(({ data }) => data);
      case "stats":
        return app.stats();
      case "close":
        return await app.close({ timeoutMs: 1_000 });
    }
  }

  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line) as MemberCommand;
    void obey(command).then((result) => tell({ event: "answer", id: command.id, result }));
  }
}

/** Makes a broker report its state to a second listener. */
function reported(broker: Broker, report: (status: BrokerStatus) => void): Broker {
  const onStatus = broker.onStatus.bind(broker);
  broker.onStatus = (listener) =>
    onStatus((status) => {
      listener(status);
      report(status);
    });
  return broker;
}

function runtimeName(): string {
  return "Deno" in globalThis ? "deno" : process.versions.bun === undefined ? "node" : "bun";
}

const [name, library, brokerPort] = process.argv.slice(2);
await run(name, library, brokerPort);
