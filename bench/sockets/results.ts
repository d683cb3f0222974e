/** The results of a run: how they are made from samples, looked up and compared. */
import { max, median, min } from "simple-statistics";
import type { Machine, RuntimeName } from "../shared/machine.ts";
import type { Cell } from "./cell.ts";
import { cells } from "./cells.ts";
import type { Sample, Times } from "./measure-cell.ts";
import { AGAIN, OURS, type Peer, peers } from "./peers.ts";

/**
 * Each field of a sample is here the median of the rounds, but with `--lowest` the figure is that of the lowest round.
 */
export interface Result extends Sample {
  runtime: RuntimeName;
  peer: string;
  cell: string;
  /** Half the distance from the lowest round to the highest, as a share of the figure; undefined after one round. */
  spread: number | undefined;
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
  /** The checkout that `--base` names. */
  base?: { folder: string; commit: string };
  rounds: number;
  lowest: boolean;
  times: Times;
  results: Result[];
  failures: Failure[];
}

/** The median of a field over the samples that have it. */
function middle(samples: Sample[], field: keyof Sample): number | undefined {
  const values = samples.map((sample) => sample[field]).filter((value) => value !== undefined);
  return values.length > 0 ? median(values) : undefined;
}

/** @param lowest takes the figure of the lowest round, because on a machine that others use, they can only add to it */
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
    kernelKiB: middle(samples, "kernelKiB"),
    samples,
  };
}

export function find(results: Result[], runtime: RuntimeName, peer: string, cell: string): Result | undefined {
  return results.find((result) => result.runtime === runtime && result.peer === peer && result.cell === cell);
}

export type Row = Result & { label: string };

/**
 * The results of a cell, the best first, without the second run of SpaceNode. For a peer that cannot do what the cell
 * measures, its result in the cell `elsewhere` is taken.
 */
export function rowsOf(results: Result[], runtime: RuntimeName, id: string): Row[] {
  const of = (cell: string | undefined): Result[] =>
    results.filter((result) => result.runtime === runtime && result.cell === cell && result.peer !== AGAIN);
  const cell = cellOf(id);
  const isCompressed = cell !== undefined && cell.deflate !== "off";
  const name = ({ peer }: Result): string => labelOf(runtime, peer, isCompressed);
  const own = of(id).map((result) => ({ ...result, label: name(result) }));
  const others = own.length === 0 ? [] : of(cell?.elsewhere)
    .filter(({ peer }) => !own.some((row) => row.peer === peer))
    .map((result) => ({ ...result, cell: id, label: `${name(result)}, loop` }));
  return [...own, ...others].sort((left, right) => left.figure - right.figure);
}

/**
 * The figure of this result divided by that of SpaceNode: how many times the CPU or the memory of SpaceNode it takes.
 */
export function advantage(results: Result[], { runtime, cell, figure }: Result): number | undefined {
  const ours = find(results, runtime, OURS, cell);
  return ours && figure / ours.figure;
}

/** True when the generator set the rate, and not the server. The CPU for each message is valid all the same. */
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
