import { expect, test } from "vitest";
import { guarded, stateOf } from "./globals-state.ts";

/** An object with the guarded globals, some of them replaced. */
function globalsWith(others: PropertyDescriptorMap): object {
  const own = Object.fromEntries(guarded.map((name) => [name, Reflect.get(globalThis, name)]));
  return Object.defineProperties(own, others);
}

test("the state of the same globals is the same", () => {
  expect(stateOf(globalsWith({}))).toEqual(stateOf(globalsWith({})));
});

test.each<[string, PropertyDescriptorMap]>([
  ["another class", { Response: { value: class {} } }],
  ["another function", { setTimeout: { value: () => {} } }],
  ["the same value, which cannot be set any more", { Response: { value: Response, writable: false } }],
  ["the same value behind a getter alone", { Response: { get: () => Response } }],
])("the state shows %s", (_what, others) => {
  const before = stateOf(globalsWith({}));
  const after = stateOf(globalsWith(others));
  expect(guarded.filter((name) => before[name] !== after[name])).toEqual(Object.keys(others));
});
