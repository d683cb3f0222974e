/**
 * One measurement of one client in fresh processes: messages cross from process to process one at a time for each pair,
 * then in bursts, then both again through histories, and at last alone, for the latency.
 */
import { median, quantile } from "simple-statistics";
import type { Runtime } from "../shared/machine.ts";
import { Server } from "../shared/processes.ts";
import type { Client } from "./clients.ts";
import { closePairs, driveCrossing, driveLatency, openLatency, openPairs, type Pair, type Places } from "./crossing.ts";
import type { Daemon } from "./daemon.ts";
import { keptBytes } from "./kept.ts";

/** How long and with how many pairs each load runs. */
export interface BrokerTimes {
  pairs: number;
  seconds: number;
  warmUpSeconds: number;
}

/** The cost of crossing in µs of CPU for each message. Within one process, all of it is the publisher's. */
export interface Crossing {
  perSecond: number;
  publisherMicros: number;
  subscriberMicros: number | undefined;
  /** Of redis-server or nats-server; undefined without one, and where the system does not tell its CPU time. */
  brokerMicros: number | undefined;
  /** The broker's CPU time as a share of a core. */
  brokerShare: number | undefined;
}

/** The time from the publisher's write to the receiver's read. */
export interface Latency {
  localP50Ms: number;
  localP99Ms: number;
  remoteP50Ms: number | undefined;
  remoteP99Ms: number | undefined;
  /** The difference between the two, by message: what the way through the broker adds. */
  addedP50Ms: number | undefined;
  addedP99Ms: number | undefined;
}

export interface BrokerFigures {
  /** One message of each pair in flight. */
  single: Crossing;
  /** `BURST` messages of each pair in flight, written at once. */
  bursts: Crossing;
  /** The same two, where each topic has a history. */
  appendedSingle: Crossing;
  appendedBursts: Crossing;
  /** What the messages of these histories take. */
  kept: Kept;
  latency: Latency;
}

export interface Kept {
  /** The memory of redis-server for each message that a history keeps; undefined for all others. */
  bytes: number | undefined;
}

export type BrokerSample = BrokerFigures;

export const BURST = 16;

/** The processes whose CPU time is measured. */
interface Setting {
  publisher: Server;
  /** Undefined when publisher and subscriber are in one process. */
  subscriber: Server | undefined;
  daemon: Daemon | undefined;
}

async function cpuMicros({ publisher, subscriber, daemon }: Setting): Promise<(number | undefined)[]> {
  return [await publisher.cpuMicroseconds(), await subscriber?.cpuMicroseconds(), daemon?.cpuMicroseconds()];
}

async function measureCrossing(
  setting: Setting,
  pairs: Pair[],
  inFlight: number,
  times: BrokerTimes,
): Promise<Crossing> {
  await driveCrossing(pairs, inFlight, times.warmUpSeconds);
  const before = await cpuMicros(setting);
  const startedAt = performance.now();
  const count = await driveCrossing(pairs, inFlight, times.seconds);
  const seconds = (performance.now() - startedAt) / 1000;
  const after = await cpuMicros(setting);
  const spent = after.map((micros, index) => {
    const earlier = before[index];
    return micros === undefined || earlier === undefined ? undefined : micros - earlier;
  });
  const [publisher, subscriber, broker] = spent.map((micros) => micros === undefined ? undefined : micros / count);
  return {
    perSecond: count / seconds,
    publisherMicros: publisher!,
    subscriberMicros: subscriber,
    brokerMicros: broker,
    brokerShare: spent[2] === undefined ? undefined : spent[2] / 1e6 / seconds,
  };
}

async function measureLatency(places: Places, times: BrokerTimes): Promise<Latency> {
  const pair = await openLatency(places);
  await driveLatency(pair, times.warmUpSeconds);
  const { localMs, remoteMs } = await driveLatency(pair, times.seconds);
  closePairs([pair]);
  const [localP50Ms, localP99Ms] = quantile(localMs, [0.5, 0.99]);
  if (places.publisher === places.subscriber) {
    return {
      localP50Ms,
      localP99Ms,
      remoteP50Ms: undefined,
      remoteP99Ms: undefined,
      addedP50Ms: undefined,
      addedP99Ms: undefined,
    };
  }
  const [remoteP50Ms, remoteP99Ms] = quantile(remoteMs, [0.5, 0.99]);
  const [addedP50Ms, addedP99Ms] = quantile(remoteMs.map((ms, index) => ms - localMs[index]), [0.5, 0.99]);
  return { localP50Ms, localP99Ms, remoteP50Ms, remoteP99Ms, addedP50Ms, addedP99Ms };
}

/** Starts the processes, measures, and stops them. */
export async function measureClient(
  client: Client,
  daemon: Daemon | undefined,
  runtime: Runtime,
  times: BrokerTimes,
): Promise<BrokerSample> {
  const env = { BENCH_BROKER: client.name, BENCH_BROKER_PORT: String(daemon?.port ?? 0) };
  const program = { file: "broker.ts", env };
  const publisher = await Server.start(program, runtime, undefined);
  let subscriber: Server | undefined;
  let pairs: Pair[] = [];
  try {
    subscriber = daemon && await Server.start(program, runtime, undefined);
    const setting = { publisher, subscriber, daemon };
    const places = { publisher: publisher.port, subscriber: (subscriber ?? publisher).port };
    const measureBoth = async (name: "room" | "kept"): Promise<[single: Crossing, bursts: Crossing]> => {
      pairs = await openPairs(places, times.pairs, name);
      const both: [Crossing, Crossing] = [
        await measureCrossing(setting, pairs, 1, times),
        await measureCrossing(setting, pairs, BURST, times),
      ];
      closePairs(pairs);
      return both;
    };
    const [single, bursts] = await measureBoth("room");
    const [appendedSingle, appendedBursts] = await measureBoth("kept");
    const kept = { bytes: daemon && await keptBytes(daemon, "kept-0") };
    return { single, bursts, appendedSingle, appendedBursts, kept, latency: await measureLatency(places, times) };
  } finally {
    closePairs(pairs);
    await publisher.stop();
    await subscriber?.stop();
  }
}

/** The median of each figure over the rounds. */
export function medians(samples: BrokerSample[]): BrokerFigures {
  const of = <T extends object>(parts: T[]): T => {
    const middle = (key: keyof T): number | undefined => {
      const found = parts.map((part) => part[key]).filter((value) => typeof value === "number");
      return found.length > 0 ? median(found) : undefined;
    };
    return Object.fromEntries(Object.keys(parts[0]).map((key) => [key, middle(key as keyof T)])) as T;
  };
  return {
    single: of(samples.map(({ single }) => single)),
    bursts: of(samples.map(({ bursts }) => bursts)),
    appendedSingle: of(samples.map(({ appendedSingle }) => appendedSingle)),
    appendedBursts: of(samples.map(({ appendedBursts }) => appendedBursts)),
    kept: of(samples.map(({ kept }) => kept)),
    latency: of(samples.map(({ latency }) => latency)),
  };
}
