import { describe, expect, test } from "vitest";
import { HandshakeError } from "../../src/protocol/errors.ts";
import { type ExtensionOffer, parseExtensions } from "../../src/protocol/extensions.ts";
import { growthOverEight } from "../support/protocol.ts";

function offer(name: string, ...parameters: [name: string, value?: string][]): ExtensionOffer {
  return { name, parameters: parameters.map(([name, value]) => ({ name, value })) };
}

describe("parseExtensions reads", () => {
  test.each<[name: string, value: string, offers: ExtensionOffer[]]>([
    ["a name", "foo", [offer("foo")]],
    ["the offer of Chrome", "permessage-deflate; client_max_window_bits", [
      offer("permessage-deflate", ["client_max_window_bits"]),
    ]],
    ["a parameter with a value", "foo; bar=1", [offer("foo", ["bar", "1"])]],
    ["several parameters", "foo; a; b=2; c=three", [offer("foo", ["a"], ["b", "2"], ["c", "three"])]],
    ["a parameter twice, in its order", "foo; a=1; b; a=2", [offer("foo", ["a", "1"], ["b"], ["a", "2"])]],
    ["several extensions", "foo, bar; a, baz", [offer("foo"), offer("bar", ["a"]), offer("baz")]],
    ["an extension twice, in the order of preference", "foo; a, foo", [offer("foo", ["a"]), offer("foo")]],
    ["no white space at all", "foo;a=1,bar", [offer("foo", ["a", "1"]), offer("bar")]],
    ["white space everywhere", " foo\t;  a =\t1 , \tbar ", [offer("foo", ["a", "1"]), offer("bar")]],
    ["empty elements", ",, foo, ,bar,\t,", [offer("foo"), offer("bar")]],
    ["a quoted value", 'foo; a="10"', [offer("foo", ["a", "10"])]],
    ["a quoted value with escapes", 'foo; a="\\1\\0"', [offer("foo", ["a", "10"])]],
    ["a quoted value before more", 'foo; a="1"; b="2" , bar', [offer("foo", ["a", "1"], ["b", "2"]), offer("bar")]],
    ["every character of a token", "!#$%&'*+-.^_`|~09AZaz", [offer("!#$%&'*+-.^_`|~09AZaz")]],
    ["names that every object has", "__proto__; constructor=toString, toString; __proto__, constructor", [
      offer("__proto__", ["constructor", "toString"]),
      offer("toString", ["__proto__"]),
      offer("constructor"),
    ]],
  ])("%s", (_name, value, offers) => {
    expect(parseExtensions(value)).toEqual(offers);
  });
});

describe("parseExtensions refuses", () => {
  test.each<[name: string, value: string]>([
    ["nothing", ""],
    ["nothing but white space", " \t "],
    ["nothing but empty elements", ", ,"],
    ["a parameter without a name", "foo;"],
    ["a parameter without a name before others", "foo; ; a"],
    ["a parameter without a name before the next extension", "foo; , bar"],
    ["a parameter without an extension", "; a"],
    ["a value without a parameter", "foo; =1"],
    ["a value of the extension itself", "foo=1"],
    ["a parameter without its value", "foo; a="],
    ["a parameter without its value before others", "foo; a=; b"],
    ["a second value", "foo; a=1=2"],
    ["two names in one element", "foo bar"],
    ["two names of one parameter", "foo; a b"],
    ["two values of one parameter", "foo; a=1 2"],
    ["a quoted extension", '"foo"'],
    ["a quoted parameter", 'foo; "a"'],
    ["a quoted value that never ends", 'foo; a="1'],
    ["a quote that never ends", 'foo; a="'],
    ["an escape at the end", 'foo; a="1\\'],
    ["an escaped quote that never ends", 'foo; a="1\\"'],
    ["an empty quoted value", 'foo; a=""'],
    ["a quoted space", 'foo; a="1 2"'],
    ["a quoted comma", 'foo; a="1,2"'],
    ["an escaped quote in a value", 'foo; a="\\""'],
    ["an escaped backslash in a value", 'foo; a="\\\\"'],
    ["text after a quoted value", 'foo; a="1"2'],
    ["a quote inside a value", 'foo; a=1"2"'],
    ["a slash", "foo/1"],
    ["a control character", "foo\x00"],
    ["a line break", "foo\r\nbar"],
    ["a letter beyond ASCII", "föö"],
    ["a no-break space", "foo;\u00a0a"],
  ])("%s", (_name, value) => {
    const refusal = expect(() => parseExtensions(value));
    refusal.toThrow(HandshakeError);
    refusal.toThrow(expect.objectContaining({ status: 400 }));
  });

  test("a malformed header and names the place", () => {
    expect(() => parseExtensions("foo; a=/")).toThrow("Sec-WebSocket-Extensions is malformed at character 8");
    expect(() => parseExtensions('foo; a="b')).toThrow("Sec-WebSocket-Extensions is malformed at character 10");
  });
});

describe("parseExtensions takes eight times as long, not sixty-four, for eight times as many", () => {
  test.each<[name: string, make: (size: number) => string]>([
    ["spaces", (size) => " ".repeat(size)],
    ["spaces before an error", (size) => `foo;${" ".repeat(size)}/`],
    ["spaces and tabs around an equals sign", (size) => `foo; a${" \t".repeat(size / 4)}=${" \t".repeat(size / 4)}1`],
    ["commas", (size) => ", ".repeat(size / 2)],
    ["extensions", (size) => "a,".repeat(size / 2)],
    ["parameters", (size) => `foo${";a=1".repeat(size / 4)}`],
    ["characters of one name", (size) => "a".repeat(size)],
    ["escapes", (size) => `foo; a="${"\\a".repeat(size / 2)}"`],
    ["backslashes in a quote that never ends", (size) => `foo; a="${"\\".repeat(size)}`],
    ["quotes that never end", (size) => `foo${'; a="\\"'.repeat(size / 7)}`],
  ])("%s", { tags: "heavy" }, (_name, make) => {
    const parse = (size: number): void => {
      try {
        parseExtensions(make(size));
      } catch (error) {
        if (!(error instanceof HandshakeError)) throw error;
      }
    };
    expect(growthOverEight(16_384, parse)).toBeLessThan(40);
  });
});
