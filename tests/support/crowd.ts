/** Several sockets of one app, and several apps on one broker, for tests of topics. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { expect } from "vitest";
import type { App, AppOptions, Socket } from "../../mod.ts";
import { connectTo, listeningApp, type LogEntry, recordingLogger } from "./app.ts";
import type { Hub, MemoryBroker } from "./memory-broker.ts";
import type { RawClient } from "./raw-client.ts";

/** One connection, with both of its ends. */
export interface Member {
  readonly socket: Socket;
  readonly client: RawClient;
}

/** An app whose route takes everyone in. */
export interface Crowd {
  readonly app: App;
  /** What the app has logged. */
  readonly entries: readonly LogEntry[];
  /** Connects one, subscribed to topics. */
  member(...topics: string[]): Promise<Member>;
}

/** An app that is one of several on a broker. */
export interface Peer extends Crowd {
  readonly broker: MemoryBroker;
}

export async function crowd(options: AppOptions = {}): Promise<Crowd> {
  const { logger, entries } = recordingLogger();
  let onArrival: (socket: Socket) => void;
  const app = await listeningApp({ logger, ...options }, (app) => app.ws("/", (socket) => onArrival(socket)));
  return {
    app,
    entries,
    async member(...topics) {
      const arrived = new Promise<Socket>((resolve) => onArrival = resolve);
      const client = await connectTo(app);
      const socket = await arrived;
      for (const topic of topics) expect(socket.subscribe(topic)).toBe(true);
      return { socket, client };
    },
  };
}

/** An app on a hub. */
export async function peer(hub: Hub, options: AppOptions = {}, broker: MemoryBroker = hub.link()): Promise<Peer> {
  return { ...await crowd({ ...options, broker }), broker };
}

export async function peers(hub: Hub, count: number, options: AppOptions = {}): Promise<Peer[]> {
  const result: Peer[] = [];
  while (result.length < count) result.push(await peer(hub, options));
  return result;
}

/** Sent to a socket alone, to know that nothing more is under way to it. */
const END = "— that is all —";

/** What a client has got, beginning behind what was asked for before. */
export async function messagesOf({ socket, client }: Member): Promise<(string | Buffer)[]> {
  const messages: (string | Buffer)[] = [];
  socket.send(END);
  for (let next = await client.nextMessage(); next !== END; next = await client.nextMessage()) messages.push(next);
  return messages;
}

/** What each of them has got. */
export async function messagesOfAll(members: readonly Member[]): Promise<(string | Buffer)[][]> {
  const all: (string | Buffer)[][] = [];
  for (const member of members) all.push(await messagesOf(member));
  return all;
}

export interface Change {
  readonly event: "join" | "leave";
  readonly socket: Socket;
  readonly topic: string;
}

/** Who joins and leaves from now on. */
export function changesOf(app: App): Change[] {
  const changes: Change[] = [];
  for (const event of ["join", "leave"] as const) {
    app.on(event, (socket, topic) => void changes.push({ event, socket, topic }));
  }
  return changes;
}

/** Sends to one that does not read, until much is waiting for it. */
export async function stall({ socket, client }: Member, bytes: number): Promise<void> {
  const block = Buffer.alloc(bytes / 10);
  client.pause();
  for (let sent = 0; socket.bufferedAmount < bytes && sent < 1_000; sent++) {
    socket.send(block);
    await nextTurn();
  }
  expect(socket.bufferedAmount).toBeGreaterThanOrEqual(bytes);
}
