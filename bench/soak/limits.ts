/** Whether this machine lets two processes have as many connections as a soak takes. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { refuse } from "../shared/options.ts";
import type { Plan } from "./traffic.ts";

/** Files that a process has open beside its connections, and connections that overlap with their successors. */
const SPARE_FILES = 300;
/** On Linux the load connects from this many addresses of the loopback, see `load/connection.ts`. */
const SOURCE_ADDRESSES = process.platform === "linux" ? 250 : 1;
/** A port stays occupied for a minute after its connection was closed. */
const PORT_SHARE = 0.5;

/** What this machine allows; Infinity where that is not known. */
export interface Limits {
  /** Files that one process may open: the hard limit, up to which the soak raises its own. */
  readonly files: number;
  /** Local ports for connections from one address. */
  readonly ports: number;
}

function numbersOf(read: () => string): number[] {
  try {
    return read().trim().split(/\s+/).map(Number).filter((number) => !Number.isNaN(number));
  } catch {
    return [];
  }
}

export function findLimits(): Limits {
  const [files = Infinity] = numbersOf(() => execFileSync("sh", ["-c", "ulimit -H -n"], { encoding: "utf8" }));
  const [first, last] = numbersOf(() => readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8"));
  return { files, ports: last === undefined ? Infinity : last - first + 1 };
}

/** What a soak takes more of than the machine has, in words; undefined when the limits are high enough. */
export function shortage({ idle, busy, storm }: Plan, { files, ports }: Limits): string | undefined {
  const connections = idle + busy + storm;
  const needed = connections + SPARE_FILES;
  if (files < needed) {
    return `A process may open ${files} files here, and the soak needs ${needed}. Raise the hard limit (ulimit -H -n), ` +
      "or take fewer connections: --quick, or --idle, --busy and --storm";
  }
  const usable = Math.floor(ports * SOURCE_ADDRESSES * PORT_SHARE);
  if (usable < connections) {
    return `The load has ${usable} local ports here, and the soak needs ${connections}. Widen the range ` +
      "(net.ipv4.ip_local_port_range), or take fewer connections: --quick, or --idle, --busy and --storm";
  }
  return undefined;
}

/** Ends the program with a message when the machine's limits are too low. */
export function checkLimits(plan: Plan): void {
  const problem = shortage(plan, findLimits());
  if (problem !== undefined) refuse(problem);
}
