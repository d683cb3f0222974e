/** One measurement: fresh processes, messages across in two shapes, then one at a time for the latency. */
import { median, quantile } from "simple-statistics";
import type { Runtime } from "../shared/machine.ts";
import { Server } from "../shared/processes.ts";
import type { Client } from "./clients.ts";
import { closePairs, driveCrossing, driveLatency, openLatency, openPairs, type Pair, type Places } from "./crossing.ts";
import type { Daemon } from "./daemon.ts";

export interface BrokerTimes {
  pairs: number;
  seconds: number;
  warmUpSeconds: number;
}

/** What crossing costs. CPU is in µs for a message; in one process all of it is the publisher's. */
export interface Crossing {
  perSecond: number;
  publisherMicros: number;
  subscriberMicros: number | undefined;
  /** Of redis-server or nats-server, where the system shows it. */
  brokerMicros: number | undefined;
  /** How much of a core the broker used. */
  brokerShare: number | undefined;
}

/** From the publisher's write to the receiver's read, in ms. */
export interface Latency {
  localP50Ms: number;
  localP99Ms: number;
  remoteP50Ms: number | undefined;
  remoteP99Ms: number | undefined;
  /** What the way across adds to the way to a socket of the same process, message by message. */
  addedP50Ms: number | undefined;
  addedP99Ms: number | undefined;
}

export interface BrokerFigures {
  /** One message of each pair in flight. */
  single: Crossing;
  /** Sixteen of each pair, written at once. */
  bursts: Crossing;
  latency: Latency;
}

export type BrokerSample = BrokerFigures;

export const BURST = 16;

interface Setting {
  publisher: Server;
  /** Undefined when everything is in one process. */
  subscriber: Server | undefined;
  daemon: Daemon | undefined;
}

async function cpuMicros({ publisher, subscriber, daemon }: Setting): Promise<(number | undefined)[]> {
  return [await publisher.cpuMicroseconds(), await subscriber?.cpuMicroseconds(), daemon?.cpuMicroseconds()];
}

async function measureCrossing(setting: Setting, pairs: Pair[], inFlight: number, times: BrokerTimes) {
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
  const crossing: Crossing = {
    perSecond: count / seconds,
    publisherMicros: publisher!,
    subscriberMicros: subscriber,
    brokerMicros: broker,
    brokerShare: spent[2] === undefined ? undefined : spent[2] / 1e6 / seconds,
  };
  return crossing;
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

export async function measureBroker(
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
    pairs = await openPairs(places, times.pairs);
    const single = await measureCrossing(setting, pairs, 1, times);
    const bursts = await measureCrossing(setting, pairs, BURST, times);
    closePairs(pairs);
    return { single, bursts, latency: await measureLatency(places, times) };
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
    latency: of(samples.map(({ latency }) => latency)),
  };
}
