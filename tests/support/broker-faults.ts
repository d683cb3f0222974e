/** Two processes that share a broker, and ways in which a broker may fail. */

import type { LogEntry } from "./app.ts";
import { messagesOf, type Peer, peer } from "./crowd.ts";
import { Hub } from "./memory-broker.ts";

/** The log entries but those of debug, each with its level. */
export function report(entries: readonly LogEntry[]): string[] {
  return entries.filter(({ level }) => level !== "debug").map(({ level, args }) => `${level}: ${args[0]}`);
}

export interface NewsPair {
  readonly hub: Hub;
  readonly a: Peer;
  readonly b: Peer;
  /** The messages that both sockets have got since the last call. */
  news(): Promise<unknown>;
}

/** Two processes, each with a socket that is subscribed to "news". */
export async function newsPair(isConnected: boolean = true): Promise<NewsPair> {
  const hub = new Hub();
  const [a, b] = [await peer(hub, {}, hub.link(isConnected)), await peer(hub)];
  const [here, there] = [await a.member("news"), await b.member("news")];
  await hub.settle();
  const news = async (): Promise<unknown> => {
    await hub.settle();
    return { here: await messagesOf(here), there: await messagesOf(there) };
  };
  return { hub, a, b, news };
}

/** Ways in which a method of a broker may fail. */
export const FAILURES: [string, () => Promise<unknown>][] = [
  ["throws", () => {
    throw new Error("broker at fault");
  }],
  ["rejects", () => Promise.reject(new Error("broker at fault"))],
  ["rejects with nothing", () => Promise.reject(undefined)],
  ["never settles", () => new Promise(() => {})],
  ["returns no promise", () => undefined as unknown as Promise<unknown>],
];
