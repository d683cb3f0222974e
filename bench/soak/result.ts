/** What a soak results in: all that was seen of one server. */
import type { Sample } from "./sample.ts";
import type { Leak, Plan, Traffic } from "./traffic.ts";

/** The servers that can be soaked: SpaceNode, and the control without SpaceNode. */
export type Subject = "spacenode" | "bare";

/** The first part of the traffic, in which an engine takes the memory that it goes on using. */
export const WARM_UP_SHARE = 0.25;

export interface TimedSample extends Sample {
  /** Minutes since the traffic began. */
  readonly minutes: number;
}

/** A storm of handshakes, and the cut of half of its connections. */
export interface Storm {
  /** From the first connect to the last response. */
  readonly openMs: number;
  /** From the resets until the server has no more of these connections; Infinity when it keeps some. */
  readonly goneMs: number;
}

export interface Soak {
  readonly runtime: string;
  readonly version: string;
  readonly subject: Subject;
  readonly plan: Plan;
  readonly leak: Leak | undefined;
  /** Before the first connection. */
  readonly before: Sample;
  readonly samples: TimedSample[];
  readonly traffic: Traffic;
  /** CPU time of the server as a share of the time of the traffic. */
  readonly cpuShare: number;
  readonly storms: Storm[];
  readonly heartbeat: { readonly pings: number; readonly cpuMs: number; readonly seconds: number };
  /** After the last connection was closed, and after the server was closed. */
  readonly emptied: Sample;
  readonly closed: Sample;
  /** The exit code of the server, which has to end by itself; undefined when it did not. */
  readonly exitCode: number | null | undefined;
}
