import { basename } from "node:path";
import { expect, test } from "vitest";
import { actualRuntime, expectedRuntime } from "./support/runtime.ts";

test("the tests run on the runtime that was asked for", () => {
  expect(actualRuntime()).toBe(expectedRuntime());
});

test("the executable of this worker is that runtime's own", () => {
  const [name] = expectedRuntime().split("@");
  expect(basename(process.execPath, ".exe")).toBe(name);
});
