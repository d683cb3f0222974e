/** This checkout beside another one, its base: what a cell costs here as a ratio of what it costs there. */
import { max, median, min } from "simple-statistics";
import { digits, table } from "../shared/format.ts";
import type { RuntimeName } from "../shared/machine.ts";
import { type Cell, cells } from "./cells.ts";
import { BASE, OURS } from "./peers.ts";
import { find, type Report, type Result, unitOf } from "./results.ts";

type Field = "figure" | "p50Ms";

/** With fewer rounds than this, all of them agree too often by chance. */
const ROUNDS_FOR_VERDICT = 3;

function row(cell: Cell, field: Field, base: Result, ours: Result): string[] {
  const valuesOf = ({ samples }: Result): number[] => samples.map((sample) => sample[field]!);
  const [here, there] = [valuesOf(ours), valuesOf(base)];
  // The two checkouts take turns within a round, so whatever disturbs a round disturbs both: each round is a ratio of
  // its own.
  const ratios = here.map((value, round) => value / there[round]);
  const [lowest, highest] = [min(ratios), max(ratios)];
  const verdict = lowest > 1 ? "more in every round" : highest < 1 ? "less in every round" : "";
  const unit = field === "p50Ms" ? "ms" : unitOf(cell.id);
  return [
    field === "p50Ms" ? `${cell.id} p50` : cell.id,
    `${digits(median(there))} ${unit}`,
    `${digits(median(here))} ${unit}`,
    ...[median(ratios), lowest, highest, min(here) / min(there)].map((ratio) => ratio.toFixed(3)),
    ratios.length < ROUNDS_FOR_VERDICT ? "" : verdict,
  ];
}

/** A table of one runtime's cells. A cell in which a round failed is left out: its rounds are no longer pairs. */
export function comparisonTable({ results, rounds }: Report, runtime: RuntimeName): string {
  const rows = cells.flatMap((cell) => {
    const base = find(results, runtime, BASE, cell.id);
    const ours = find(results, runtime, OURS, cell.id);
    if (base?.samples.length !== rounds || ours?.samples.length !== rounds) return [];
    const fields: Field[] = cell.charts === "latency" ? ["figure", "p50Ms"] : ["figure"];
    return fields.map((field) => row(cell, field, base, ours));
  });
  const heading = ["", "base", "here", "here ÷ base", "from", "to", "lowest ÷ lowest", ""];
  const chance = rounds < ROUNDS_FOR_VERDICT
    ? ""
    : `\n  By chance alone, ${rounds} rounds agree in 1 of ${2 ** (rounds - 1)} cells.` +
      " Measure such a cell again, with more rounds.";
  return `${runtime}: the median of the rounds' ratios; above 1, this checkout takes more than its base\n` +
    `${table([heading, ...rows])}${chance}`;
}
