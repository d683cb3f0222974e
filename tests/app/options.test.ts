import { describe, expect, test } from "vitest";
import { createApp, type Socket } from "../../mod.ts";
import { resolveOptions } from "../../src/app/options.ts";
import { resolveSocketOptions } from "../../src/app/websocket/socket-options.ts";
import { connectTo, listeningApp } from "../support/app.ts";
import { binary } from "../support/frames.ts";

test("every option has its default", () => {
  const { logger, ...options } = resolveOptions({});
  expect(logger).toBe(console);
  expect(options).toMatchObject({
    services: {},
    isOriginAllowed: undefined,
    isTrustedProxy: undefined,
    heartbeat: { intervalMs: 30_000, timeoutMs: 60_000 },
    maxMessageBytes: 1024 * 1024,
    maxFragments: 16_384,
    messageTimeoutMs: 60_000,
    maxBufferedBytes: 16 * 1024 * 1024,
    slowConsumer: "close",
    highWaterMark: 64 * 1024,
    closeTimeoutMs: 5_000,
    handshakeTimeoutMs: 10_000,
    maxConnections: Infinity,
    maxConnectionsPerIp: Infinity,
    maxHistoryBytes: 64 * 1024 * 1024,
    maxHistoryTopics: 10_000,
    maxRecoveries: 16,
  });
  expect(Object.isFrozen(resolveOptions({}))).toBe(true);
});

test("an option that is undefined takes its default", () => {
  const compiled = ["isOriginAllowed", "isTrustedProxy"];
  const names = Object.keys(resolveOptions({})).filter((name) => !compiled.includes(name));
  const undefinedOptions = Object.fromEntries(["wsOrigins", "trustProxy", ...names].map((name) => [name, undefined]));
  expect(resolveOptions(undefinedOptions)).toEqual(resolveOptions({}));
});

test("each time of the heartbeat may be set alone, and false turns the heartbeat off", () => {
  expect(resolveOptions({ heartbeat: { intervalMs: 5 } }).heartbeat).toEqual({ intervalMs: 5, timeoutMs: 60_000 });
  expect(resolveOptions({ heartbeat: { timeoutMs: 5 } }).heartbeat).toEqual({ intervalMs: 30_000, timeoutMs: 5 });
  expect(resolveOptions({ heartbeat: false }).heartbeat).toBe(false);
});

test("a logger may be an instance of a class, and false turns logging off", () => {
  class Logger {
    debug(): void {}
    info(): void {}
    warn(): void {}
    error(): void {}
  }
  const logger = new Logger();
  expect(resolveOptions({ logger }).logger).toBe(logger);
  expect(resolveOptions({ logger: false }).logger.error("nobody hears this")).toBeUndefined();
});

type Wrong = [options: unknown, kind: ErrorConstructor, message: RegExp];

const NUMBERS = ["maxMessageBytes", "maxFragments", "maxBufferedBytes", "highWaterMark"];
const APP_NUMBERS = [
  "messageTimeoutMs",
  "closeTimeoutMs",
  "handshakeTimeoutMs",
  "maxConnections",
  "maxConnectionsPerIp",
  "maxHistoryBytes",
  "maxHistoryTopics",
  "maxRecoveries",
];

