/** The slope of a series of samples: how much a figure grows in a minute, and how sure that is. */
import { linearRegression, linearRegressionLine, sampleCorrelation } from "simple-statistics";

/** A sample: the time in minutes, and the figure. */
export type Point = readonly [minutes: number, value: number];

export interface Slope {
  /** Growth in a minute. */
  readonly perMinute: number;
  /** The standard error of the growth. */
  readonly error: number;
  /** The regression line at a time in minutes. */
  readonly at: (minutes: number) => number;
}

/** Samples that lie below the highest possible correlation; at 1 the error would be infinite. */
const HIGHEST_CORRELATION = 0.99;

/**
 * The regression line through the points by least squares.
 *
 * The usual standard error takes each sample for independent of the one before. Memory is not like that: pages that an
 * engine has taken stay for minutes. The error is therefore made larger by √((1 + r) / (1 − r)), where r is the
 * correlation of each residual with the next one: so many fewer samples would say the same.
 *
 * @returns undefined when there are fewer than four points, which say nothing of their error
 */
export function slopeOf(points: readonly Point[]): Slope | undefined {
  const count = points.length;
  if (count < 4) return undefined;
  const regression = linearRegression(points as [number, number][]);
  const at = linearRegressionLine(regression);
  const residuals = points.map(([minutes, value]) => value - at(minutes));
  const mean = points.reduce((sum, [minutes]) => sum + minutes, 0) / count;
  const scatter = points.reduce((sum, [minutes]) => sum + (minutes - mean) ** 2, 0);
  const variance = residuals.reduce((sum, residual) => sum + residual ** 2, 0) / (count - 2);
  // Without any residual there is no correlation to compute.
  const correlation = variance < Number.EPSILON ? 0 : sampleCorrelation(residuals.slice(1), residuals.slice(0, -1));
  const r = Math.min(Math.max(Number.isNaN(correlation) ? 0 : correlation, 0), HIGHEST_CORRELATION);
  return { perMinute: regression.m, error: Math.sqrt((variance / scatter) * ((1 + r) / (1 - r))), at };
}

/**
 * True when the figure grows by more than the bound beyond doubt: the slope less two standard errors is above the
 * bound.
 */
export function growsBeyond({ perMinute, error }: Slope, bound: number): boolean {
  return perMinute - 2 * error > bound;
}
