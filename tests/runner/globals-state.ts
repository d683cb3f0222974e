/** The globals that tests and the libraries of tests may replace. */
export const guarded = [
  "Buffer",
  "Date",
  "Headers",
  "Request",
  "Response",
  "WebSocket",
  "clearInterval",
  "clearTimeout",
  "console",
  "fetch",
  "performance",
  "process",
  "queueMicrotask",
  "setImmediate",
  "setInterval",
  "setTimeout",
] as const;

const numbers = new WeakMap<object, number>();
let count = 0;

/** A number that stands for one object or function. A comparison of numbers is quick, and its error is short. */
function numberOf(value: object): number {
  const number = numbers.get(value) ?? ++count;
  numbers.set(value, number);
  return number;
}

/** Says which value each of the globals has, and whether it can be replaced. */
export function stateOf(globals: object): Record<string, string> {
  return Object.fromEntries(guarded.map((name) => {
    // Runtimes load some globals when they are read first, and change the property then.
    const value: object = Reflect.get(globals, name);
    const { writable, set } = Object.getOwnPropertyDescriptor(globals, name) ?? {};
    return [name, `value ${numberOf(value)}${writable === true || set !== undefined ? "" : ", which cannot be set"}`];
  }));
}
