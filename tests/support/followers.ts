/**
 * Followers without sockets: clients that keep what they got, and that come back to any process with their last id,
 * and the judge of what they got.
 */

import fc from "fast-check";
import { expect, vi } from "vitest";
import type { Broker } from "../../src/app/pubsub/broker.ts";
import { type Member, PubSub } from "../../src/app/pubsub/pubsub.ts";

/** The messages that a socket takes before it is full, as `highWaterMark` says in bytes. */
export const HIGH_WATER = 3;
/** The messages that a socket with `slowConsumer: "drop"` takes at most. */
export const MAX_WAITING = 4;

export type FakePubSub = PubSub<FakeSocket>;

/** Limits of a topic that are soon reached. */
export const NARROW_HISTORIES = fc.record({
  size: fc.integer({ min: 1, max: 12 }),
  maxAgeMs: fc.constantFrom(1_000, 20_000, 300_000),
  maxRecover: fc.constantFrom(2, 8, 300),
});

/** What happens to the connection of a client. */
export const FATES = ["drop", "stall", "drain", "drain once"] as const;
export type Fate = (typeof FATES)[number];

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** The topics of one process. */
export function topicsOf(broker: Broker | undefined, limits: object = {}): FakePubSub {
  return new PubSub<FakeSocket>(`process ${Math.random()}`, {
    broker,
    maxTopicsPerSocket: 100,
    presence: { intervalMs: 5_000, timeoutMs: 15_000 },
    maxHistoryBytes: 1024 * 1024,
    maxHistoryTopics: 100,
    maxRecoveries: 2,
    logger: SILENT,
    ...limits,
  });
}

let sockets = 0;

/** A socket that takes what it is sent when the test says so. */
export class FakeSocket implements Member {
  readonly id: string = `socket ${++sockets}`;
  subscriptions: Set<string> | undefined;
  isOpen = true;
  /** What waits to be sent. */
  readonly waiting: (string | Uint8Array)[] = [];
  /** The most that has ever waited. */
  mostWaiting = 0;
  readonly errors: unknown[] = [];
  readonly #topics: FakePubSub;
  readonly #drops: boolean;
  readonly #take: (data: string | Uint8Array) => void;
  #isStalled = false;
  #waiters: PromiseWithResolvers<void>[] = [];

  /** @param drops whether the socket refuses what it has no room for, as with `slowConsumer: "drop"` */
  constructor(topics: FakePubSub, drops: boolean, take: (data: string | Uint8Array) => void) {
    this.#topics = topics;
    this.#drops = drops;
    this.#take = take;
  }

  get hasRoom(): boolean {
    return this.waiting.length <= HIGH_WATER;
  }

