// The end-to-end tests find Chromium, or say how to install it.

import process from "node:process";
import { expect, test } from "vitest";
import { findChromium } from "./support/chromium.ts";

test("without Chromium, the error says how to install it", () => {
  expect(() => findChromium(undefined, ["/nowhere/chromium"])).toThrow("apt-get install chromium");
  expect(() => findChromium("/nowhere/else", [process.execPath])).toThrow("there is none at /nowhere/else");
});

test("a chosen path comes before the usual places, of which the first that exists is taken", () => {
  expect(findChromium(process.execPath, ["/usr"])).toBe(process.execPath);
  expect(findChromium(undefined, ["/nowhere/chromium", process.execPath, "/usr"])).toBe(process.execPath);
});
