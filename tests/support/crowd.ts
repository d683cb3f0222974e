/** Several sockets of one app, and several apps on one broker, for tests of topics. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { expect } from "vitest";
import type { App, AppOptions, Socket } from "../../mod.ts";
import { connectTo, listeningApp, type LogEntry, recordingLogger } from "./app.ts";
import type { Hub, MemoryBroker } from "./memory-broker.ts";
import type { RawClient } from "./raw-client.ts";

/** One connection: the server's socket and the client. */
export interface Member {
  readonly socket: Socket;
  readonly client: RawClient;
}

/** An app that accepts every connection at its only route. */
export interface Crowd {
  readonly app: App;
  /** The log entries of the app so far. */
  readonly entries: readonly LogEntry[];
  /** Connects a client, and subscribes its socket to the topics. */
  member(...topics: string[]): Promise<Member>;
}

/** One of several apps that share a broker. */
export interface Peer extends Crowd {
  readonly broker: MemoryBroker;
}

/** Starts an app. Its `member` connects clients. */
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

/** Starts an app that is linked to a hub. */
export async function peer(hub: Hub, options: AppOptions = {}, broker: MemoryBroker = hub.link()): Promise<Peer> {
  return { ...await crowd({ ...options, broker }), broker };
}

/** Starts `count` apps that are linked to one hub. */
export async function peers(hub: Hub, count: number, options: AppOptions = {}): Promise<Peer[]> {
  const result: Peer[] = [];
  while (result.length < count) result.push(await peer(hub, options));
  return result;
}

/** The last message to a socket: once the client has it, nothing else is on its way to the client. */
const END = "— that is all —";

/** Reads all messages that a client has got and no test has read yet. */
export async function messagesOf({ socket, client }: Member): Promise<(string | Buffer)[]> {
  const messages: (string | Buffer)[] = [];
  socket.send(END);
  for (let next = await client.nextMessage(); next !== END; next = await client.nextMessage()) messages.push(next);
  return messages;
}

/** Reads the unread messages of each member's client. */
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

/** Records the `join` and `leave` events of an app from now on. */
export function changesOf(app: App): Change[] {
  const changes: Change[] = [];
  for (const event of ["join", "leave"] as const) {
    app.on(event, (socket, topic) => void changes.push({ event, socket, topic }));
  }
  return changes;
}

/** Stops the client from reading, and sends until `bytes` wait in the socket. */
export async function stall({ socket, client }: Member, bytes: number): Promise<void> {
  const block = Buffer.alloc(bytes / 10);
  client.pause();
  for (let sent = 0; socket.bufferedAmount < bytes && sent < 1_000; sent++) {
    socket.send(block);
    await nextTurn();
  }
  expect(socket.bufferedAmount).toBeGreaterThanOrEqual(bytes);
}
