import { describe, expect, test } from "vitest";
import { checkClose, closeGroup } from "../../../src/app/websocket/close.ts";

describe("a Close frame", () => {
  test.each([1000, 1001, 1002, 1003, 1005, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])(
    "may be sent with %i",
    (code) => {
      expect(() => checkClose(code, "")).not.toThrow();
    },
  );

  test.each([-1, 0, 1, 999, 1004, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65_536, 1000.5, NaN, Infinity])(
    "is refused with %d, which is named beside the codes that are right",
    (code) => {
      expect(() => checkClose(code, "")).toThrow(RangeError);
      expect(() => checkClose(code, "")).toThrow(`1000–1003, 1007–1014 or 3000–4999; got ${code}`);
    },
  );

  test.each([["a".repeat(123)], ["é".repeat(61)], ["€".repeat(41)], ["🌍".repeat(30)]])(
    "may have a reason of at most 123 bytes: %s",
    (reason) => {
      expect(() => checkClose(1000, reason)).not.toThrow();
    },
  );

  test.each([["a".repeat(124), 124], ["é".repeat(62), 124], ["€".repeat(42), 126], ["🌍".repeat(31), 124]])(
    "is refused with a longer reason: %s",
    (reason, byteLength) => {
      expect(() => checkClose(1000, reason)).toThrow(RangeError);
      expect(() => checkClose(1000, reason)).toThrow(`at most 123 bytes of UTF-8; got ${byteLength}`);
    },
  );

  test.each<[unknown, unknown, RegExp]>([
    ["1000", "", /code is a number; got "1000"/],
    [null, "", /code is a number; got null/],
    [1000, 42, /reason is a string; got 42/],
    [1000, null, /reason is a string; got null/],
  ])("is refused with the wrong types: %o, %o", (code, reason, message) => {
    expect(() => checkClose(code as number, reason as string)).toThrow(TypeError);
    expect(() => checkClose(code as number, reason as string)).toThrow(message);
  });

  test("has no reason without a code", () => {
    expect(() => checkClose(1005, "why")).toThrow(/without a code has no reason/);
  });
});

test.each([
  ["a registered code by itself", [1000, 1005, 1006, 1014], ["1000", "1005", "1006", "1014"]],
  ["codes of libraries by their range", [3000, 3999], ["3000-3999"]],
  ["codes of applications by their range", [4000, 4321, 4999], ["4000-4999"]],
])("closes are counted: %s", (_name, codes, groups) => {
  expect([...new Set(codes.map(closeGroup))]).toEqual(groups);
});
