import { expect, test } from "vitest";
import { show } from "../../../src/app/common/show.ts";

class Chat {}

test.each<[string, unknown]>([
  ['"text"', "text"],
  ['"a\\r\\nb\\u0000"', "a\r\nb\u0000"],
  [`"${"x".repeat(80)}…"`, "x".repeat(1_000)],
  ["42", 42],
  ["-0.5", -0.5],
  ["NaN", NaN],
  ["10", 10n],
  ["true", true],
  ["undefined", undefined],
  ["null", null],
  ["Symbol(s)", Symbol("s")],
  ["an array", [1, 2]],
  ["an object (Object)", { a: 1 }],
  ["an object (Chat)", new Chat()],
  ["an object (no class)", Object.create(null)],
  ["the function chat", function chat() {}],
  ["the function (anonymous)", () => {}],
])("shows %s", (expected, value) => {
  expect(show(value)).toBe(expected);
});

test("shows a proxy that was revoked", () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  expect(show(proxy)).toBe("an object");
});
