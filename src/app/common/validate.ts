import { MAX_TIMEOUT_MS, show } from "./show.ts";

/*
 * Checks of options. Each gives the value, or what is set when there is none; a wrong one is refused with its name, itself, and what would be right.
 */

/** A number of bytes or of things. */
export function limit(name: string, value: number | undefined, otherwise: number): number {
  return inRange(name, value, otherwise, 1, Number.MAX_SAFE_INTEGER);
}

/** A time that a timer can be set for. */
export function timeoutMs(name: string, value: number | undefined, otherwise: number): number {
  return inRange(name, value, otherwise, 1, MAX_TIMEOUT_MS);
}

/** A whole number from `least` to `most`. */
export function inRange(
  name: string,
  value: number | undefined,
  otherwise: number,
  least: number,
  most: number,
): number {
  if (value === undefined) return otherwise;
  const wanted = `a whole number from ${least} to ${most}`;
  if (typeof value !== "number") return fail(name, value, wanted);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${name} must be ${wanted}; got ${value}`);
  }
  return value;
}

/** @throws TypeError that says what would be right */
export function fail(name: string, value: unknown, wanted: string): never {
  throw new TypeError(`${name} must be ${wanted}; got ${show(value)}`);
}
