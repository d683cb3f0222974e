import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { entryOf, isLogger, SILENT } from "../../../src/app/common/logger.ts";

class FileLogger {
  debug(): void {}
  info(): void {}
  warn(): void {}
  error(): void {}
}

describe("isLogger", () => {
  test.each<[name: string, value: unknown]>([
    ["console", console],
    ["an instance of a class", new FileLogger()],
    ["an object with more than the four methods", { ...SILENT, trace() {} }],
    ["the silent logger", SILENT],
  ])("takes %s", (_name, value) => {
    expect(isLogger(value)).toBe(true);
  });

  test.each(["debug", "info", "warn", "error"])("refuses an object whose %s is not a function", (level) => {
    expect(isLogger({ ...SILENT, [level]: undefined })).toBe(false);
    expect(isLogger({ ...SILENT, [level]: "log" })).toBe(false);
  });

  test.each([[null], [undefined], [true], ["console"], [() => {}], [{}]])("refuses %o", (value) => {
    expect(isLogger(value)).toBe(false);
  });
});

test("the silent logger takes any entry and returns nothing", () => {
  for (const level of ["debug", "info", "warn", "error"] as const) {
    expect(SILENT[level]("text")).toBeUndefined();
    expect(SILENT[level](new Error("reason"))).toBeUndefined();
  }
});

describe("the entry of an error", () => {
  test("has the text and the error in its message, and the stack of the error", () => {
    const error = new TypeError("no database");
    const entry = entryOf("SpaceNode: it has failed", error);
    expect(entry).toBeInstanceOf(Error);
    expect(entry.message).toBe("SpaceNode: it has failed: TypeError: no database");
    const frames = error.stack!.slice(error.stack!.indexOf("\n    at "));
    expect(entry.stack).toBe(`Error: SpaceNode: it has failed: TypeError: no database${frames}`);
    expect(frames).toContain("logger.test.ts");
  });

  test("has the cause, the errors and the other properties of the error, and leaves the error as it is", () => {
    const cause = new Error("cable pulled");
    const error = Object.assign(new AggregateError([cause], "all have failed", { cause }), { code: "E_ALL" });
    const before = Object.getOwnPropertyDescriptors(error);
    expect(entryOf("x", error)).toMatchObject({ cause, code: "E_ALL", errors: [cause] });
    expect(Object.getOwnPropertyDescriptors(Object.freeze(error)).code?.value).toBe(before.code?.value);
    const entry = Object.assign(entryOf("x", error), { level: "error", code: "other" });
    expect([entry.level, error.code, "level" in error]).toEqual(["error", "E_ALL", false]);
  });

  test("can be written as JSON", () => {
    const { message, stack } = JSON.parse(JSON.stringify(entryOf("x", new RangeError("too much"))));
    expect(message).toBe("x: RangeError: too much");
    expect(stack).toMatch(/^Error: x: RangeError: too much\n {4}at /);
  });

  test("tells an error of another realm like any other", () => {
    expect(entryOf("x", runInNewContext("new TypeError('far away')")).message).toBe("x: TypeError: far away");
  });

  test.each<[name: string, error: Error, message: string, stack: RegExp]>([
    ["without a message", new Error(), "x: Error", /^Error: x: Error\n {4}at /],
    [
      "whose message has lines like those of a stack",
      new Error("a\n    at b"),
      "x: Error: a\n    at b",
      /^Error: x: Error: a\n {4}at b\n {4}at (?!b)/,
    ],
    ["whose stack is no text", Object.assign(new Error("a"), { stack: 42 }), "x: Error: a", /^Error: x: Error: a$/],
    ["whose stack was removed", Object.assign(new Error("a"), { stack: "" }), "x: Error: a", /^Error: x: Error: a$/],
    [
      "whose message was changed after its stack was made",
      Object.assign(new Error("before"), { message: "after" }),
      "x: Error: after",
      /^Error: x: Error: after\n {4}at /,
    ],
    ["that was aborted", new DOMException("stop", "AbortError"), "x: AbortError: stop", /^Error: x: AbortError: stop/],
  ])("is made of an error %s", (_name, error, message, stack) => {
    const entry = entryOf("x", error);
    expect(entry.message).toBe(message);
    expect(entry.stack).toMatch(stack);
  });

  test.each<[name: string, value: unknown, message: string]>([
    ["a text", "no\nway", "x: 'no\\nway'"],
    ["nothing", undefined, "x: undefined"],
    ["null", null, "x: null"],
    ["a symbol", Symbol("s"), "x: Symbol(s)"],
    ["an object", { status: 200, message: "hello" }, "x: { status: 200, message: 'hello' }"],
  ])("shows a value that is no error: %s", (_name, value, message) => {
    expect(entryOf("x", value)).toMatchObject({ message, stack: `Error: ${message}` });
  });

  test.each<[name: string, value: unknown]>([
    ["a message that throws", Object.defineProperty(new Error(), "message", { get: () => fail() })],
    ["a stack that throws", Object.defineProperty(new Error("a"), "stack", { get: () => fail() })],
    ["properties that cannot be listed", new Proxy(new Error("a"), { ownKeys: () => fail() })],
    ["a class that throws", new Proxy({}, { get: () => fail() })],
    ["an inspection that throws", { [Symbol.for("nodejs.util.inspect.custom")]: () => fail() }],
    ["a revoked proxy", revoked()],
  ])("is made of a value with %s", (_name, value) => {
    expect(entryOf("SpaceNode: it has failed", value).message).toMatch(/^SpaceNode: it has failed: ./);
  });
});

function fail(): never {
  throw new Error("read too much");
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
