import { describe, expect, test } from "vitest";
import { checkClose, resolveClose, resolveListen } from "../../../src/app/server/listen-options.ts";

describe("where to listen", () => {
  test.each<[string, unknown, object]>([
    ["a port", 3000, { port: 3000 }],
    ["any port", 0, { port: 0 }],
    ["the last port", 65_535, { port: 65_535 }],
    ["a port and a host", { port: 3000, host: "127.0.0.1" }, { port: 3000, host: "127.0.0.1" }],
    ["a port and no host", { port: 3000, host: undefined }, { port: 3000 }],
  ])("%s", (_name, where, expected) => {
    expect(resolveListen(where)).toEqual(expected);
  });

  test.each<[unknown, ErrorConstructor, RegExp]>([
    ["x", TypeError, /listen takes a port, or \{ port, host \}; got "x"/],
    ["3000", TypeError, /listen takes a port.*got "3000"/],
    [undefined, TypeError, /listen takes a port.*got undefined/],
    [null, TypeError, /listen takes a port.*got null/],
    [[3000], TypeError, /listen takes a port.*got an array/],
    [{}, TypeError, /port must be a number from 0 to 65535; got undefined/],
    [{ port: "3000" }, TypeError, /port must be a number from 0 to 65535; got "3000"/],
    [-1, RangeError, /port must be a whole number from 0 to 65535; got -1/],
    [65_536, RangeError, /port must be a whole number from 0 to 65535; got 65536/],
    [80.5, RangeError, /got 80\.5/],
    [NaN, RangeError, /got NaN/],
    [Infinity, RangeError, /got Infinity/],
    [{ port: 3000, host: 42 }, TypeError, /host must be a string; got 42/],
    [{ port: 3000, hostname: "a" }, TypeError, /listen has no option "hostname"; it has port, host/],
  ])("%o is refused", (where, kind, message) => {
    expect(() => resolveListen(where)).toThrow(kind);
    expect(() => resolveListen(where)).toThrow(message);
  });
});

describe("how to close", () => {
  test("is 1001 without a reason, and the app's time, if nothing else is said", () => {
    expect(resolveClose({}, 5_000)).toEqual({ code: 1001, reason: "", timeoutMs: 5_000 });
    const options = { code: 1012, reason: "restart", timeoutMs: 0 };
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
    [{ timeout: 100 }, TypeError, /no option "timeout"; it has code, reason, timeoutMs/],
  ])("%o is refused", (options, kind, message) => {
    expect(() => resolveClose(options, 5_000)).toThrow(kind);
    expect(() => resolveClose(options, 5_000)).toThrow(message);
  });
});

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
