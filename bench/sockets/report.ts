/** The text that a run prints: a line for each cell while it runs, then a table for each runtime, then the targets. */
import { digits, percent, table, times } from "../shared/format.ts";
import type { RuntimeName } from "../shared/machine.ts";
import type { Cell } from "./cells.ts";
import { OURS } from "./peers.ts";
import {
  advantage,
  cellOf,
  find,
  isGeneratorBound,
  labelOf,
  type Report,
  type Result,
  rowsOf,
  unitOf,
} from "./results.ts";
import { type Goal, targets } from "./targets.ts";

/** The figures that only some cells have: bytes on the wire with compression, and the heap of an idle connection. */
function particulars(row: Result): string {
  const { toServerBytes, toClientBytes, heapKiB } = row;
  if (heapKiB !== undefined) return `heap ${digits(heapKiB)} KiB`;
  const isCompressed = (cellOf(row.cell)?.deflate ?? "off") !== "off";
  if (!isCompressed || toServerBytes === undefined || toClientBytes === undefined) return "";
  return `${digits(toServerBytes)} B in, ${digits(toClientBytes)} B out`;
}

export function cellLine({ results, failures }: Report, runtime: RuntimeName, cell: Cell): string {
  const parts = rowsOf(results, runtime, cell.id).map((result) => {
    const spread = result.spread === undefined ? "" : ` ±${percent(result.spread)}`;
    const ratio = result.peer === OURS ? "" : ` ${times(advantage(results, result))}`;
    const bound = isGeneratorBound(result) ? " (rate set by the generator)" : "";
    const figure = `${digits(result.figure)} ${unitOf(cell.id)}`;
    const waits = cell.charts === "latency" ? ` p50 ${digits(result.p50Ms!)} p99 ${digits(result.p99Ms!)} ms` : "";
    return `${result.label} ${figure}${spread}${waits}${ratio}${bound}`;
  });
  const failed = failures.filter((failure) => failure.runtime === runtime && failure.cell === cell.id);
  const faults = new Set(failed.map(({ peer, reason }) => `${labelOf(runtime, peer)} FAILED: ${reason}`));
  return `  ${cell.id.padEnd(16)} ${[...parts, ...faults].join("  |  ")}`;
}

export function runtimeTable({ results, machine }: Report, runtime: RuntimeName): string {
  const rows = results.filter((result) => result.runtime === runtime);
  const lines = [["", "server CPU", "±", "× ours", "messages/s", "p50 ms", "p99 ms", "CPU server", "generator", ""]];
  for (const cell of new Set(rows.map((row) => row.cell))) {
    lines.push([cellOf(cell)?.title ?? cell, ...Array<string>(lines[0].length - 1).fill("")]);
    for (const row of rowsOf(results, runtime, cell)) {
      lines.push([
        `  ${row.label}`,
        `${digits(row.figure)} ${unitOf(cell)}`,
        row.spread === undefined ? "" : percent(row.spread),
        row.peer === OURS ? "" : times(advantage(results, row)),
        row.perSecond === undefined ? "" : digits(row.perSecond),
        row.p50Ms === undefined ? "" : digits(row.p50Ms),
        row.p99Ms === undefined ? "" : digits(row.p99Ms),
        row.serverShare === undefined ? "" : percent(row.serverShare),
        row.generatorShare === undefined ? "" : percent(row.generatorShare) + (isGeneratorBound(row) ? " !" : ""),
        particulars(row),
      ]);
    }
  }
  const note = rows.some(isGeneratorBound)
    ? "\n  ! the generator set the rate; the server was not busy all the time"
    : "";
  return `${runtime} ${machine.versions[runtime]}\n${table(lines)}${note}`;
}

export interface Reached {
  goal: Goal;
  /** The best of the peers, and its value divided by that of SpaceNode. */
  peer: string;
  value: number;
  isMet: boolean;
}

/**
 * Compares SpaceNode with the best of the peers that the goal names; undefined when the run did not measure both sides.
 */
export function reach(results: Result[], goal: Goal): Reached | undefined {
  const field = goal.field ?? "figure";
  const ours = find(results, goal.runtime, OURS, goal.cell)?.[field];
  const rivals = goal.against.flatMap((peer) => {
    const value = find(results, goal.runtime, peer, goal.peerCell ?? goal.cell)?.[field];
    return value === undefined ? [] : { peer, value };
  });
  const best = rivals.sort((left, right) => left.value - right.value)[0];
  if (ours === undefined || best === undefined) return undefined;
  const value = best.value / ours;
  return { goal, peer: best.peer, value, isMet: value >= goal.atLeast };
}

export function targetTable({ results }: Report): string {
  const reached = targets.flatMap((goal) => reach(results, goal) ?? []);
  if (reached.length === 0) {
    return "No target could be compared: for each one, the run left out its cell, SpaceNode or its peers.";
  }
  const rows = reached.map(({ goal, peer, value, isMet }) => [
    `${goal.runtime} ${goal.cell}${goal.field ? ` ${goal.field.slice(0, 3)}` : ""}`,
    `${labelOf(goal.runtime, peer)}${goal.peerCell ? ` (${goal.peerCell})` : ""}`,
    times(value),
    times(goal.atLeast),
    isMet ? "ok" : "below",
  ]);
  const met = reached.filter(({ isMet }) => isMet).length;
  return `Targets: ${met} of ${reached.length} reached\n${table([["", "against", "reached", "target", ""], ...rows])}`;
}
