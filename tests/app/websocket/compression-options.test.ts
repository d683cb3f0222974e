/** The option `compression`: which values are right, and which are refused. */

import { describe, expect, test } from "vitest";
import { type AppOptions, createApp } from "../../../mod.ts";

describe("options", () => {
  type Wrong = [compression: unknown, kind: ErrorConstructor, message: RegExp];

  const ranges: [name: string, least: number, most: number][] = [
    ["level", 1, 9],
    ["memLevel", 1, 9],
    ["serverMaxWindowBits", 9, 15],
    ["clientMaxWindowBits", 9, 15],
  ];

  const wrong: Wrong[] = [
    [42, TypeError, /^compression must be .*; got 42$/],
    ["on", TypeError, /^compression must be .*; got "on"$/],
    [null, TypeError, /^compression must be .*; got null$/],
    [[], TypeError, /^compression must be .*; got an array$/],
    [() => true, TypeError, /^compression must be .*; got the function/],
    [{ windowBits: 10 }, TypeError, /^compression has no option "windowBits"; it has .*threshold.*serverMaxWindowBits/],
    [{ toString: 1 }, TypeError, /^compression has no option "toString"/],
    [JSON.parse('{"__proto__": 1}'), TypeError, /^compression has no option "__proto__"/],
    [{ threshold: -1 }, RangeError, /^compression\.threshold must be a whole number from 0 to \d+; got -1$/],
    [{ idleTimeoutMs: 0 }, RangeError, /^compression\.idleTimeoutMs must be a whole number from 1 to \d+; got 0$/],
    [{ idleTimeoutMs: 2 ** 31 }, RangeError, /^compression\.idleTimeoutMs .* from 1 to 2147483647; got 2147483648$/],
    ...ranges.flatMap(([name, least, most]): Wrong[] => {
      const message = `^compression\\.${name} must be a whole number from ${least} to ${most}; got `;
      return [least - 1, most + 1, 0, -1].map((value) => [
        { [name]: value },
        RangeError,
        new RegExp(`${message}${value}$`),
      ]);
    }),
    ...["threshold", "idleTimeoutMs", ...ranges.map(([name]) => name)].flatMap((name): Wrong[] => [
      [{ [name]: 1.5 }, RangeError, new RegExp(`^compression\\.${name} must be a whole number.*; got 1\\.5$`)],
      [{ [name]: NaN }, RangeError, new RegExp(`^compression\\.${name} must be a whole number.*; got NaN$`)],
      [{ [name]: Infinity }, RangeError, new RegExp(`^compression\\.${name} must be a whole number.*; got Infinity$`)],
      [{ [name]: "9" }, TypeError, new RegExp(`^compression\\.${name} must be a whole number.*; got "9"$`)],
      [{ [name]: null }, TypeError, new RegExp(`^compression\\.${name} must be a whole number.*; got null$`)],
    ]),
    [{ contextTakeover: "yes" }, TypeError, /^compression\.contextTakeover must be true or false; got "yes"$/],
    [{ contextTakeover: 1 }, TypeError, /^compression\.contextTakeover must be true or false; got 1$/],
    [{ contextTakeover: null }, TypeError, /^compression\.contextTakeover must be true or false; got null$/],
    [{ filter: true }, TypeError, /^compression\.filter must be a function.*; got true$/],
    [{ filter: /x/ }, TypeError, /^compression\.filter must be a function.*; got an object/],
    [{ filter: null }, TypeError, /^compression\.filter must be a function.*; got null$/],
  ];

  test.each(wrong)("createApp({ compression: %o }) is refused", async (compression, kind, message) => {
    const error = await createApp({ compression: compression as boolean }).then(() => undefined, (error) => error);
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toMatch(message);
  });

  test.each(wrong)("app.ws(path, { compression: %o }, handler) is refused", async (compression, kind, message) => {
    const app = await createApp();
    const attempt = (): unknown => app.ws("/", { compression: compression as boolean }, () => {});
    expect(attempt).toThrow(kind);
    expect(attempt).toThrow(message);
  });

  test.each<[AppOptions["compression"]]>([
    [undefined],
    [false],
    [true],
    [{}],
    [{ threshold: undefined, level: undefined, filter: undefined }],
    [{ threshold: 0, level: 1, memLevel: 1, contextTakeover: false, serverMaxWindowBits: 9, clientMaxWindowBits: 9 }],
    [{
      threshold: 2 ** 30,
      level: 9,
      memLevel: 9,
      contextTakeover: true,
      serverMaxWindowBits: 15,
      clientMaxWindowBits: 15,
    }],
    [{ idleTimeoutMs: 1, filter: () => true }],
  ])("%o is taken, by the app and by a route", async (compression) => {
    const app = await createApp({ compression });
    expect(app.ws("/", { compression }, () => {})).toBe(app);
  });
});
