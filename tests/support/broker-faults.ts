/** Two processes on a broker, and ways in which it may fail them. */

import type { LogEntry } from "./app.ts";
import { messagesOf, type Peer, peer } from "./crowd.ts";
import { Hub } from "./memory-broker.ts";

/** What was logged for an operator, with its level. */
export function report(entries: readonly LogEntry[]): string[] {
  return entries.filter(({ level }) => level !== "debug").map(({ level, args }) => `${level}: ${args[0]}`);
}

export interface NewsPair {
  readonly hub: Hub;
  readonly a: Peer;
  readonly b: Peer;
  /** What both sockets have got since the last time. */
  news(): Promise<unknown>;
}

/** Two processes with a socket each that is subscribed to "news". */
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

/** What a method of a broker may do that it should not. */
export const FAILURES: [string, () => Promise<unknown>][] = [
  ["throws", () => {
    throw new Error("broker at fault");
  }],
  ["rejects", () => Promise.reject(new Error("broker at fault"))],
  ["rejects with nothing", () => Promise.reject(undefined)],
  ["never settles", () => new Promise(() => {})],
  ["returns no promise", () => undefined as unknown as Promise<unknown>],
];
