import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hasProtoKey, isTooDeep, MAX_JSON_DEPTH } from "../../../src/app/websocket/json.ts";

const nested = (depth: number, open = "[", close = "]", middle = ""): string =>
  open.repeat(depth) + middle + close.repeat(depth);

/** The depth of a value, found by another way than that of the source. */
function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

describe("the depth", () => {
  test.each<[string, string, boolean]>([
    ["as many arrays as allowed", nested(MAX_JSON_DEPTH), false],
    ["one array more", nested(MAX_JSON_DEPTH + 1), true],
    ["as many objects as allowed", nested(MAX_JSON_DEPTH, '{"a":', "}", "1"), false],
    ["one object more", nested(MAX_JSON_DEPTH + 1, '{"a":', "}", "1"), true],
    ["arrays and objects in turns", nested(MAX_JSON_DEPTH / 2, '[{"a":', "}]", "1"), false],
    ["one more in turns", nested(MAX_JSON_DEPTH / 2, '[{"a":', "}]", "[]"), true],
    ["many arrays side by side", `[${"[],".repeat(1_000)}[]]`, false],
    ["brackets in a string", JSON.stringify(["[".repeat(1_000)]), false],
    ["brackets behind an escaped quote", JSON.stringify(['"' + "[{".repeat(1_000)]), false],
    ["brackets behind an escaped backslash at the end of a string", `["\\\\",${nested(MAX_JSON_DEPTH)}]`, true],
    ["brackets without an end", "[".repeat(1_000), true],
    ["few brackets without an end", "[".repeat(2 * MAX_JSON_DEPTH), false],
    ["a long text without brackets", JSON.stringify("x".repeat(1_000)), false],
  ])("of %s", (_name, text, isDeep) => {
    expect(isTooDeep(text)).toBe(isDeep);
  });

  test("is that of the value, for any JSON and with any white space", () => {
    const json = fc.tuple(fc.jsonValue({ maxDepth: 8 }), fc.nat(140), fc.constantFrom(0, 1));
    fc.assert(fc.property(json, ([value, around, indent]) => {
      const text = nested(around, "[", "]", JSON.stringify(value, null, indent));
      expect(isTooDeep(text)).toBe(around + depthOf(value) > MAX_JSON_DEPTH);
    }));
  });
});

describe("the key __proto__", () => {
  test.each<[string, string, boolean]>([
    ["at the top", '{"__proto__":1}', true],
    ["inside", '[{"a":[1,{"__proto__":{}}]}]', true],
    ["with an escape", '{"\\u005f_proto__":1}', true],
    [
      "with escapes only",
      `{"${[..."__proto__"].map((c) => `\\u00${c.charCodeAt(0).toString(16)}`).join("")}":1}`,
      true,
    ],
    ["with escapes in upper case", '{"\\u005F\\u005Fproto__":1}', true],
    ["in a string", '{"text":"__proto__","more":"{\\"__proto__\\": 1}"}', false],
    ["as a part of a key", '{"__proto__s":1,"a__proto__":1}', false],
    ["not at all, but an escape", '["\\u0041",null,{}]', false],
    ["not at all", '{"proto":{"constructor":1}}', false],
    ["as the whole text", '"__proto__"', false],
  ])("is found %s", (_name, text, has) => {
    expect(hasProtoKey(text, JSON.parse(text))).toBe(has);
  });
});
