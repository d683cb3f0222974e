import { describe, expect, test } from "vitest";
import {
  resolveSocketOptions,
  SOCKET_DEFAULTS,
  SOCKET_OPTION_NAMES,
  type SocketOptions,
} from "../../../src/app/websocket/socket-options.ts";

const resolve = (options: object): ReturnType<typeof resolveSocketOptions> =>
  resolveSocketOptions("The route", options, SOCKET_DEFAULTS);

test("options that are missing or undefined have their defaults", () => {
  const undefinedOptions = Object.fromEntries(SOCKET_OPTION_NAMES.map((name) => [name, undefined]));
  for (const options of [{}, undefinedOptions]) expect(resolve(options)).toEqual(SOCKET_DEFAULTS);
});

test("options of a route apply instead of those of the app, one by one", () => {
  const app = resolve({ maxMessageBytes: 10, highWaterMark: 20, slowConsumer: "drop", wsOrigins: "https://a.com" });
  const options: SocketOptions = { maxMessageBytes: 5, maxFragments: 6, maxBufferedBytes: 7, compression: true };
  const route = resolveSocketOptions("The route", options, app);
  expect(route).toMatchObject({
    maxMessageBytes: 5,
    maxFragments: 6,
    maxBufferedBytes: 7,
    slowConsumer: "drop",
    highWaterMark: 20,
    compression: { threshold: 1024 },
  });
  expect(route.isOriginAllowed).toBe(app.isOriginAllowed);
  expect(resolveSocketOptions("The route", { compression: false }, route).compression).toBeUndefined();
});

test("a route takes over the age and the rate limit of the app, sets its own, or turns them off", () => {
  const app = resolve({ maxAgeMs: 1_000, rateLimit: { messages: 10, perMs: 100 } });
  const route = (options: SocketOptions): object => resolveSocketOptions("The route", options, app);
  expect(route({})).toMatchObject({ maxAgeMs: 1_000, rateLimit: { messages: 10, perMs: 100 } });
  const own = { maxAgeMs: 2, rateLimit: { messages: 1, perMs: 5 } };
  expect(route(own)).toMatchObject(own);
  expect(route({ maxAgeMs: false, rateLimit: false })).toMatchObject({ maxAgeMs: undefined, rateLimit: undefined });
});

test("wsOrigins becomes a check of origins", () => {
  const { isOriginAllowed } = resolve({ wsOrigins: "https://*.mysite.com" });
  expect(isOriginAllowed?.("https://www.mysite.com", "any")).toBe(true);
  expect(isOriginAllowed?.("https://evil.com", "any")).toBe(false);
});

test("the result is frozen", () => {
  expect(Object.isFrozen(resolve({}))).toBe(true);
});

describe("an error names the option, the value and a right one", () => {
  test.each<[object, ErrorConstructor, RegExp]>([
    [{ maxMessageBytes: 0 }, RangeError, /^maxMessageBytes must be a whole number from 1 to \d+; got 0$/],
    [{ maxFragments: 1.5 }, RangeError, /^maxFragments must be a whole number.*; got 1\.5$/],
    [{ maxBufferedBytes: "1" }, TypeError, /^maxBufferedBytes must be a whole number.*; got "1"$/],
    [{ highWaterMark: NaN }, RangeError, /^highWaterMark must be a whole number.*; got NaN$/],
    [{ slowConsumer: "wait" }, TypeError, /^slowConsumer must be "close" or "drop"; got "wait"$/],
    [{ wsOrigins: 42 }, TypeError, /^wsOrigins must be a string.*; got 42$/],
    [{ maxAgeMs: 0 }, RangeError, /^maxAgeMs must be a whole number from 1 to 2147483647; got 0$/],
    [{ maxAgeMs: true }, TypeError, /^maxAgeMs must be false, or a whole number of milliseconds; got true$/],
    [{ rateLimit: 5 }, TypeError, /^rateLimit must be false, or \{ messages, perMs \}; got 5$/],
    [{ rateLimit: { messages: 5 } }, TypeError, /^rateLimit\.perMs must be a whole number from 1 on; got undefined$/],
    [{ rateLimit: { perMs: 5 } }, TypeError, /^rateLimit\.messages must be a whole number from 1 on; got undefined$/],
    [{ rateLimit: { messages: 0, perMs: 5 } }, RangeError, /^rateLimit\.messages must be a whole.*; got 0$/],
    [{ rateLimit: { messages: 1, perMs: 0.5 } }, RangeError, /^rateLimit\.perMs must be a whole.*; got 0\.5$/],
    [{ rateLimit: { messages: 1, per: 5 } }, TypeError, /^rateLimit has no option "per"; it has messages, perMs$/],
    [{ compression: "on" }, TypeError, /^compression must be true, false.*; got "on"$/],
    [{ maxPayload: 1 }, TypeError, /^The route has no option "maxPayload"; it has wsOrigins, .*compression$/],
  ])("%o", (options, kind, message) => {
    expect(() => resolve(options)).toThrow(kind);
    expect(() => resolve(options)).toThrow(message);
  });

  test("names that are checked elsewhere are no error", () => {
    const options = { subprotocols: [] } as object;
    expect(() => resolve(options)).toThrow(/has no option "subprotocols"/);
    expect(resolveSocketOptions("The route", options, SOCKET_DEFAULTS, ["subprotocols"])).toEqual(SOCKET_DEFAULTS);
  });
});
