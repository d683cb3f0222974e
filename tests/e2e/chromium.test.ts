// The end-to-end tests find Chromium, or say how to install it.

import process from "node:process";
import { expect, test } from "vitest";
import { findChromium } from "./support/chromium.ts";

test("without Chromium, the error says how to install it", () => {
  expect(() => findChromium(undefined, ["/nowhere/chromium"])).toThrow("apt-get install chromium");
  expect(() => findChromium("/nowhere/else")).toThrow("there is none at /nowhere/else");
});

test("CHROMIUM_PATH comes before the usual places", () => {
  expect(findChromium(process.execPath)).toBe(process.execPath);
});
