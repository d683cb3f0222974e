import { expect, test } from "vitest";
import { formatId, offsetBefore, parseId, parseSince } from "../../../../src/app/pubsub/history/position.ts";

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

test("a client goes on behind an id, or in front of the oldest message, and nowhere with anything else", () => {
  expect(parseSince("a.7")).toEqual({ after: { epoch: "a", offset: 7 } });
  expect(parseSince("")).toEqual({ after: undefined });
  expect(parseSince("a")).toBeUndefined();
});

test.each([
  ["the place before the oldest message", undefined, 4],
  ["a position of the same epoch", { epoch: "a", offset: 7 }, 7],
  ["the place before the first message, in an epoch of its own", { epoch: "empty", offset: 0 }, 0],
])("a page behind %s tells the offset", (_name, after, offset) => {
  const page = { epoch: "a", oldest: 5, newest: 9, isComplete: true, messages: [] };
  expect(offsetBefore(page, after)).toBe(offset);
});
