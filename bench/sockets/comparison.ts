/** This checkout beside another one, its base: what a cell costs here as a ratio of what it costs there. */
import { max, median, min } from "simple-statistics";
import { digits, table } from "../shared/format.ts";
import type { RuntimeName } from "../shared/machine.ts";
import { isLevel } from "../shared/scatter.ts";
import type { Cell } from "./cell.ts";
import { cells } from "./cells.ts";
import { BASE, OURS } from "./peers.ts";
import { find, type Report, type Result, unitOf } from "./results.ts";
import { type Field, scatterOf } from "./scatter.ts";

/** With fewer rounds than this, all of them agree too often by chance. */
const ROUNDS_FOR_VERDICT = 3;

/** In words, what the ratio of a cell says; `scatter` is that of two runs of the same build. */
export function verdictOf(ratios: number[], scatter: number | undefined): string {
  const ratio = median(ratios);
  if (isLevel(ratio, scatter)) return "level";
  const isSure = ratios.length >= ROUNDS_FOR_VERDICT;
  const agree = isSure && (min(ratios) > 1 || max(ratios) < 1);
  if (scatter === undefined && !agree) return "";
  return `${ratio > 1 ? "more" : "less"}${agree ? " in every round" : ""}`;
}

function row(cell: Cell, field: Field, base: Result, ours: Result, scatter: number | undefined): string[] {
  const valuesOf = ({ samples }: Result): number[] => samples.map((sample) => sample[field]!);
  const [here, there] = [valuesOf(ours), valuesOf(base)];
  // The two checkouts take turns within a round, so whatever disturbs a round disturbs both: each round is a ratio of
  // its own.
  const ratios = here.map((value, round) => value / there[round]);
  const ratio = median(ratios);
  const unit = field === "p50Ms" ? "ms" : unitOf(cell.id);
  return [
    field === "p50Ms" ? `${cell.id} p50` : cell.id,
    `${digits(median(there))} ${unit}`,
    `${digits(median(here))} ${unit}`,
    ratio.toFixed(3),
    scatter === undefined ? "" : `± ${(ratio * scatter).toFixed(3)}`,
    ...[min(ratios), max(ratios), min(here) / min(there)].map((each) => each.toFixed(3)),
    verdictOf(ratios, scatter),
  ];
}

/** A table of one runtime's cells. A cell in which a round failed is left out: its rounds are no longer pairs. */
export function comparisonTable({ results, rounds }: Report, runtime: RuntimeName): string {
  const rows = cells.flatMap((cell) => {
    const base = find(results, runtime, BASE, cell.id);
    const ours = find(results, runtime, OURS, cell.id);
    if (base?.samples.length !== rounds || ours?.samples.length !== rounds) return [];
    const fields: Field[] = cell.charts === "latency" ? ["figure", "p50Ms"] : ["figure"];
    return fields.map((field) => row(cell, field, base, ours, scatterOf(results, runtime, cell.id, field)));
  });
  const heading = ["", "base", "here", "here ÷ base", "", "from", "to", "lowest ÷ lowest", ""];
  const chance = rounds < ROUNDS_FOR_VERDICT
    ? ""
    : `\n  By chance alone, ${rounds} rounds agree in 1 of ${2 ** (rounds - 1)} cells.` +
      " Measure such a cell again, with more rounds.";
  return `${runtime}: the median of the rounds' ratios; above 1, this checkout takes more than its base\n` +
    "  level: the ratio lies within ±, the scatter of two runs of the same build\n" +
    `${table([heading, ...rows])}${chance}`;
}
