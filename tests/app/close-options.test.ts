import { describe, expect, test } from "vitest";
import { resolveClose } from "../../src/app/close-options.ts";

describe("resolveClose", () => {
  test("defaults to 1001 without a reason, to the timeout of the app, and to all sockets at once", () => {
    expect(resolveClose({}, 5_000)).toEqual({ code: 1001, reason: "", timeoutMs: 5_000, overMs: 0 });
    const options = { code: 1012, reason: "restart", timeoutMs: 0, overMs: 60_000 };
    expect(resolveClose(options, 5_000)).toEqual(options);
  });

  test.each<[object, ErrorConstructor, RegExp]>([
    [{ code: 1006 }, RangeError, /got 1006/],
    [{ code: "1001" }, TypeError, /got "1001"/],
    [{ reason: 42 }, TypeError, /got 42/],
    [{ reason: "r".repeat(124) }, RangeError, /at most 123 bytes.*got 124/],
    [{ timeoutMs: -1 }, RangeError, /timeoutMs must be a whole number from 0 to 2147483647; got -1/],
    [{ timeoutMs: 0.5 }, RangeError, /timeoutMs.*got 0\.5/],
    [{ timeoutMs: NaN }, RangeError, /timeoutMs.*got NaN/],
    [{ timeoutMs: "1" }, Error, /timeoutMs.*got "1"/],
    [{ timeoutMs: 2 ** 31 }, RangeError, /timeoutMs.*got 2147483648/],
    [{ overMs: -1 }, RangeError, /^overMs must be a whole number from 0 to 2147483647; got -1$/],
    [{ overMs: "1" }, TypeError, /^overMs must be a whole number.*; got "1"$/],
    [{ timeout: 100 }, TypeError, /^close has no option "timeout"; it has code, reason, timeoutMs, overMs$/],
    [[], TypeError, /^close takes \{ code, reason, timeoutMs, overMs \}; got/],
  ])("refuses %o", (options, kind, message) => {
    expect(() => resolveClose(options, 5_000)).toThrow(kind);
    expect(() => resolveClose(options, 5_000)).toThrow(message);
  });

  test("names the place of the options in its errors", () => {
    expect(() => resolveClose({ over: 1 } as object, 5_000, "signals")).toThrow(/^signals has no option "over"/);
  });
});
