/** A `Connection` over a real TCP connection, and a handler that records its events. */

import type { Socket as RawSocket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect } from "vitest";
import { ProtocolError } from "../../src/protocol/errors.ts";
import type { ConnectionHandler, ConnectionSettings } from "../../src/transport/connection-handler.ts";
import { Connection } from "../../src/transport/connection.ts";
import { RateLimitedConnection } from "../../src/transport/rate-limited-connection.ts";
import { ConnectionTimers } from "../../src/transport/timers/connection-timers.ts";
import { noTraffic } from "../../src/transport/traffic.ts";
import { upgradeServer } from "./app.ts";
import { text } from "./frames.ts";
import type { ConnectOptions, RawClient } from "./raw-client.ts";

export const SETTINGS: ConnectionSettings = {
  maxMessageBytes: 1_000_000,
  maxFragments: 100,
  highWaterMark: 64 * 1024,
  maxBufferedBytes: 1_000_000,
  slowConsumer: "close",
  timers: new ConnectionTimers({ heartbeat: false, messageTimeoutMs: 60_000, closeTimeoutMs: 5_000 }),
  traffic: noTraffic(),
};

export type Event = [name: string, ...details: unknown[]];

/** Records the events of a connection, and lets a test react to each of them. */
export class Recorder implements ConnectionHandler {
  readonly events: Event[] = [];
  readonly closed = Promise.withResolvers<Event>();
  readonly drained = Promise.withResolvers<void>();
  /** Called at each event. */
  react: (event: Event) => void = () => {};
  #waiting: (() => void) | undefined;

  /** Resolves with all messages once there are that many. */
  async messages(count: number): Promise<unknown[]> {
    while (this.of("message").length < count) await new Promise<void>((resolve) => this.#waiting = resolve);
    return this.of("message").map(([, data]) => data);
  }

  of(name: string): Event[] {
    return this.events.filter((event) => event[0] === name);
  }

  #record(...event: Event): void {
    this.events.push(event);
    this.react(event);
    this.#waiting?.();
  }

  onMessage(data: string | Uint8Array): void {
    this.#record("message", data);
  }

  onPing(payload: Uint8Array): void {
    this.#record("ping", `${payload}`);
  }

  onPong(payload: Uint8Array): void {
    this.#record("pong", `${payload}`);
  }

  onDrain(): void {
    this.#record("drain");
    this.drained.resolve();
  }

  onClosing(): void {}

  onError(error: Error): void {
    this.#record("error", error instanceof ProtocolError ? error.closeCode : error);
  }

  onClose(code: number, _reason: string, wasClean: boolean): void {
    this.#record("close", code, wasClean);
    this.closed.resolve(["close", code, wasClean]);
  }
}

export interface Pair {
  raw: RawSocket;
  connection: Connection;
  client: RawClient;
  recorder: Recorder;
}

export async function pair(settings: Partial<ConnectionSettings> = {}, options: ConnectOptions = {}): Promise<Pair> {
  const { raw, head, client } = await (await upgradeServer()).connect(options);
  const recorder = new Recorder();
  const all = { ...SETTINGS, ...settings };
  const connection = all.rateLimiter === undefined
    ? new Connection(raw, head, all, recorder)
    : new RateLimitedConnection(raw, head, all, recorder, undefined, all.rateLimiter);
  return { raw, client, recorder, connection };
}

/** Lets bytes go to another socket and back that many times, so that all bytes that were on their way have arrived. */
export async function roundTrips(count: number): Promise<void> {
  const { client, connection, recorder } = await pair();
  recorder.react = () => connection.send("back");
  connection.start();
  for (let i = 0; i < count; i++) {
    client.send(text("there"));
    await client.nextMessage();
  }
}

export const block: Buffer = Buffer.alloc(100_000, "x");

/** Sends blocks to a client that does not read, until that many bytes wait. Returns how many blocks. */
export async function stall({ connection, client }: Pair, bytes: number): Promise<number> {
  client.pause();
  let sent = 0;
  while (connection.bufferedAmount < bytes && sent < 1_000) {
    connection.send(block);
    sent++;
    await nextTurn();
  }
  expect(connection.bufferedAmount).toBeGreaterThanOrEqual(bytes);
  return sent;
}
