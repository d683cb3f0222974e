/** The table of the targets: which of them a run has reached, and which it has missed by less than its scatter. */
import { digits, table, times } from "../shared/format.ts";
import { ratioText } from "../shared/scatter.ts";
import { OURS } from "./peers.ts";
import { find, labelOf, type Report, type Result } from "./results.ts";
import { scatterOf } from "./scatter.ts";
import { type Goal, targets } from "./targets.ts";

export interface Reached {
  goal: Goal;
  /** The best of the peers, and its value divided by that of SpaceNode. */
  peer: string;
  value: number;
  /** How far SpaceNode lies above the peer, in the unit of the cell. */
  above: number;
  /** The scatter of `value` as a share of it; undefined when SpaceNode was not measured twice. */
  scatter: number | undefined;
  /** `near` is a target that is missed by no more than the scatter. */
  verdict: "reached" | "near" | "missed";
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
  const scatter = scatterOf(results, goal.runtime, goal.cell, field);
  const above = ours - best.value;
  const isReached = (figure: number): boolean =>
    goal.atMostAboveKiB === undefined
      ? best.value / figure >= goal.atLeast
      : figure - best.value <= goal.atMostAboveKiB;
  const verdict = isReached(ours) ? "reached" : isReached(ours / (1 + (scatter ?? 0))) ? "near" : "missed";
  return { goal, peer: best.peer, value, above, scatter, verdict };
}

const VERDICTS = { reached: "ok", near: "missed within the scatter", missed: "below" };

export function targetTable({ results }: Report): string {
  const all = targets.flatMap((goal) => reach(results, goal) ?? []);
  if (all.length === 0) {
    return "No target could be compared: for each one, the run left out its cell, SpaceNode or its peers.";
  }
  const rows = all.map(({ goal, peer, value, above, scatter, verdict }) => [
    `${goal.runtime} ${goal.cell}${goal.field ? ` ${goal.field.slice(0, 3)}` : ""}`,
    `${labelOf(goal.runtime, peer)}${goal.peerCell ? ` (${goal.peerCell})` : ""}`,
    goal.atMostAboveKiB === undefined ? ratioText(value, scatter) : `${digits(above)} KiB above`,
    goal.atMostAboveKiB === undefined ? times(goal.atLeast) : `at most ${goal.atMostAboveKiB} KiB above`,
    VERDICTS[verdict],
  ]);
  const count = (wanted: Reached["verdict"]): number => all.filter(({ verdict }) => verdict === wanted).length;
  return `Targets: ${count("reached")} of ${all.length} reached, ${count("near")} missed within the scatter\n` +
    table([["", "against", "reached", "target", ""], ...rows]);
}
