import { setImmediate as nextTurn } from "node:timers/promises";
import { runInNewContext } from "node:vm";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import {
  checkNames,
  inRange,
  isError,
  isObject,
  isPromise,
  isTrue,
  limit,
  MAX_TIMEOUT_MS,
  throwInvalidOption,
  timeoutMs,
} from "../../../src/app/common/validate.ts";

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
])("isObject(%o) is %s", (value, expected) => {
  expect(isObject(value)).toBe(expected);
});

test.each<[unknown, boolean]>([
  [Promise.resolve(), true],
  [{ then() {} }, true],
  [Object.assign(() => {}, { then() {} }), true],
  [{ then: 1 }, false],
  [{}, false],
  [null, false],
  [undefined, false],
  ["then", false],
])("isPromise(%o) is %s", (value, expected) => {
  expect(isPromise(value)).toBe(expected);
});

test.each<[name: string, value: unknown, expected: boolean]>([
  ["an Error", new Error("x"), true],
  ["an instance of a subclass", new RangeError("x"), true],
  ["an Error of another realm", runInNewContext("new TypeError('x')"), true],
  ["an object with the members of an Error", { name: "Error", message: "x", stack: "" }, false],
  ["a text", "Error", false],
  ["null", null, false],
])("isError tells %s: %o is %s", (_name, value, expected) => {
  expect(isError(value)).toBe(expected);
});

test.each<[string, unknown, boolean]>([
  ["true", true, true],
  ["false", false, false],
  ["a truthy value", 1, false],
  ["nothing", undefined, false],
  ["a promise of true", Promise.resolve(true), false],
])("isTrue tells %s: %o is %s", (_name, answer, expected) => {
  expect(isTrue(answer)).toBe(expected);
});

describe.each<[name: string, check: (value: number | undefined) => number, most: number]>([
  ["limit", (value) => limit("maxThings", value, 7), Number.MAX_SAFE_INTEGER],
  ["timeoutMs", (value) => timeoutMs("maxThings", value, 7), 2 ** 31 - 1],
  ["inRange", (value) => inRange("maxThings", value, 7, 1, 15), 15],
])("%s", (_name, check, most) => {
  test("gives the default for undefined, even if the default is out of range", () => {
    expect(check(undefined)).toBe(7);
    expect(limit("maxThings", undefined, Infinity)).toBe(Infinity);
  });

  test("gives a whole number from 1 to its largest value", () => {
    expect([check(1), check(most)]).toEqual([1, most]);
  });

  test.each([0, -1, 1.5, NaN, Infinity])(
    "refuses %d with a RangeError that names the option and the range",
    (value) => {
      const message = `maxThings must be a whole number from 1 to ${most}; got ${value}`;
      expect(() => check(value)).toThrow(new RangeError(message));
    },
  );

  test("refuses a number above its largest value", () => {
    expect(() => check(most + 1)).toThrow(RangeError);
  });

  test.each([["5", '"5"'], [null, "null"], [5n, "5"], [{}, "an object (Object)"]])(
    "refuses %o with a TypeError",
    (value, shown) => {
      const message = `maxThings must be a whole number from 1 to ${most}; got ${shown}`;
      expect(() => check(value as number)).toThrow(new TypeError(message));
    },
  );
});

test("MAX_TIMEOUT_MS is the longest time of setTimeout", () => {
  expect(MAX_TIMEOUT_MS).toBe(2_147_483_647);
});

test("throwInvalidOption names the option, what would be right, and the value", () => {
  expect(() => throwInvalidOption("signals", "yes", "true or false")).toThrow(
    new TypeError('signals must be true or false; got "yes"'),
  );
});

describe("checkNames", () => {
  test("takes all known names, and none", () => {
    expect(() => checkNames("close", { code: 1, reason: undefined }, ["code", "reason"])).not.toThrow();
    expect(() => checkNames("close", {}, ["code"])).not.toThrow();
  });

  test("refuses an unknown name, and lists those that exist", () => {
    expect(() => checkNames("close", { code: 1, resaon: "" }, ["code", "reason"])).toThrow(
      new TypeError('close has no option "resaon"; it has code, reason'),
    );
  });

  test.each([[null, "null"], ["x", '"x"'], [[], "an array"], [() => {}, "the function (anonymous)"]])(
    "refuses %o, which is not an object of options",
    (value, shown) => {
      expect(() => checkNames("close", value as object, ["code"])).toThrow(
        new TypeError(`close takes an object of options; got ${shown}`),
      );
    },
  );
});

test("isTrue ignores the rejection of a promise, which would end the process", async () => {
  const unhandled = vi.fn();
  process.on("unhandledRejection", unhandled);
  onTestFinished(() => void process.off("unhandledRejection", unhandled));
  expect(isTrue(Promise.reject(new Error("no database")))).toBe(false);
  await nextTurn();
  expect(unhandled).not.toHaveBeenCalled();
});
