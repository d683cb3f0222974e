/** The memory that the history of a topic takes at its broker. */
import { createClient } from "redis";
import type { Daemon } from "./daemon.ts";

/**
 * The bytes of redis-server for each message that the history of a topic keeps, with all that is around it. Undefined
 * for NATS, which keeps messages in files.
 */
export async function keptBytes({ name, port }: Daemon, topic: string): Promise<number | undefined> {
  if (name !== "redis-server") return undefined;
  const client = await createClient({ url: `redis://127.0.0.1:${port}` }).connect();
  try {
    const key = `spacenode:history:${topic}`;
    const messages = await client.xLen(key);
    const bytes = await client.memoryUsage(key, { SAMPLES: 0 });
    if (messages === 0 || bytes === null) throw new Error(`redis-server keeps no message of ${topic}`);
    return bytes / messages;
  } finally {
    client.destroy();
  }
}
