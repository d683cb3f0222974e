import { expect, test } from "vitest";
import { wholeNumber } from "./command.ts";

test("wholeNumber takes whole numbers from the least one on", () => {
  expect([wholeNumber("seed", "0"), wholeNumber("seed", "0123"), wholeNumber("seconds", "1", 1)]).toEqual([0, 123, 1]);
});

test.each([["", 0], ["x", 0], ["-1", 0], ["1.5", 0], ["1e3", 0], ["0", 1]])("wholeNumber refuses %j", (text, least) => {
  expect(() => wholeNumber("seed", text, least)).toThrow(`--seed takes a whole number from ${least} on; got ${text}`);
});
