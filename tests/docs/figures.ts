/** The figures of the last whole run of the benches, written as the pages write them. */
import type { DaemonName } from "../../bench/brokers/clients.ts";
import type { BrokerReport } from "../../bench/brokers/tables.ts";
import type { ClientName } from "../../bench/peers/broker.ts";
import type { RuntimeName } from "../../bench/shared/machine.ts";
import { isLevel } from "../../bench/shared/scatter.ts";
import { OURS } from "../../bench/sockets/peers.ts";
import { find, type Report, type Result } from "../../bench/sockets/results.ts";
import { scatterOf } from "../../bench/sockets/scatter.ts";
import { read } from "../support/repository.ts";

export const sockets: Report = JSON.parse(read("bench/results/latest.json"));
export const brokers: BrokerReport = JSON.parse(read("bench/results/brokers.json"));

/** The KiB of the kernel for one end of an idle connection, on each runtime. */
export const kernelKiB: number[] = sockets.results.filter(({ peer, cell }) => peer === OURS && cell === "idle")
  .map(({ kernelKiB }) => kernelKiB!);

/** A server in a cell of the bench. */
export function resultOf(runtime: RuntimeName, peer: string, cell: string): Result {
  const result = find(sockets.results, runtime, peer, cell);
  if (result === undefined) throw new Error(`bench/results has no figure of ${peer} in ${cell} on ${runtime}`);
  return result;
}

/** A number with two significant digits; from 100 on, a whole number with its thousands separated. */
export function short(value: number): string {
  return value >= 99.5 ? Math.round(value).toLocaleString("en") : value.toPrecision(2);
}

/** The figure of SpaceNode in a cell. */
export function ours(runtime: RuntimeName, cell: string): string {
  return `${short(resultOf(runtime, OURS, cell).figure)} ${cell === "idle" ? "KiB" : "µs"}`;
}

/**
 * How many times as much as SpaceNode in `cell` the peer takes, in the same cell or in `peerCell`, or `level` when that
 * lies within the scatter of two runs of SpaceNode.
 */
export function ratio(runtime: RuntimeName, peer: string, cell: string, peerCell: string = cell): string {
  const value = resultOf(runtime, peer, peerCell).figure / resultOf(runtime, OURS, cell).figure;
  if (isLevel(value, scatterOf(sockets.results, runtime, cell))) return "level";
  return `${value >= 9.95 ? Math.round(value) : value.toFixed(1)} ×`;
}

/** The lowest and the highest value of a client of a broker on the three runtimes, such as `134 to 155`, or `7`. */
export function spanOf(client: ClientName, value: (result: BrokerReport["results"][number]) => number): string {
  const values = brokers.results.filter((result) => result.client === client).map(value);
  const ends = [Math.min(...values), Math.max(...values)].map((each) => Math.round(each).toLocaleString("en"));
  return [...new Set(ends)].join(" to ");
}

/** The CPU time in µs of a broker's server for a message that so many processes get. */
export function fanMicros(daemon: DaemonName, processes: number): number {
  return brokers.fans.find((fan) => fan.daemon === daemon && fan.processes === processes)!.brokerMicros!;
}

/** The rows of the tables under a heading of a page, without their heads, cell by cell. */
export function rowsUnder(path: string, heading: string, text: string = read(path)): string[][] {
  const sections = text.split(/^#+ /m).filter((section) => section.startsWith(`${heading}\n`));
  if (sections.length !== 1) throw new Error(`${path} has ${sections.length} headings "${heading}"`);
  const lines = sections[0]!.split("\n");
  const isHead = (line: string | undefined): boolean => /^\| -/.test(line ?? "");
  return lines.filter((line, at) => line.startsWith("|") && !isHead(line) && !isHead(lines[at + 1]))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}