const wrong: Wrong[] = [
  ...[...NUMBERS, ...APP_NUMBERS].flatMap((name): Wrong[] => [
    [{ [name]: -1 }, RangeError, new RegExp(`^${name} must be a whole number from 1 to \\d+; got -1$`)],
    [{ [name]: 0 }, RangeError, new RegExp(`^${name} must be a whole number from 1 to \\d+; got 0$`)],
    [{ [name]: 1.5 }, RangeError, new RegExp(`^${name} must be a whole number.*got 1\\.5$`)],
    [{ [name]: NaN }, RangeError, new RegExp(`^${name} must be a whole number.*got NaN$`)],
    [{ [name]: Infinity }, RangeError, new RegExp(`^${name} must be a whole number.*got Infinity$`)],
    [{ [name]: "1" }, TypeError, new RegExp(`^${name} must be a whole number.*got "1"$`)],
    [{ [name]: null }, TypeError, new RegExp(`^${name} must be a whole number.*got null$`)],
    [{ [name]: 1n }, TypeError, new RegExp(`^${name} must be a whole number.*got 1$`)],
  ]),
  [{ closeTimeoutMs: 2 ** 31 }, RangeError, /^closeTimeoutMs must be .* from 1 to 2147483647; got 2147483648$/],
  [{ wsOrigin: "https://mysite.com" }, TypeError, /^createApp has no option "wsOrigin"; it has .*wsOrigins/],
  [{ origins: [] }, TypeError, /^createApp has no option "origins"/],
  [{ maxPayload: 1 }, TypeError, /^createApp has no option "maxPayload"; it has .*maxMessageBytes/],
  [{ toString: 1 }, TypeError, /^createApp has no option "toString"/],
  [JSON.parse('{"__proto__": 1}'), TypeError, /^createApp has no option "__proto__"/],
  [{ wsOrigins: 42 }, TypeError, /^wsOrigins must be a string.*got 42$/],
  [
    { wsOrigins: "mysite.com" },
    TypeError,
    /^wsOrigins must have origins like "https:\/\/mysite\.com".*got "mysite\.com"$/,
  ],
  [{ trustProxy: true }, TypeError, /^trustProxy must be false, a number of proxies from 0 on.*; got true$/],
  [{ trustProxy: -1 }, RangeError, /^trustProxy must be .*; got -1$/],
  [{ heartbeat: 5 }, TypeError, /^heartbeat must be false, or \{ intervalMs, timeoutMs \}; got 5$/],
  [{ heartbeat: true }, TypeError, /^heartbeat must be false.*got true$/],
  [{ heartbeat: null }, TypeError, /^heartbeat must be false.*got null$/],
  [{ heartbeat: [] }, TypeError, /^heartbeat must be false.*got an array$/],
  [{ heartbeat: { interval: 5 } }, TypeError, /^heartbeat has no option "interval"; it has intervalMs, timeoutMs$/],
  [{ heartbeat: { intervalMs: 0 } }, RangeError, /^heartbeat\.intervalMs must be a whole number.*got 0$/],
  [{ heartbeat: { timeoutMs: "5" } }, TypeError, /^heartbeat\.timeoutMs must be a whole number.*got "5"$/],
  [{ signals: "SIGTERM" }, TypeError, /^signals must be true, false, or options of close; got "SIGTERM"$/],
  [{ signals: null }, TypeError, /^signals must be true, false, or options of close; got null$/],
  [{ signals: { over: 1 } }, TypeError, /^signals has no option "over"; it has code, reason, timeoutMs, overMs$/],
  [{ signals: { overMs: -1 } }, RangeError, /^signals\.overMs must be a whole number from 0 to \d+; got -1$/],
  [{ maxAgeMs: 0.5 }, RangeError, /^maxAgeMs must be a whole number.*got 0\.5$/],
  [{ rateLimit: true }, TypeError, /^rateLimit must be false, or \{ messages, perMs \}; got true$/],
  [{ slowConsumer: "wait" }, TypeError, /^slowConsumer must be "close" or "drop"; got "wait"$/],
  [{ slowConsumer: null }, TypeError, /^slowConsumer must be "close" or "drop"; got null$/],
  [{ logger: {} }, TypeError, /^logger must be false, or an object with debug, info, warn and error; got an object/],
  [{ logger: null }, TypeError, /^logger must be false.*got null$/],
  [{ logger: true }, TypeError, /^logger must be false.*got true$/],
  [{ logger: () => {} }, TypeError, /^logger must be false.*got the function/],
  [{ services: null }, TypeError, /^services must be an object of named services; got null$/],
  [{ services: [] }, TypeError, /^services must be an object of named services; got an array$/],
  [{ services: "chat" }, TypeError, /^services must be an object of named services; got "chat"$/],
  [null, TypeError, /^createApp takes an object of options; got null$/],
  [42, TypeError, /^createApp takes an object of options; got 42$/],
  ["https://mysite.com", TypeError, /^createApp takes an object of options; got "https:\/\/mysite\.com"$/],
  [[], TypeError, /^createApp takes an object of options; got an array$/],
];

