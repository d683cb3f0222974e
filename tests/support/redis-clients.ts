/** Brokers over Redis, with clients of both libraries that reconnect soon. */

import { Redis } from "ioredis";
import { createClient } from "redis";
import { expect } from "vitest";
import { redisBroker, type RedisBrokerOptions } from "../../src/brokers/redis.ts";
import type { OpenBroker } from "./broker-contract.ts";

const RETRY_MS = 20;

export function openNodeRedis(port: number, RESP: 2 | 3, options?: RedisBrokerOptions): OpenBroker {
  const client = createClient({ RESP, socket: { port, host: "127.0.0.1", reconnectStrategy: () => RETRY_MS } });
  client.on("error", () => {});
  client.connect().catch(() => {});
  return {
    broker: redisBroker(client, options),
    useClient: async () => expect(await client.echo("hello")).toBe("hello"),
    endClient: () => client.destroy(),
  };
}

export function openIoredis(port: number, protocol: 2 | 3, options?: RedisBrokerOptions): OpenBroker {
  const client = new Redis({ port, host: "127.0.0.1", protocol, keyPrefix: "mine:", retryStrategy: () => RETRY_MS });
  client.on("error", () => {});
  return {
    broker: redisBroker(client, options),
    useClient: async () => expect(await client.echo("hello")).toBe("hello"),
    endClient: () => client.disconnect(),
  };
}
