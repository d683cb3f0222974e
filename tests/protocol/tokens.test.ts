import { describe, expect, test } from "vitest";
import { isHeaderValue, isToken, isWhitespace, splitList, trimWhitespace } from "../../src/protocol/tokens.ts";
import { growthOverEight } from "../support/protocol.ts";

const allCharacters = Array.from({ length: 0x180 }, (_, charCode) => String.fromCharCode(charCode));
const tokenCharacters = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

describe("isToken, RFC 9110 §5.6.2", () => {
  test("allows every character of a token and no other", () => {
    expect(allCharacters.filter(isToken).toSorted()).toEqual([...tokenCharacters].toSorted());
  });

  test.each(["chat", "v2.feed", "__proto__", "constructor", "toString", tokenCharacters])("takes %s", (text) => {
    expect(isToken(text)).toBe(true);
  });

  test.each(["", " ", "a b", " a", "a ", "a\n", "\na", "a,b", "a;b", "a=b", '"a"', "a/b", "ä", "a\0", "🌍"])(
    "refuses %j",
    (text) => {
      expect(isToken(text)).toBe(false);
    },
  );
});

describe("isHeaderValue, RFC 9110 §5.5", () => {
  test("refuses every character that a header value must not have, and no other", () => {
    const refused = allCharacters.filter((character) => !isHeaderValue(character));
    const controls = allCharacters.filter((character) => character < " " && character !== "\t" || character === "\x7f");
    expect(refused).toEqual([...controls, ...allCharacters.slice(0x100)]);
  });

  test.each(["", "a", "a b\tc", "ÿ", "text/html; charset=utf-8"])("takes %j", (text) => {
    expect(isHeaderValue(text)).toBe(true);
  });

  test.each(["a\r\nSet-Cookie: b", "a\n", "\ra", "a\0", "Ā", "🌍", "a\u2028b"])("refuses %j", (text) => {
    expect(isHeaderValue(text)).toBe(false);
  });
});

describe("splitList, RFC 9110 §5.6.1", () => {
  test.each<[string, string[]]>([
    ["", []],
    [" \t ", []],
    [",", []],
    [", ,\t,", []],
    ["a", ["a"]],
    ["a,b", ["a", "b"]],
    [" a ,\tb\t", ["a", "b"]],
    [",a,,b,", ["a", "b"]],
    ["a b, c", ["a b", "c"]],
    ["__proto__, constructor, toString", ["__proto__", "constructor", "toString"]],
    ["\u00a0a", ["\u00a0a"]],
  ])("splits %j", (value, elements) => {
    expect(splitList(value)).toEqual(elements);
  });

  test.each<[string, (size: number) => string]>([
    ["spaces", (size) => " ".repeat(size)],
    ["spaces inside an element", (size) => `a${" ".repeat(size)}b`],
    ["commas", (size) => ",".repeat(size)],
    ["elements", (size) => "a ,\t".repeat(size / 4)],
  ])("takes eight times as long, not sixty-four, for eight times as many %s", { tags: "heavy" }, (_name, make) => {
    expect(growthOverEight(32_768, (size) => splitList(make(size)))).toBeLessThan(40);
  });
});

test("only spaces and tabs are white space", () => {
  expect(allCharacters.filter((character) => isWhitespace(character.charCodeAt(0)))).toEqual(["\t", " "]);
});

test.each([["", ""], [" \t", ""], ["\t a b \t", "a b"], ["\r\na\u00a0", "\r\na\u00a0"], ["\ufeffa", "\ufeffa"]])(
  "%j is trimmed to %j",
  (text, trimmed) => {
    expect(trimWhitespace(text)).toBe(trimmed);
  },
);
