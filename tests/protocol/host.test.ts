import { describe, expect, test } from "vitest";
import { isHost } from "../../src/protocol/host.ts";

describe("isHost: RFC 3986 §3.2.2 and §3.2.3", () => {
  test.each([
    "localhost",
    "a",
    "example.com",
    "EXAMPLE.com.",
    "my_host-1.example",
    "xn--bcher-kva.example",
    "b%C3%BCcher.example",
    "127.0.0.1",
    "999.999.999.999",
    "!$&'()*+;=~",
    "localhost:3000",
    "localhost:",
    "example.com:65535",
    "[::]",
    "[::1]:8080",
    "[::1]:",
    "[2001:db8::8:800:200C:417A]",
    "[1:2:3:4:5:6:7:8]",
    "[1:2:3:4:5:6:7::]",
    "[::2:3:4:5:6:7:8]",
    "[::ffff:129.144.52.38]:80",
    "[1:2:3:4:5:6:255.249.199.9]",
    "[v7.a:b;c]",
    "[v1F.a]",
  ])("takes %s", (host) => {
    expect(isHost(host)).toBe(true);
  });

  test.each([
    "",
    ":",
    ":80",
    " ",
    "a b",
    "a, b",
    "a,b",
    ",",
    "a,",
    "a:80, a:80",
    "user@a",
    "user:password@a",
    "a:x",
    "a:80:80",
    "a:-1",
    "a/",
    "a/b",
    "a?b",
    "a#b",
    "http://a",
    "a\\b",
    '"a"',
    "<a>",
    "a|b",
    "%",
    "%2",
    "%zz",
    "ü",
    "a\0",
    "a\n",
    "a\r\nb",
    "\x7f",
    "::1",
    "[]",
    "[",
    "[::1",
    "::1]",
    "[::1]a",
    "a[::1]",
    "[::1]:x",
    "[:]",
    "[:::]",
    "[1::2::3]",
    "[1:2:3::4:5:6::7:8]",
    "[1:2:3:4:5:6:7]",
    "[1:2:3:4:5:6:7:8:9]",
    "[1:2:3:4:5:6:7:8::]",
    "[12345::]",
    "[g::]",
    "[127.0.0.1]",
    "[1:2:3:4:5:6:7:127.0.0.1]",
    "[127.0.0.1::]",
    "[::256.0.0.1]",
    "[::1.2.3]",
    "[::1.2.3.]",
    "[::1.2.3.4.]",
    "[::1.2.3.4.5]",
    "[1:12345:3:4:5:6:1.2.3.4]",
    "[::01.2.3.4]",
    "[fe80::1%eth0]",
    "[v.a]",
    "[v7.]",
  ])("refuses %j", (host) => {
    expect(isHost(host)).toBe(false);
  });

  test.each([
    ["letters", "a"],
    ["dots", "."],
    ["colons", ":"],
    ["percent signs", "%41"],
    ["groups", "[1:"],
  ])("takes linear time for many %s", { tags: "heavy" }, (_name, unit) => {
    const timeOf = (count: number): number => {
      const text = `[${unit.repeat(count)}`;
      const before = performance.now();
      for (let i = 0; i < 20; i++) expect(isHost(text) || isHost(text.slice(1)) || true).toBe(true);
      return performance.now() - before;
    };
    timeOf(1_000);
    // The 100 ms allow for pauses of the machine. A pattern of quadratic time would take seconds.
    expect(timeOf(100_000)).toBeLessThan(20 * timeOf(10_000) + 100);
  });
});
