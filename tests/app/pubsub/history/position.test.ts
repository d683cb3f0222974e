import { expect, test } from "vitest";
import { formatId, parseId } from "../../../../src/app/pubsub/history/position.ts";

test.each([
  { epoch: "a", offset: 0 },
  { epoch: "-_Zz09".repeat(10), offset: 1 },
  { epoch: "x".repeat(64), offset: Number.MAX_SAFE_INTEGER },
])("an id gives the position that it was made of: %j", (position) => {
  expect(parseId(formatId(position))).toEqual(position);
});

test.each([
  ["nothing", ""],
  ["an epoch alone", "abc"],
  ["an offset alone", ".1"],
  ["an epoch without an offset", "abc."],
  ["two dots", "a.b.1"],
  ["a negative offset", "a.-1"],
  ["a fraction", "a.1.5"],
  ["an exponent", "a.1e3"],
  ["a number in base 16", "a.0x1"],
  ["digits of another script", "a.\u0661"],
  ["an epoch of 65 characters", `${"x".repeat(65)}.1`],
  ["an epoch with a letter that is not ASCII", "\u00e9.1"],
  ["an epoch with a null", "a\0.1"],
  ["a space in front", " a.1"],
  ["a line end behind", "a.1\n"],
  ["an offset above all safe integers", "a.9007199254740992"],
  ["an offset of 17 digits", "a.00000000000000001"],
  ["a million characters", "a".repeat(1_000_000) + ".1"],
])("a text with %s is no id", (_name, text) => {
  expect(parseId(text)).toBeUndefined();
});
