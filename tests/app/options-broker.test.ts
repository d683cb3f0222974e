/** The options of createApp about topics: broker, presence and maxTopicsPerSocket. */
import { describe, expect, test } from "vitest";
import { type AppOptions, createApp } from "../../mod.ts";
import { resolveOptions } from "../../src/app/options.ts";
import { Hub } from "../support/memory-broker.ts";

const METHODS = ["onMessage", "onStatus", "publish", "subscribe", "unsubscribe", "close"];

/** A broker that is an object of functions, some of which are replaced. */
function brokerWith(parts: object = {}): object {
  return { ...Object.fromEntries(METHODS.map((name) => [name, () => Promise.resolve()])), ...parts };
}

test("the defaults are no broker, 10,000 topics a socket, and a presence heartbeat of 5 s and 15 s", () => {
  expect(resolveOptions({})).toMatchObject({
    broker: undefined,
    maxTopicsPerSocket: 10_000,
    presence: { intervalMs: 5_000, timeoutMs: 15_000 },
  });
  expect(resolveOptions({ presence: { intervalMs: 50 } }).presence).toEqual({ intervalMs: 50, timeoutMs: 15_000 });
  expect(resolveOptions({ presence: { timeoutMs: 6_000 } }).presence).toEqual({ intervalMs: 5_000, timeoutMs: 6_000 });
  expect(resolveOptions({ broker: undefined, presence: undefined, maxTopicsPerSocket: undefined }))
    .toEqual(resolveOptions({}));
});

describe("a broker", () => {
  test("may be an object of functions, or an instance of a class", async () => {
    for (const broker of [brokerWith(), new Hub().link()]) {
      const app = await createApp({ broker, logger: false } as AppOptions);
      expect(app.stats().broker).toMatchObject({ published: 0, received: 0, dropped: 0 });
      await app.close();
    }
  });

  test("is not connected before it has reported its state", async () => {
    const app = await createApp({ broker: brokerWith(), logger: false } as AppOptions);
    expect(app.stats().broker!.isConnected).toBe(false);
    expect(app.publish("news", "hello")).toBe(0);
    await app.close();
  });

  test.each(METHODS)("must have the method %s, which the error names", async (name) => {
    for (const broken of [{ [name]: undefined }, { [name]: "yes" }]) {
      const options = { broker: brokerWith(broken) } as AppOptions;
      await expect(createApp(options)).rejects.toThrow(TypeError);
      await expect(createApp(options)).rejects.toThrow(new RegExp(`^broker must be .*\\b${name}\\b`));
    }
  });

  test.each<[unknown, RegExp]>([
    ["redis://localhost", /^broker must be a broker.*got "redis:\/\/localhost"$/],
    [42, /^broker must be a broker.*got 42$/],
    [null, /^broker must be a broker.*got null$/],
    [[], /^broker must be a broker.*got an array$/],
    [true, /^broker must be a broker.*got true$/],
    [{}, /^broker must be a broker.*onMessage.*got an object \(Object\)$/],
    [() => {}, /^broker must be a broker/],
  ])("cannot be %o", async (broker, message) => {
    await expect(createApp({ broker } as AppOptions)).rejects.toThrow(TypeError);
    await expect(createApp({ broker } as AppOptions)).rejects.toThrow(message);
  });
});

test.each<[string, unknown, ErrorConstructor, RegExp]>([
  ["no topics", { maxTopicsPerSocket: 0 }, RangeError, /^maxTopicsPerSocket must be a whole number from 1.*got 0$/],
  ["half a topic", { maxTopicsPerSocket: 0.5 }, RangeError, /^maxTopicsPerSocket must be .*got 0\.5$/],
  ["topics as text", { maxTopicsPerSocket: "9" }, TypeError, /^maxTopicsPerSocket must be .*got "9"$/],
  ["presence that is off", { presence: false }, TypeError, /^presence must be { intervalMs, timeoutMs }; got false$/],
  ["presence as a time", { presence: 5_000 }, TypeError, /^presence must be .*got 5000$/],
  ["an unknown name", { presence: { interval: 1 } }, TypeError, /^presence has no option "interval".*intervalMs/],
  ["no interval", { presence: { intervalMs: 0 } }, RangeError, /^presence\.intervalMs must be .*got 0$/],
  ["no number", { presence: { timeoutMs: "5s" } }, TypeError, /^presence\.timeoutMs must be .*got "5s"$/],
  [
    "a timeout no longer than the interval",
    { presence: { intervalMs: 100, timeoutMs: 100 } },
    RangeError,
    /^presence\.timeoutMs must be more than presence\.intervalMs, 100; got 100$/,
  ],
  ["an interval beyond the timeout's default", { presence: { intervalMs: 20_000 } }, RangeError, /20000; got 15000$/],
])("is refused: %s", async (_name, options, kind, message) => {
  await expect(createApp(options as AppOptions)).rejects.toThrow(kind);
  await expect(createApp(options as AppOptions)).rejects.toThrow(message);
});
