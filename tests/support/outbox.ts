/** Outboxes over real TCP connections. */

import type { Socket as RawSocket } from "node:net";
import { Outbox } from "../../src/transport/outbox.ts";
import { upgradeServer } from "./app.ts";
import type { RawClient } from "./raw-client.ts";

export interface End {
  raw: RawSocket;
  outbox: Outbox;
  client: RawClient;
}

export async function ends(count: number, onDrain: () => void = () => {}): Promise<End[]> {
  const server = await upgradeServer();
  const result: End[] = [];
  for (let i = 0; i < count; i++) {
    const { raw, client } = await server.connect();
    result.push({ raw, client, outbox: new Outbox(raw, { onWritten: onDrain }) });
  }
  return result;
}

export async function end(onDrain?: () => void): Promise<End> {
  return (await ends(1, onDrain))[0];
}

export async function nextMessages(client: RawClient, count: number): Promise<(string | Buffer)[]> {
  const messages: (string | Buffer)[] = [];
  while (messages.length < count) messages.push(await client.nextMessage());
  return messages;
}
