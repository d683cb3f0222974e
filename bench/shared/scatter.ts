/**
 * The scatter of a ratio: SpaceNode is measured twice in each round, and a ratio of two servers says nothing as long as
 * two runs of the same build lie as far apart.
 */
import { rootMeanSquare } from "simple-statistics";
import { times } from "./format.ts";

/**
 * Two standard errors of the ratio of two runs of the same build, as a share of the ratio: 0.04 means that the ratio
 * was found to within 4 %. The true ratio is 1, so that even a single round has an error. Undefined without a pair.
 */
export function scatterOfPairs(first: number[], second: number[]): number | undefined {
  const rounds = Math.min(first.length, second.length);
  const errors = first.slice(0, rounds).map((value, round) => Math.log(value / second[round]));
  if (errors.length === 0 || !errors.every(Number.isFinite)) return undefined;
  return Math.exp(2 * rootMeanSquare(errors) / Math.sqrt(rounds)) - 1;
}

/** True when the ratio is no farther from 1 than two runs of the same build may be. */
export function isLevel(ratio: number, scatter: number | undefined): boolean {
  return scatter !== undefined && Math.abs(Math.log(ratio)) <= Math.log(1 + scatter);
}

/** A ratio with its scatter, such as `1.25 ± 0.04 ×`, or `level, 1.03 ± 0.04 ×`; empty when it is undefined. */
export function ratioText(ratio: number | undefined, scatter: number | undefined): string {
  if (ratio === undefined || scatter === undefined) return times(ratio);
  const decimals = ratio >= 10 ? 1 : 2;
  const text = `${ratio.toFixed(decimals)} ± ${(ratio * scatter).toFixed(decimals)} ×`;
  return isLevel(ratio, scatter) ? `level, ${text}` : text;
}
