/** The figures of the dashboard: the rates and latencies of each second, and what has been counted since the start. */

import { hostname } from "node:os";
import process from "node:process";
import { clearInterval, setInterval } from "node:timers";
import type { App, AppStats, RouteStats, Socket } from "../../mod.ts";

/** The time between two samples. */
const INTERVAL_MS = 1_000;
/** A page that opens gets this many samples: those of the last two minutes. */
const MAX_SAMPLES = 120;
/** With each sample, this many clients get a Ping. All clients have their turn, one after the other. */
const PINGS = 20;
/** How often the delay of the event loop is measured. */
const TICK_MS = 20;

/** What passes in a second. Each receiver of a published message counts. */
export interface Rates {
  readonly connections: number;
  readonly receivedPerSecond: number;
  readonly sentPerSecond: number;
  readonly receivedBytesPerSecond: number;
  readonly sentBytesPerSecond: number;
  readonly bufferedBytes: number;
}

/** The figures of one second. Latencies are in milliseconds, and null where nothing was measured. */
export interface Sample extends Rates {
  /** When the sample was taken, in milliseconds since 1970. */
  readonly at: number;
  /** Connections above `highWaterMark`. */
  readonly slowConsumers: number;
  /** The time from a Ping to its Pong: of the clients that have answered in this second. */
  readonly roundTripMedianMs: number | null;
  readonly roundTripLongestMs: number | null;
  /** How much later than planned a timer has run, because the event loop was busy. */
  readonly delayMedianMs: number | null;
  readonly delayLongestMs: number | null;
}

/** One message to a page. The first one also has the process, and all samples that are kept. */
export interface Report {
  readonly process?: { readonly id: string; readonly name: string };
  readonly samples: readonly Sample[];
  readonly routes: readonly (Rates & { readonly path: string })[];
  readonly stats: Omit<AppStats, "routes">;
}

/** Takes a sample each second, and tells a listener of it. */
export class Figures implements Disposable {
  readonly #app: Pick<App, "id" | "sockets" | "stats">;
  readonly #samples: Sample[] = [];
  readonly #pinged = new WeakMap<Socket, number>();
  readonly #timers: NodeJS.Timeout[];
  #turns: Iterator<Socket> | undefined;
  #roundTripsMs: number[] = [];
  #delaysMs: number[] = [];
  #tickedAt = performance.now();
  #sampledAt = performance.now();
  #stats: AppStats;
  #report: Report;

  constructor(app: Pick<App, "id" | "sockets" | "stats">, onReport: (report: Report) => void) {
    this.#app = app;
    this.#stats = app.stats();
    this.#report = { samples: [], routes: [], stats: this.#stats };
    const sample = setInterval(() => onReport(this.#sample()), INTERVAL_MS);
    const tick = setInterval(() => this.#tick(), TICK_MS);
    this.#timers = [sample.unref(), tick.unref()];
  }

  /** What a page needs when it opens. */
  get history(): Report {
    const name = `${runtimeName()} on ${hostname()}, process ${process.pid}`;
    return { ...this.#report, process: { id: this.#app.id, name }, samples: this.#samples };
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  #sample(): Report {
    const [before, sampledAt] = [this.#stats, this.#sampledAt];
    this.#stats = this.#app.stats();
    this.#sampledAt = performance.now();
    const seconds = (this.#sampledAt - sampledAt) / 1_000;
    const [roundTripMedianMs, roundTripLongestMs] = medianAndLongest(this.#roundTripsMs);
    const [delayMedianMs, delayLongestMs] = medianAndLongest(this.#delaysMs);
    const latencies = { roundTripMedianMs, roundTripLongestMs, delayMedianMs, delayLongestMs };
    const rates = ratesOf(this.#stats, before, seconds);
    const sample = { at: Date.now(), ...rates, slowConsumers: this.#stats.slowConsumers.waiting, ...latencies };
    this.#roundTripsMs = [];
    this.#delaysMs = [];
    this.#samples.push(sample);
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
    this.#pingSome();

    const { routes, ...stats } = this.#stats;
    const rows = Object.entries(routes).map(([path, now]) => ({ path, ...ratesOf(now, before.routes[path], seconds) }));
    return this.#report = { samples: [sample], routes: rows, stats };
  }

  /**
   * The runtimes have `monitorEventLoopDelay`, but count different things with it: under Node, its own interval is part
   * of the delay, and under Deno, work that blocks is not seen.
   */
  #tick(): void {
    const now = performance.now();
    this.#delaysMs.push(Math.max(0, now - this.#tickedAt - TICK_MS));
    this.#tickedAt = now;
  }

  #pingSome(): void {
    for (let i = 0; i < Math.min(PINGS, this.#app.sockets.size); i++) {
      this.#turns ??= this.#app.sockets[Symbol.iterator]();
      const { value: socket, done } = this.#turns.next();
      if (done) this.#turns = undefined;
      else this.#ping(socket);
    }
  }

  #ping(socket: Socket): void {
    if (!this.#pinged.has(socket)) socket.on("pong", (payload) => this.#ponged(socket, payload));
    const sentAt = performance.now();
    this.#pinged.set(socket, sentAt);
    socket.ping(String(sentAt));
  }

  /** A client sends what it likes, so only the answer to the last Ping counts. The heartbeat has Pings of its own. */
  #ponged(socket: Socket, payload: Buffer): void {
    const sentAt = this.#pinged.get(socket);
    if (sentAt === undefined || String(payload) !== String(sentAt)) return;
    this.#roundTripsMs.push(performance.now() - sentAt);
  }
}

/** A route that was added since the last sample has no figures from before. */
function ratesOf(now: RouteStats, before: RouteStats | undefined, seconds: number): Rates {
  const rate = (name: "receivedMessages" | "sentMessages" | "receivedBytes" | "sentBytes"): number =>
    (now[name] - (before?.[name] ?? 0)) / seconds;
  return {
    connections: now.connections,
    receivedPerSecond: rate("receivedMessages"),
    sentPerSecond: rate("sentMessages"),
    receivedBytesPerSecond: rate("receivedBytes"),
    sentBytesPerSecond: rate("sentBytes"),
    bufferedBytes: now.bufferedBytes,
  };
}

function medianAndLongest(durationsMs: readonly number[]): [number, number] | [null, null] {
  if (durationsMs.length === 0) return [null, null];
  const sorted = durationsMs.toSorted((a, b) => a - b);
  return [sorted[Math.floor(sorted.length / 2)], sorted[sorted.length - 1]];
}

function runtimeName(): string {
  const { bun, deno, node } = process.versions;
  if (bun !== undefined) return `Bun ${bun}`;
  return deno === undefined ? `Node ${node}` : `Deno ${deno}`;
}
