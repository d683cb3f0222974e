import { expect, test } from "vitest";
import { isObject, isPromise } from "../../../src/app/common/validate.ts";

class Chat {}

test.each<[unknown, boolean]>([
  [{}, true],
  [new Chat(), true],
  [Object.create(null), true],
  [[], false],
  [null, false],
  [undefined, false],
  ["x", false],
  [() => {}, false],
])("an object with properties: %o, %s", (value, expected) => {
  expect(isObject(value)).toBe(expected);
});

test.each<[unknown, boolean]>([
  [Promise.resolve(), true],
  [{ then() {} }, true],
  [{ then: 1 }, false],
  [{}, false],
  [null, false],
  [undefined, false],
  ["then", false],
])("can be awaited: %o, %s", (value, expected) => {
  expect(isPromise(value)).toBe(expected);
});
