/**
 * Checks of options, and of values from outside. The error of a check names the option, its value, and what would be
 * right. The checks of numbers return the value, or a default if the option is not set.
 */
import { show } from "./show.ts";

/**
 * Checks a limit: a number of bytes or of things, from 1 on.
 *
 * @param name the name of the option, for the error message
 * @param defaultValue the result if `value` is undefined
 * @throws TypeError if the value is not a number, RangeError if it is not a whole number from 1 on
 */
export function limit(name: string, value: number | undefined, defaultValue: number): number {
  return inRange(name, value, defaultValue, 1, Number.MAX_SAFE_INTEGER);
}

/** Checks a time in milliseconds, from 1 to the longest that a timer can be set for. Throws as `limit` does. */
export function timeoutMs(name: string, value: number | undefined, defaultValue: number): number {
  return inRange(name, value, defaultValue, 1, MAX_TIMEOUT_MS);
}

/** Checks a whole number from `least` to `most`. Throws as `limit` does. */
export function inRange(
  name: string,
  value: number | undefined,
  defaultValue: number,
  least: number,
  most: number,
): number {
  if (value === undefined) return defaultValue;
  const wanted = `a whole number from ${least} to ${most}`;
  if (typeof value !== "number") return throwInvalidOption(name, value, wanted);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${name} must be ${wanted}; got ${value}`);
  }
  return value;
}

/**
 * Refuses an option.
 *
 * @param wanted what would be right, such as "true or false"
 * @throws TypeError always
 */
export function throwInvalidOption(name: string, value: unknown, wanted: string): never {
  throw new TypeError(`${name} must be ${wanted}; got ${show(value)}`);
}

/** Whether a value is an object, and neither null nor an array nor a function. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value is a promise for `await`: any object or function with a method `then`. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return false;
  return typeof (value as { then?: unknown }).then === "function";
}

/**
 * Whether a predicate of the application has answered `true`. A promise, which an async predicate returns by mistake,
 * is not `true`. Its rejection is ignored, because it would end the process.
 */
export function isTrue(answer: unknown): boolean {
  if (isPromise(answer)) answer.then(undefined, () => {});
  return answer === true;
}

/** Whether a value is an Error, of this realm or of another. */
export function isError(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";
}

/** The longest time, in milliseconds, that `setTimeout` accepts. */
export const MAX_TIMEOUT_MS: number = 2 ** 31 - 1;

/**
 * Refuses options with unknown names. A misspelt option would otherwise be ignored, and the limit that it was to set
 * would not hold.
 *
 * @param where the function that takes the options, for the error message
 * @param names all names that are allowed
 * @throws TypeError if `options` is not an object, or has an unknown name
 */
export function checkNames(where: string, options: object, names: readonly string[]): void {
  if (!isObject(options)) throw new TypeError(`${where} takes an object of options; got ${show(options)}`);
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new TypeError(`${where} has no option ${JSON.stringify(unknown)}; it has ${names.join(", ")}`);
}
