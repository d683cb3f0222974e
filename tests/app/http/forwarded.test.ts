import type { IncomingHttpHeaders } from "node:http";
import { describe, expect, test } from "vitest";
import { type Part, partsOfForwarded, partsOfXForwarded } from "../../../src/app/http/forwarded.ts";

/** The part that the nearest proxy has added. Undefined if there is none, or if it is malformed. */
function lastPart(parts: Iterable<Part> | undefined): Part | undefined {
  const [part] = parts ?? [];
  return part;
}

const forwardedFor = (list: string): Part | undefined => lastPart(partsOfXForwarded({ "x-forwarded-for": list }));

describe("an address", () => {
  test.each([
    ["1.2.3.4", "1.2.3.4"],
    ["1.2.3.4:5678", "1.2.3.4"],
    ["1.2.3.4:_port", "1.2.3.4"],
    ["2001:db8::1", "2001:db8::1"],
    ["2001:DB8::1", "2001:db8::1"],
    ["[2001:db8::1]", "2001:db8::1"],
    ["[2001:db8::1]:5678", "2001:db8::1"],
    ["::ffff:1.2.3.4", "::ffff:1.2.3.4"],
    ["fe80::1%eth0", "fe80::1"],
    ["unknown", undefined],
    ["_hidden", undefined],
    ["_SEVKISEK", undefined],
    ["unix:", undefined],
    ["1.2.3", undefined],
    ["1.2.3.256", undefined],
    ["[1.2.3.4]", undefined],
    ["[2001:db8::1", undefined],
    ["1.2.3.4:", undefined],
    ["localhost", undefined],
    ["1.2.3.4 5.6.7.8", undefined],
    ['"', undefined],
  ])("%s is read as %s", (written, expected) => {
    expect(forwardedFor(`6.6.6.6, ${written}, `)).toHaveProperty("address", expected);
    const quoted = `"${written.replaceAll('"', '\\"')}"`;
    expect(lastPart(partsOfForwarded({ forwarded: `for=6.6.6.6, for=${quoted}` }))).toHaveProperty("address", expected);
  });
});

describe("Forwarded", () => {
  test.each<[string, Partial<Part> | undefined]>([
    ["for=1.2.3.4", { address: "1.2.3.4" }],
    ["For=1.2.3.4;Proto=https;Host=mysite.com", { address: "1.2.3.4", protocol: "https", host: "mysite.com" }],
    ['for="[2001:db8::1]:4711";proto="HTTPS"', { address: "2001:db8::1", protocol: "https" }],
    ['for=1.2.3.4 ; host="mysite.com:8443"; by=_me', { address: "1.2.3.4", host: "mysite.com:8443" }],
    ["for=1.2.3.4:4711", { address: "1.2.3.4" }],
    ["for=_hidden;proto=http;host=mysite.com", { protocol: "http", host: "mysite.com" }],
    ["proto=wss", { protocol: "https" }],
    ["proto=ws", { protocol: "http" }],
    ['for="1.2.3.\\4"', { address: "1.2.3.4" }],
    ['for=6.6.6.6, for=1.2.3.4;by="a,b;c\\""', { address: "1.2.3.4" }],
    // A client's quote or backslash does not reach into the part of the proxy.
    ['for="6.6.6.6, for=1.2.3.4', { address: "1.2.3.4" }],
    ['for="\\, for=1.2.3.4', { address: "1.2.3.4" }],
    ['for=", for="1.2.3.4"', { address: "1.2.3.4" }],
    ["for=1.2.3.4;proto=ftp;host=a/b", { address: "1.2.3.4" }],
    ["for=1.2.3.4;for=6.6.6.6", undefined],
    ["for", undefined],
    ["for=", undefined],
    ["=1.2.3.4", undefined],
    ['for="1.2.3.4', undefined],
    ['for="1.2.3.4"x', undefined],
    ["", undefined],
    [", ,", undefined],
  ])("%s", (forwarded, expected) => {
    const part = expected && { address: undefined, protocol: undefined, host: undefined, ...expected };
    expect(lastPart(partsOfForwarded({ forwarded }))).toEqual(part);
  });
});

test("the parts come from the right, and empty elements are left out", () => {
  const addresses = (parts: Iterable<Part> | undefined): unknown[] => [...parts!].map(({ address }) => address);
  expect(addresses(partsOfForwarded({ forwarded: ",for=1.1.1.1,, for=2.2.2.2;by=x , ," }))).toEqual([
    "2.2.2.2",
    "1.1.1.1",
  ]);
  expect(addresses(partsOfXForwarded({ "x-forwarded-for": ",1.1.1.1,, 2.2.2.2 , ," }))).toEqual([
    "2.2.2.2",
    "1.1.1.1",
    undefined,
  ]);
});

test("a header in several lines is one list, and a value that is no text is none: requests may come from other makers", () => {
  const lines = (values: unknown): IncomingHttpHeaders =>
    ({ forwarded: values, "x-forwarded-for": values }) as IncomingHttpHeaders;
  const addresses = (parts: Iterable<{ address: string | undefined }> | undefined): unknown =>
    parts && [...parts].map(({ address }) => address);
  expect(addresses(partsOfXForwarded(lines(["1.1.1.1", "2.2.2.2"])))).toEqual(["2.2.2.2", "1.1.1.1", undefined]);
  expect(addresses(partsOfForwarded(lines(["for=1.1.1.1", "for=2.2.2.2"])))).toEqual(["2.2.2.2", "1.1.1.1"]);
  expect([addresses(partsOfForwarded(lines(42))), addresses(partsOfXForwarded(lines(42)))]).toEqual([
    undefined,
    undefined,
  ]);
});

test("a request without the headers has no parts", () => {
  const headers: IncomingHttpHeaders = { host: "mysite.com" };
  expect([partsOfForwarded(headers), partsOfXForwarded(headers)]).toEqual([undefined, undefined]);
});

test.each(['"', "\\", ",", '\\"', '",', "a=b;", 'a="\\";', "1.1.1.1,", "for=1.1.1.1,"])(
  "a header of a megabyte is read in linear time: %s",
  { tags: "heavy" },
  (unit) => {
    const text = unit.repeat(1_000_000 / unit.length);
    for (const tail of ["", '"', "x"]) {
      for (const parts of [partsOfForwarded, partsOfXForwarded]) {
        const headers = { forwarded: text + tail, "x-forwarded-for": text + tail, "x-forwarded-host": text + tail };
        expect([...parts(headers)!].length).toBeLessThanOrEqual(text.length);
      }
    }
  },
);
