/** How the tests start a NATS server, and connect to it. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { jetstream, type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { connect, type ConnectionOptions, type NatsConnection } from "@nats-io/transport-node";
import { onTestFinished } from "vitest";
import { HISTORY_PREFIX } from "../../src/app/pubsub/broker.ts";
import { natsBroker, type NatsBrokerOptions } from "../../src/brokers/nats.ts";
import { HistoryMember } from "./history-contract.ts";
import type { ServerKind } from "./server-program.ts";

/** A NATS server with JetStream. */
export const natsServer: ServerKind = {
  name: "nats-server",
  arguments: (port, folder) => [
    ...["--addr", "127.0.0.1", "--port", String(port), "--jetstream", "--store_dir", folder],
  ],
  ready: /Server is ready/,
};

/** A NATS server with JetStream and rules of its own. */
export function natsServerWith(rules: string): ServerKind {
  return {
    ...natsServer,
    arguments: (port, folder) => {
      const file = join(folder, "nats.conf");
      writeFileSync(file, rules);
      return [...natsServer.arguments(port, folder), "--config", file];
    },
  };
}

/** A connection that is closed when the test is over. */
export async function connected(port: number, options: ConnectionOptions = {}): Promise<NatsConnection> {
  const connection = await connect({
    ...{ servers: `127.0.0.1:${port}`, reconnectTimeWait: 20, maxReconnectAttempts: -1 },
    ...options,
  });
  onTestFinished(() => connection.close());
  return connection;
}

/** A broker with histories, and its connection. */
export interface NatsMember {
  readonly member: HistoryMember;
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
}

/** Opens a broker with histories, which is closed when the test is over. */
export async function openMember(
  port: number,
  options: NatsBrokerOptions = {},
  connectionOptions: ConnectionOptions = {},
): Promise<NatsMember> {
  const connection = await connected(port, connectionOptions);
  const member = new HistoryMember(natsBroker(connection, { jetstream, ...options }));
  onTestFinished(async () => void await member.broker.close());
  await member.connected();
  return { member, connection, manager: await jetstreamManager(connection, { checkAPI: false }) };
}

/** The subject of a topic in the stream of histories, as it is now. */
export async function subjectOf(manager: JetStreamManager, topic: string): Promise<string> {
  const token = Buffer.from(topic.slice(HISTORY_PREFIX.length)).toString("base64url");
  const { created } = await manager.streams.info("spacenode_history");
  return `spacenode.${token}.${Date.parse(created).toString(36)}.history`;
}
