/** What a run yields, and how its numbers are looked up and compared. */
import { max, median, min } from "simple-statistics";
import type { Machine, RuntimeName } from "../shared/machine.ts";
import { type Cell, cells } from "./cells.ts";
import type { Sample, Times } from "./measure-cell.ts";
import { OURS, type Peer, peers } from "./peers.ts";

export interface Result {
  runtime: RuntimeName;
  peer: string;
  cell: string;
  /** Median of the rounds (the lowest with `--lowest`): server CPU in µs for a message, or KiB for an idle connection. */
  figure: number;
  /** Half the distance from the lowest round to the highest, as a share of the figure; undefined after one round. */
  spread: number | undefined;
  perSecond: number | undefined;
  p50Ms: number | undefined;
  p99Ms: number | undefined;
  generatorShare: number | undefined;
  serverShare: number | undefined;
  toServerBytes: number | undefined;
  toClientBytes: number | undefined;
  heapKiB: number | undefined;
  samples: Sample[];
}

export interface Failure {
  runtime: RuntimeName;
  peer: string;
  cell: string;
  reason: string;
}

export interface Report {
  date: string;
  machine: Machine;
  /** The other checkout that `--base` names. */
  base?: { folder: string; commit: string };
  rounds: number;
  lowest: boolean;
  times: Times;
  results: Result[];
  failures: Failure[];
}

function middle(samples: Sample[], field: keyof Sample): number | undefined {
  const values = samples.map((sample) => sample[field]).filter((value) => value !== undefined);
  return values.length > 0 ? median(values) : undefined;
}

/** `lowest` takes the best round for the figure: on a machine that others use, their share only ever adds. */
export function summarise(peer: Peer, cell: Cell, samples: Sample[], lowest: boolean): Result {
  const figures = samples.map(({ figure }) => figure);
  const figure = lowest ? min(figures) : median(figures);
  return {
    runtime: peer.runtime,
    peer: peer.id,
    cell: cell.id,
    figure,
    spread: figures.length > 1 ? (max(figures) - min(figures)) / 2 / figure : undefined,
    perSecond: middle(samples, "perSecond"),
    p50Ms: middle(samples, "p50Ms"),
    p99Ms: middle(samples, "p99Ms"),
    generatorShare: middle(samples, "generatorShare"),
    serverShare: middle(samples, "serverShare"),
    toServerBytes: middle(samples, "toServerBytes"),
    toClientBytes: middle(samples, "toClientBytes"),
    heapKiB: middle(samples, "heapKiB"),
    samples,
  };
}

export function find(results: Result[], runtime: RuntimeName, peer: string, cell: string): Result | undefined {
  return results.find((result) => result.runtime === runtime && result.peer === peer && result.cell === cell);
}

export type Row = Result & { label: string };

/** A cell's results, the best first. Peers that cannot do what it measures stand in it with what they do instead. */
export function rowsOf(results: Result[], runtime: RuntimeName, id: string): Row[] {
  const of = (cell: string | undefined): Result[] =>
    results.filter((result) => result.runtime === runtime && result.cell === cell);
  const cell = cellOf(id);
  const isCompressed = cell !== undefined && cell.deflate !== "off";
  const name = ({ peer }: Result): string => labelOf(runtime, peer, isCompressed);
  const own = of(id).map((result) => ({ ...result, label: name(result) }));
  const others = own.length === 0 ? [] : of(cell?.elsewhere)
    .filter(({ peer }) => !own.some((row) => row.peer === peer))
    .map((result) => ({ ...result, cell: id, label: `${name(result)}, loop` }));
  return [...own, ...others].sort((left, right) => left.figure - right.figure);
}

/** How many times less CPU (or memory) ours takes than this result. */
export function advantage(results: Result[], { runtime, cell, figure }: Result): number | undefined {
  const ours = find(results, runtime, OURS, cell);
  return ours && figure / ours.figure;
}

/** The rate was the generator's doing, not the server's. The CPU per message stands all the same. */
export function isGeneratorBound({ generatorShare = 0, serverShare = 1 }: Result): boolean {
  return generatorShare > 0.9 && serverShare < 0.9;
}

export function labelOf(runtime: RuntimeName, id: string, isCompressed = false): string {
  const peer = peers.find((each) => each.runtime === runtime && each.id === id);
  return (isCompressed ? peer?.deflateLabel : undefined) ?? peer?.label ?? id;
}

export function cellOf(id: string): Cell | undefined {
  return cells.find((cell) => cell.id === id);
}

export function unitOf(cell: string): string {
  return cellOf(cell)?.work === "idle" ? "KiB" : "µs";
}