describe("a wrong option is refused with its value and what would be right", () => {
  test.each(wrong)("createApp(%o)", async (options, kind, message) => {
    const error = await createApp(options as object).then(() => undefined, (error) => error);
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toMatch(message);
  });

  const isForRoutes = ([options]: Wrong): boolean =>
    NUMBERS.concat("wsOrigins", "slowConsumer", "maxAgeMs", "rateLimit").includes(Object.keys(options ?? {})[0]);

  test.each(wrong.filter(isForRoutes))("app.ws(path, %o, handler)", async (options, kind, message) => {
    const app = await createApp();
    const attempt = (): unknown => app.ws("/chat", options as object, () => {});
    expect(attempt).toThrow(kind);
    expect(attempt).toThrow(message);
  });

  test.each<[string, unknown[], RegExp]>([
    ['ws("chat")', ["chat"], /"chat"/],
    ['ws("/chat")', ["/chat"], /"\/chat".*handler.*function \(socket, req, services\); got undefined/],
    ['ws("chat", handler)', ["chat", () => {}], /starts with "\/", such as "\/chat"; got "chat"/],
    ['ws("/chat", {})', ["/chat", {}], /"\/chat".*handler.*function.*got an object/],
    ['ws("/chat", handler, {})', ["/chat", () => {}, {}], /"\/chat".*got/],
    ['ws("/chat", {}, "x")', ["/chat", {}, "x"], /"\/chat".*handler.*function.*got "x"/],
    ['ws("/chat", null, handler)', ["/chat", null, () => {}], /"\/chat" takes an object of options; got null/],
    ['ws("/chat", [], handler)', ["/chat", [], () => {}], /"\/chat" takes an object of options; got an array/],
    ['ws("/chat", { wsOrigin }, handler)', ["/chat", { wsOrigin: "a" }, () => {}], /"\/chat" has no option "wsOrigin"/],
    ["an option of the app", ["/chat", { heartbeat: false }, () => {}], /"\/chat" has no option "heartbeat"/],
  ])("app.%s", async (_name, args, message) => {
    const app = await createApp();
    const ws = app.ws.bind(app) as (...args: unknown[]) => unknown;
    expect(() => ws(...args)).toThrow(TypeError);
    expect(() => ws(...args)).toThrow(message);
  });

  test("app.ws at a path that has a handler", async () => {
    const app = (await createApp()).ws("/chat", () => {}).ws("/room/:id", () => {});
    expect(() => app.ws("/chat", () => {})).toThrow(/"\/chat".*already has a handler/);
    expect(() => app.ws("/room/:name", () => {})).toThrow(/"\/room\/:name".*"\/room\/:id"/);
  });

  test.each(["get", "post", "put", "patch", "delete"] as const)("app.%s", async (method) => {
    const app = (await createApp())[method]("/here", () => "");
    const add = app[method].bind(app) as (...args: unknown[]) => unknown;
    expect(() => add("/chat")).toThrow(
      new RegExp(`${method.toUpperCase()} "/chat" must be a function \\(req, services\\); got undefined`),
    );
    expect(() => add("/chat", "hello")).toThrow(/got "hello"/);
    expect(() => add("chat", () => "")).toThrow(/starts with "\/".*got "chat"/);
    expect(() => add("/here", () => "")).toThrow(/"\/here".*already has a handler/);
  });
});

describe("options of a route", () => {
  test("replace those of the app, which replace the defaults", () => {
    const app = resolveOptions({ maxMessageBytes: 10, highWaterMark: 20, slowConsumer: "drop" });
    expect(resolveSocketOptions("the route", { maxMessageBytes: 5, slowConsumer: undefined }, app)).toEqual({
      isOriginAllowed: undefined,
      maxMessageBytes: 5,
      maxFragments: 16_384,
      maxBufferedBytes: 16 * 1024 * 1024,
      slowConsumer: "drop",
      highWaterMark: 20,
    });
  });

  test("hold for the sockets of the route, and the options of the app for all others", async () => {
    const app = await listeningApp({ maxMessageBytes: 100 }, (app) => {
      const echo = (socket: Socket): void => {
        socket.on("message", (data) => socket.send(data));
      };
      app.ws("/app", echo).ws("/small", { maxMessageBytes: 10 }, echo).ws("/large", { maxMessageBytes: 1_000 }, echo);
    });
    for (const [path, limit] of [["/app", 100], ["/small", 10], ["/large", 1_000]] as const) {
      const client = await connectTo(app, path);
      client.send(binary(Buffer.alloc(limit)));
      expect((await client.nextMessage()).length).toBe(limit);
      client.send(binary(Buffer.alloc(limit + 1)));
      expect((await client.closed()).code, path).toBe(1009);
    }
  });
});
