// The tests run under the runtime that the test runner has chosen.

import { basename } from "node:path";
import { expect, test } from "vitest";
import { actualRuntime, expectedRuntime } from "./support/runtime.ts";

test("the tests run under the runtime that was asked for", () => {
  expect(actualRuntime()).toBe(expectedRuntime());
});

test("the executable of this worker is that of the runtime", () => {
  const [name] = expectedRuntime().split("@");
  expect(basename(process.execPath, ".exe")).toBe(name);
});
