/** What has to hold after a soak. Each check has a figure and a bound, and can fail. */
import { digits, percent } from "../shared/format.ts";
import type { Sample } from "./sample.ts";
import { type Plan, ratesOf } from "./traffic.ts";
import { growsBeyond, type Point, type Slope, slopeOf } from "./slope.ts";
import { type Soak, WARM_UP_SHARE } from "./result.ts";

const MIB = 2 ** 20;

export interface Check {
  readonly name: string;
  readonly figure: string;
  readonly bound: string;
  readonly holds: boolean;
}

interface MemoryKind {
  readonly bytes: (sample: Sample) => number;
  /** How many MiB it may grow in a minute; no bound where it is only shown. */
  readonly boundOf?: (plan: Plan) => number;
}

/**
 * The kinds of memory that are sampled. RSS itself has no bound: on Node and Deno it grows for as long as V8 gives the
 * young generation more room, up to some 50 MiB, and that takes most of an hour's traffic. Outside the heap it may grow
 * by 10 MiB in an hour's traffic, however short the time.
 */
export const MEMORIES = {
  heap: { bytes: (sample) => sample.heapBytes, boundOf: () => 0.5 },
  external: { bytes: (sample) => sample.externalBytes, boundOf: () => 0.5 },
  RSS: { bytes: (sample) => sample.residentBytes },
  "RSS outside the heap": {
    bytes: (sample) => sample.residentBytes - sample.reservedBytes,
    boundOf: ({ hours, minutes }) => (10 * hours) / minutes,
  },
} as const satisfies Readonly<Record<string, MemoryKind>>;
export type Memory = keyof typeof MEMORIES;

/** The samples of a kind of memory in MiB. */
export function pointsOf({ samples }: Soak, memory: Memory): Point[] {
  return samples.map((sample) => [sample.minutes, MEMORIES[memory].bytes(sample) / MIB]);
}

/**
 * The slope in MiB a minute, after the warm-up or in another part of the traffic.
 *
 * @param from where the part begins, as a share of the traffic
 * @param to where the part ends
 * @returns undefined when there are too few samples
 */
export function memorySlope(soak: Soak, memory: Memory, from: number = WARM_UP_SHARE, to = 1): Slope | undefined {
  const points = pointsOf(soak, memory);
  const [minutes] = points.at(-1)!;
  return slopeOf(points.filter(([at]) => at >= from * minutes && at <= to * minutes));
}

export function slopeText({ perMinute, error }: Slope): string {
  return `${perMinute < 0 ? "−" : "+"}${Math.abs(perMinute).toFixed(2)} ± ${error.toFixed(2)}`;
}

/** Traffic that a busy machine may leave out. A soak that sends less than the rest proves too little. */
const LEAST_SENT = 0.1;

/** The messages that the load would send in the time of the traffic if the machine were fast enough. */
export function plannedMessages({ plan }: Soak): number {
  return ratesOf(plan).messagesPerSecond * plan.minutes * 60;
}

function sentEnough(soak: Soak): Check {
  const share = soak.traffic.sent / plannedMessages(soak);
  return {
    name: "share of the planned messages that were sent",
    figure: percent(share),
    bound: `≥ ${percent(LEAST_SENT)}`,
    holds: share >= LEAST_SENT,
  };
}

function atMost(name: string, figure: number, bound: number, unit = ""): Check {
  return { name, figure: `${digits(figure)}${unit}`, bound: `≤ ${digits(bound)}${unit}`, holds: figure <= bound };
}

/** A check of a figure that some systems cannot tell. */
function atMostIfKnown(name: string, figure: number | undefined, usual: number | undefined, more: number): Check[] {
  return figure === undefined || usual === undefined ? [] : [atMost(name, figure, usual + more)];
}

function memoryCheck(soak: Soak, name: Memory): Check[] {
  const { boundOf }: MemoryKind = MEMORIES[name];
  if (boundOf === undefined) return [];
  const slope = memorySlope(soak, name);
  const bound = boundOf(soak.plan);
  return [{
    name: `${name}, MiB a minute`,
    figure: slope === undefined ? "too few samples" : slopeText(slope),
    bound: `less 2 errors ≤ ${digits(bound)}`,
    holds: slope !== undefined && !growsBeyond(slope, bound),
  }];
}

/** A collector that is conservative, such as Bun's, may take a number on the stack for a reference. */
const STRAY_SHARE = 0.01;
/** Timers and files that a runtime may take for itself. */
const OF_THE_RUNTIME = 10;
/** Timers that happen to run when a sample is taken. */
const PASSING_TIMERS = 20;
/** These are generous: a machine that does nothing else takes a hundredth part. */
const STORM_MS = 20_000;
const GONE_MS = 10_000;
const HEARTBEAT_PERCENT = 10;

/** What was left to the traffic itself: memory, and what belongs to connections. */
function duringTraffic(soak: Soak): Check[] {
  const { before, samples, traffic, plan } = soak;
  const last = samples.at(-1)!;
  const first = samples[Math.floor(samples.length * WARM_UP_SHARE)];
  const ofOneConnection = (first.listeners - before.listeners) / first.connections;
  const expectedListeners = before.listeners + ofOneConnection * last.connections;
  return [
    sentEnough(soak),
    ...(Object.keys(MEMORIES) as Memory[]).flatMap((name) => memoryCheck(soak, name)),
    atMost("listeners without a connection", last.listeners - expectedListeners, 0.01 * last.connections),
    ...atMostIfKnown("timers under traffic", last.timers, first.timers, PASSING_TIMERS),
    // A busy connection is in one topic at most, and the idle ones share one.
    atMost("topics under traffic", last.topics, plan.busy + 1),
    atMost("faults of the load", traffic.faults, 0),
  ];
}

function inStorms({ storms, heartbeat, plan }: Soak): Check[] {
  const slowest = Math.max(...storms.map(({ openMs }) => openMs));
  const longest = Math.max(...storms.map(({ goneMs }) => goneMs));
  return [
    atMost(`storm of ${digits(plan.storm)}, slowest of ${storms.length}`, slowest, STORM_MS, " ms"),
    atMost(`${digits(plan.storm / 2)} cut at once, gone after`, longest, GONE_MS, " ms"),
    atMost("heartbeat, CPU of a core", heartbeat.cpuMs / heartbeat.seconds / 10, HEARTBEAT_PERCENT, " %"),
  ];
}

function atTheEnd({ before, emptied, closed, exitCode }: Soak): Check[] {
  return [
    atMost("connections at the end", emptied.connections, 0),
    atMost("topics at the end", emptied.topics, 0),
    atMost("sockets that something still refers to", emptied.aliveSockets, Math.ceil(STRAY_SHARE * emptied.accepted)),
    atMost("listeners after close", closed.listeners, before.listeners),
    ...atMostIfKnown("timers after close", closed.timers, before.timers, OF_THE_RUNTIME),
    ...atMostIfKnown("open files after close", closed.files, before.files, OF_THE_RUNTIME),
    {
      name: "the process ends by itself",
      figure: exitCode === undefined ? "killed" : `exit code ${exitCode}`,
      bound: "exit code 0",
      holds: exitCode === 0,
    },
  ];
}

/** All checks of a soak. */
export function checksOf(soak: Soak): Check[] {
  return [...duringTraffic(soak), ...inStorms(soak), ...atTheEnd(soak)];
}

/** The names of the checks that failed. */
export function failuresOf(soak: Soak): string[] {
  return checksOf(soak).filter(({ holds }) => !holds).map(({ name }) => name);
}
