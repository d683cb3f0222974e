/** The clients of which a broker can be made, and the server that each of them needs. */

import type { ClientName } from "../peers/broker.ts";

export type DaemonName = "redis-server" | "nats-server";

export interface Client {
  name: ClientName;
  label: string;
  /** The npm package whose version is reported. */
  package?: string;
  /** The server that this client needs. */
  daemon?: DaemonName;
}

/** The base of the comparison: publisher and subscriber in one process. */
const NONE: Client = { name: "none", label: "one process, no broker" };

export const clients: readonly Client[] = [
  NONE,
  { name: "node-redis", label: "Redis by node-redis", package: "redis", daemon: "redis-server" },
  { name: "ioredis", label: "Redis by ioredis", package: "ioredis", daemon: "redis-server" },
  { name: "nats", label: "NATS", package: "@nats-io/transport-node", daemon: "nats-server" },
];
