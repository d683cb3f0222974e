import { isAnyArrayBuffer } from "node:util/types";

/** A value as an error message shows it: short, and on one line. */
export function show(value: unknown): string {
  if (typeof value === "string") return quote(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (typeof value === "function") return `the function ${value.name || "(anonymous)"}`;
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return showObject(value);
  return String(value);
}

/** Control characters from outside must not reach a terminal; JSON escapes those below 0x20 only. */
function quote(text: string): string {
  return JSON.stringify(text).replace(/[\x7f-\x9f]/g, (character) => `\\x${character.charCodeAt(0).toString(16)}`);
}

/** An object may have no prototype, or one that throws. */
function showObject(value: object): string {
  try {
    return `an object (${String(value.constructor?.name ?? "no class")})`;
  } catch {
    return "an object";
  }
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

/** The bytes of a binary message, where they lie.
 *
 * @throws TypeError for anything else
 */
export function toBytes(data: unknown): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  // An ArrayBuffer of another realm is none by `instanceof`.
  if (isAnyArrayBuffer(data)) return new Uint8Array(data);
  throw new TypeError(`A message must be a string, a Buffer, an ArrayBuffer or a view of one; got ${show(data)}`);
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