  deliver(data: string | Uint8Array): boolean {
    if (!this.isOpen || (this.#drops && this.waiting.length >= MAX_WAITING)) return false;
    if (this.#isStalled) this.waiting.push(data);
    else this.#take(data);
    this.mostWaiting = Math.max(this.mostWaiting, this.waiting.length);
    return true;
  }

  drained(): Promise<void> {
    if (!this.isOpen) return Promise.reject(new Error("The socket has ended"));
    if (this.waiting.length === 0) return Promise.resolve();
    const waiter = Promise.withResolvers<void>();
    this.#waiters.push(waiter);
    return waiter.promise;
  }

  onHandlerError(_where: string, error: unknown): void {
    this.errors.push(error);
    this.terminate();
  }

  stall(): void {
    this.#isStalled = true;
  }

  /** Takes all that waits. A socket that is still stalled is full again with what comes then. */
  drain(isStalled: boolean): void {
    this.#isStalled = isStalled;
    for (const data of this.waiting.splice(0)) this.#take(data);
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  /** Ends the socket. What waits is lost. */
  terminate(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.waiting.length = 0;
    this.#topics.leaveAll(this);
    for (const { reject } of this.#waiters.splice(0)) reject(new Error("The socket has ended"));
  }
}

/** A frame of a follower. */
export interface Frame {
  readonly topic: string;
  readonly id: string;
  readonly data?: string;
  readonly recovered?: boolean;
}

/** What a client got over one connection. */
export interface Visit {
  /** The id with which the client has come. */
  readonly since: string | undefined;
  readonly frames: Frame[];
}

/** A client, which comes back with its last id. */
export class FakeClient {
  readonly visits: Visit[] = [];
  lastId: string | undefined;
  socket: FakeSocket | undefined;

  get isConnected(): boolean {
    return this.socket?.isOpen ?? false;
  }

  /** Connects, and follows the topic. A connection before this one is cut. */
  connect(topics: FakePubSub, topic: string, drops: boolean, since: string | undefined = this.lastId): FakeSocket {
    this.socket?.terminate();
    const visit: Visit = { since, frames: [] };
    this.visits.push(visit);
    const socket = this.socket = new FakeSocket(topics, drops, (data) => {
      const frame: Frame = JSON.parse(String(data));
      visit.frames.push(frame);
      this.lastId = frame.id;
    });
    void topics.follow(socket, topic, { since });
    return socket;
  }

  /** With "drain once" the client takes what waits, and nothing after that. */
  undergo(fate: Fate): void {
    if (fate === "drop") this.socket?.terminate();
    else if (fate === "stall") this.socket?.stall();
    else this.socket?.drain(fate === "drain once");
  }

  /** How often the client was told that it may have missed messages, except at its first visit. */
  get losses(): number {
    return this.visits.flatMap(({ since, frames }, i) =>
      frames.filter(({ recovered }, at) => recovered === false && (at > 0 || (i > 0 && since !== undefined)))
    ).length;
  }
}

/** A message in the truth. */
export interface True {
  readonly id: string;
  readonly text: string;
}

function split(id: string): { epoch: string; offset: number } {
  const [epoch, offset] = id.split(".");
  return { epoch: epoch!, offset: Number(offset) };
}

/**
 * Expects that the log of a client is a run of the truth, each message once and in order, without a gap except where
 * the client was told, and that its socket never had more waiting than it may have.
 *
 * @param lifeOf gives the epoch that a place without messages belongs to
 */
export function expectRuns(client: FakeClient, truth: readonly True[], lifeOf: (epoch: string) => string): void {
  const indexes = new Map(truth.map(({ id }, index) => [id, index]));
  let newest = -1;
  const normal = (id: string): string => {
    const { epoch, offset } = split(id);
    return `${offset === 0 ? lifeOf(epoch) : epoch}.${offset}`;
  };
  for (const [number, { since, frames }] of client.visits.entries()) {
    let place: string | undefined;
    for (const [at, { id, data, recovered }] of frames.entries()) {
      const where = `visit ${number}, frame ${at}`;
      if (recovered !== undefined) {
        if (recovered) expect(at, `${where}: recovered is true at the beginning only`).toBe(0);
        if (recovered && since !== "") {
          expect(normal(id), `${where}: recovers from where the client was`).toBe(normal(since!));
        }
        place = normal(id);
        continue;
      }
      expect(place, `${where}: comes after a notice`).toBeDefined();
      const { epoch, offset } = split(place!);
      expect(id, `${where}: follows its predecessor`).toBe(`${epoch}.${offset + 1}`);
      const index = indexes.get(id);
      expect(index, `${where}: ${id} is in the truth`).toBeDefined();
      expect(data, where).toBe(truth[index!].text);
      expect(index, `${where}: each message once, in order`).toBeGreaterThan(newest);
      newest = index!;
      place = id;
    }
  }
  expect(client.socket?.errors ?? []).toEqual([]);
  expect(client.socket?.mostWaiting ?? 0).toBeLessThanOrEqual(HIGH_WATER + 1);
}

/** Expects that a connected client has all up to the newest message. */
export function expectEnd(client: FakeClient, truth: readonly True[]): void {
  expect(client.visits.at(-1)!.frames.length, "the client was answered").toBeGreaterThan(0);
  expect(client.lastId, "the client has the newest message").toBe(truth.at(-1)!.id);
}

/** Fakes the clocks, so that time passes when a test says so. Immediates and ticks run as always. */
export function fakeClocks(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance", "Date"] });
}
