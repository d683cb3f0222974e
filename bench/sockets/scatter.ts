/** The scatter of the ratios of one cell. */
import { max, median } from "simple-statistics";
import type { RuntimeName } from "../shared/machine.ts";
import { scatterOfPairs } from "../shared/scatter.ts";
import { AGAIN, OURS } from "./peers.ts";
import { find, type Result } from "./results.ts";

export type Field = "figure" | "p50Ms" | "p99Ms";

function scatterOfCell(results: Result[], runtime: RuntimeName, cell: string, field: Field): number | undefined {
  const valuesOf = (peer: string): number[] =>
    (find(results, runtime, peer, cell)?.samples ?? []).flatMap((sample) => sample[field] ?? []);
  return scatterOfPairs(valuesOf(OURS), valuesOf(AGAIN));
}

/**
 * The scatter of a cell's ratios. It is at least the median of all cells of the runtime, because two runs may agree by
 * chance. Undefined when SpaceNode was not measured twice.
 */
export function scatterOf(
  results: Result[],
  runtime: RuntimeName,
  cell: string,
  field: Field = "figure",
): number | undefined {
  const own = scatterOfCell(results, runtime, cell, field);
  if (own === undefined) return undefined;
  const ours = results.filter((result) => result.runtime === runtime && result.peer === OURS);
  return max([own, median(ours.flatMap((result) => scatterOfCell(results, runtime, result.cell, field) ?? []))]);
}
