/** Records what an app writes to its raw sockets, write by write. */

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket as RawSocket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, onTestFinished, vi } from "vitest";
import { type App, type AppOptions, createApp } from "../../mod.ts";
import { RawClient } from "./raw-client.ts";

/** A client, and the writes to its raw socket on the server. */
export interface Line<Client> {
  readonly client: Client;
  readonly writes: Buffer[];
}

/** An app on a server of the test, which sees its raw sockets, and clients that are subscribed to topics. */
export async function lines<Client extends { terminate(): void } = RawClient>(
  count: number,
  topics: readonly string[],
  options: AppOptions = {},
  connect: (port: number) => Promise<Client> = (port) => RawClient.connect(port) as Promise<never>,
): Promise<{ app: App; all: Line<Client>[] }> {
  const app = await createApp({ logger: false, ...options });
  app.ws("/", (socket) => topics.forEach((topic) => socket.subscribe(topic)));
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const raws: RawSocket[] = [];
  server.on("upgrade", (_request, raw: RawSocket) => raws.push(raw));
  app.attach(server);
  onTestFinished(async () => {
    server.close();
    await app.close({ timeoutMs: 100 });
  });
  const all: Line<Client>[] = [];
  while (all.length < count) {
    const client = await connect((server.address() as AddressInfo).port);
    onTestFinished(() => client.terminate());
    const writes: Buffer[] = [];
    const raw = raws[all.length];
    const write = raw.write.bind(raw) as (...args: unknown[]) => boolean;
    vi.spyOn(raw, "write").mockImplementation((...args: unknown[]) => {
      writes.push(args[0] as Buffer);
      return write(...args);
    });
    all.push({ client, writes });
  }
  await nextTurn();
  return { app, all };
}

/** Expects that the first writes of all are the same bytes in the same memory. */
export function expectSameMemory(all: readonly Line<unknown>[]): void {
  const [{ buffer, byteOffset, byteLength }] = all[0].writes;
  for (const { writes: [write] } of all) {
    expect(write.buffer === buffer).toBe(true);
    expect([write.byteOffset, write.byteLength]).toEqual([byteOffset, byteLength]);
  }
}
