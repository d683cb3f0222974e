import { describe, expect, test } from "vitest";
import { isLogger, SILENT } from "../../../src/app/common/logger.ts";

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

test("the silent logger takes any arguments and returns nothing", () => {
  for (const level of ["debug", "info", "warn", "error"] as const) {
    expect(SILENT[level]("text", new Error("reason"))).toBeUndefined();
  }
});
