import { show } from "./show.ts";

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
  if (typeof value !== "number") return throwInvalidOption(name, value, wanted);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${name} must be ${wanted}; got ${value}`);
  }
  return value;
}

/** @throws TypeError that says what would be right */
export function throwInvalidOption(name: string, value: unknown, wanted: string): never {
  throw new TypeError(`${name} must be ${wanted}; got ${show(value)}`);
}

/** Whether a value is an object with properties: no array, not null. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value can be awaited: `await` takes functions with a `then` for promises too. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return false;
  return typeof (value as { then?: unknown }).then === "function";
}

/** Whether a value is an Error, also one of another realm. */
export function isError(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";
}

/** The longest time that `setTimeout` takes. */
export const MAX_TIMEOUT_MS: number = 2 ** 31 - 1;

/** A misspelt option would otherwise be a limit that nobody set. */
export function checkNames(where: string, options: object, names: readonly string[]): void {
  if (!isObject(options)) throw new TypeError(`${where} takes an object of options; got ${show(options)}`);
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new TypeError(`${where} has no option ${JSON.stringify(unknown)}; it has ${names.join(", ")}`);
}
