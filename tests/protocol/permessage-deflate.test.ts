// RFC 7692 §5 and §7.1: which of a client's offers the server takes, and which parameters its response has.

import { describe, expect, test } from "vitest";
import { parseExtensions } from "../../src/protocol/extensions.ts";
import { type DeflateSettings, negotiateDeflate } from "../../src/protocol/permessage-deflate.ts";
import { growthOverEight } from "../support/protocol.ts";

const stateless: DeflateSettings = { contextTakeover: false, serverMaxWindowBits: 15, clientMaxWindowBits: 15 };
const takeover: DeflateSettings = { ...stateless, contextTakeover: true };

/** The Sec-WebSocket-Extensions of the response to the one of a request. */
function responseTo(header: string, settings: DeflateSettings): string | undefined {
  return negotiateDeflate(parseExtensions(header), settings)?.header;
}

/** The Sec-WebSocket-Extensions of the response to an offer of permessage-deflate with these parameters. */
function responseToOffer(parameters: string, settings: DeflateSettings): string | undefined {
  return responseTo(withName(parameters), settings);
}

function withName(parameters: string): string {
  return parameters === "" ? "permessage-deflate" : `permessage-deflate; ${parameters}`;
}

const neither = "server_no_context_takeover; client_no_context_takeover";

describe("without context takeover, the response forbids it to both sides, whatever the offer says", () => {
  test.each<[offer: string, response: string]>([
    ["", neither],
    ["server_no_context_takeover", neither],
    ["client_no_context_takeover", neither],
    ["server_no_context_takeover; client_no_context_takeover", neither],
    ["client_no_context_takeover; server_no_context_takeover", neither],
    ["client_max_window_bits", neither],
    ["client_max_window_bits=8", neither],
    ["client_max_window_bits=10", neither],
    ["client_max_window_bits=15", neither],
    ["server_max_window_bits=9", `${neither}; server_max_window_bits=9`],
    ["server_max_window_bits=10", `${neither}; server_max_window_bits=10`],
    ["server_max_window_bits=14", `${neither}; server_max_window_bits=14`],
    ["server_max_window_bits=15", `${neither}; server_max_window_bits=15`],
    ["server_max_window_bits=12; client_max_window_bits=12", `${neither}; server_max_window_bits=12`],
    ['server_max_window_bits="12"', `${neither}; server_max_window_bits=12`],
    ['server_max_window_bits="\\1\\2"', `${neither}; server_max_window_bits=12`],
    ['client_max_window_bits="10"', neither],
    [
      "client_max_window_bits; server_max_window_bits=10; client_no_context_takeover; server_no_context_takeover",
      `${neither}; server_max_window_bits=10`,
    ],
  ])('"%s" → "%s"', (offer, response) => {
    expect(responseToOffer(offer, stateless)).toBe(withName(response));
  });
});

describe("with context takeover, the response forbids it to a side when the offer does", () => {
  test.each<[offer: string, response: string]>([
    ["", ""],
    ["server_no_context_takeover", "server_no_context_takeover"],
    ["client_no_context_takeover", "client_no_context_takeover"],
    ["server_no_context_takeover; client_no_context_takeover", neither],
    ["client_no_context_takeover; server_no_context_takeover", neither],
    ["client_max_window_bits", ""],
    ["client_max_window_bits=9", ""],
    ["server_max_window_bits=9", "server_max_window_bits=9"],
    ["server_max_window_bits=15", "server_max_window_bits=15"],
    ["server_max_window_bits=10; server_no_context_takeover", "server_no_context_takeover; server_max_window_bits=10"],
    ["client_max_window_bits; client_no_context_takeover", "client_no_context_takeover"],
  ])('"%s" → "%s"', (offer, response) => {
    expect(responseToOffer(offer, takeover)).toBe(withName(response));
  });
});

describe("the response has serverMaxWindowBits, or the smaller number of the offer (§7.1.2.1)", () => {
  test.each<[serverMaxWindowBits: number, offer: string, response: string]>([
    [9, "", "server_max_window_bits=9"],
    [9, "server_max_window_bits=9", "server_max_window_bits=9"],
    [9, "server_max_window_bits=10", "server_max_window_bits=9"],
    [9, "server_max_window_bits=15", "server_max_window_bits=9"],
    [12, "", "server_max_window_bits=12"],
    [12, "server_max_window_bits=9", "server_max_window_bits=9"],
    [12, "server_max_window_bits=12", "server_max_window_bits=12"],
    [12, "server_max_window_bits=15", "server_max_window_bits=12"],
    [14, "client_max_window_bits", "server_max_window_bits=14"],
    [15, "server_max_window_bits=9", "server_max_window_bits=9"],
    [15, "", ""],
  ])('%i and "%s" → "%s"', (serverMaxWindowBits, offer, response) => {
    expect(responseToOffer(offer, { ...takeover, serverMaxWindowBits })).toBe(withName(response));
    const behind = response === "" ? neither : `${neither}; ${response}`;
    expect(responseToOffer(offer, { ...stateless, serverMaxWindowBits })).toBe(withName(behind));
  });
});

describe("the response has clientMaxWindowBits when the offer allows it, and never above the offer (§7.1.2.2)", () => {
  test.each<[clientMaxWindowBits: number, offer: string, response: string]>([
    [9, "", ""],
    [9, "client_no_context_takeover", "client_no_context_takeover"],
    [9, "client_max_window_bits", "client_max_window_bits=9"],
    [9, "client_max_window_bits=8", "client_max_window_bits=8"],
    [9, "client_max_window_bits=9", "client_max_window_bits=9"],
    [9, "client_max_window_bits=15", "client_max_window_bits=9"],
    [12, "client_max_window_bits=10", "client_max_window_bits=10"],
    [12, "client_max_window_bits=15", "client_max_window_bits=12"],
    [12, "client_max_window_bits", "client_max_window_bits=12"],
    [15, "client_max_window_bits", ""],
    [15, "client_max_window_bits=10", ""],
    [15, "client_max_window_bits=15", ""],
  ])('%i and "%s" → "%s"', (clientMaxWindowBits, offer, response) => {
    expect(responseToOffer(offer, { ...takeover, clientMaxWindowBits })).toBe(withName(response));
  });

  test("behind all other parameters", () => {
    const settings = { contextTakeover: false, serverMaxWindowBits: 10, clientMaxWindowBits: 11 };
    expect(responseToOffer("client_max_window_bits", settings)).toBe(
      withName(`${neither}; server_max_window_bits=10; client_max_window_bits=11`),
    );
  });
});

/** Parameters that make an offer invalid, or one that this server cannot satisfy. */
const declined: string[] = [
  // Unknown parameters (§7.1: an offer with one is declined), also with names that every JavaScript object has.
  "foo",
  "foo=1",
  "mode=10",
  "server_no_context_takeover; foo",
  "server_max_windows_bits=10",
  "client_max_window_bits; __proto__",
  "__proto__=1",
  "constructor",
  "toString",
  "hasOwnProperty=1",
  "permessage-deflate",
  // The case and the spelling of names matter.
  "Server_No_Context_Takeover",
  "CLIENT_MAX_WINDOW_BITS",
  "server-no-context-takeover",
  // The same parameter twice, with the same value or with another.
  "server_no_context_takeover; server_no_context_takeover",
  "client_no_context_takeover; client_no_context_takeover",
  "client_no_context_takeover; server_no_context_takeover; client_no_context_takeover",
  "server_max_window_bits=10; server_max_window_bits=10",
  "server_max_window_bits=10; server_max_window_bits=11",
  "client_max_window_bits; client_max_window_bits",
  "client_max_window_bits; client_max_window_bits=10",
  "client_max_window_bits=10; client_max_window_bits",
  // A value for a parameter that must have none.
  "server_no_context_takeover=1",
  "server_no_context_takeover=true",
  "server_no_context_takeover=server_no_context_takeover",
  "client_no_context_takeover=0",
  'client_no_context_takeover="10"',
  // No value for a parameter that must have one.
  "server_max_window_bits",
  // A window size that does not exist, or that is not a decimal number without leading zeros.
  ...["server_max_window_bits", "client_max_window_bits"].flatMap((name) =>
    ["0", "1", "7", "16", "17", "80", "100", "255", "4294967304", "99999999999999999999999999"]
      .concat("08", "010", "0015", "-8", "-10", "+10", "10.0", "1e1", "0xa", "0b1010", "10a", "a10", "ten", "NaN")
      .map((value) => `${name}=${value}`)
  ),
  'client_max_window_bits="08"',
  // zlib cannot make a raw stream with a window of 256 bytes.
  "server_max_window_bits=8",
  "server_max_window_bits=8; client_max_window_bits",
];

describe("an offer is declined", () => {
  test.each(declined.map((each) => [each]))('"%s"', (offer) => {
    expect(responseToOffer(offer, stateless)).toBeUndefined();
    expect(responseToOffer(offer, takeover)).toBeUndefined();
    // A valid offer behind the declined one is taken.
    expect(responseTo(`${withName(offer)}, permessage-deflate`, takeover)).toBe("permessage-deflate");
  });
});

describe("of several offers, the first that can be taken is taken", () => {
  test.each<[name: string, header: string, response: string | undefined]>([
    ["the first of two", withName("server_max_window_bits=10") + ", permessage-deflate", "server_max_window_bits=10"],
    [
      "the first of two, also when it has fewer parameters",
      `permessage-deflate, ${withName("server_max_window_bits=10")}`,
      "",
    ],
    [
      "the second, behind a window that the server cannot make",
      `${withName("server_max_window_bits=8")}, ${withName("server_max_window_bits=9")}`,
      "server_max_window_bits=9",
    ],
    [
      "the third, behind a repeated parameter and a bad value",
      `${withName("client_max_window_bits; client_max_window_bits")}, ${withName("server_max_window_bits=7")}, ${
        withName("client_no_context_takeover")
      }`,
      "client_no_context_takeover",
    ],
    [
      "one without the parameters of a declined one before it",
      `${withName(`${neither}; foo`)}, ${withName("")}`,
      "",
    ],
    ["one between other extensions", "x-unknown; a=1, permessage-deflate, permessage-bzip2", ""],
    [
      "one behind another extension with the same parameters",
      "x-webkit-deflate-frame; server_max_window_bits=8, permessage-deflate",
      "",
    ],
    ["none, among other extensions only", "x-unknown, permessage-bzip2; client_max_window_bits", undefined],
    ["none, among declined ones only", `${withName("foo")}, ${withName("server_max_window_bits=8")}`, undefined],
    ["none, among similar names", "permessage-deflate2, permessage-deflat, xpermessage-deflate", undefined],
    ["none, under the old name", "deflate-frame, x-webkit-deflate-frame", undefined],
    ["none, among names that every object has", "__proto__, constructor; toString", undefined],
  ])("%s", (_name, header, response) => {
    expect(responseTo(header, takeover)).toBe(response === undefined ? undefined : withName(response));
  });

  test("without an offer there is no agreement", () => {
    expect(negotiateDeflate([], stateless)).toBeUndefined();
    expect(negotiateDeflate([], takeover)).toBeUndefined();
  });
});

describe("for every pair of window sizes, the response stays within the offer", () => {
  const windows = [9, 10, 11, 12, 13, 14, 15];

  test.each(windows)("with windows of %i bits", (windowBits) => {
    const settings = { contextTakeover: true, serverMaxWindowBits: windowBits, clientMaxWindowBits: windowBits };
    for (const serverBits of windows) {
      for (const clientBits of [8, ...windows]) {
        const header = responseToOffer(
          `server_max_window_bits=${serverBits}; client_max_window_bits=${clientBits}`,
          settings,
        );
        const clientParameter = windowBits < 15 ? `; client_max_window_bits=${Math.min(windowBits, clientBits)}` : "";
        expect(header).toBe(
          `permessage-deflate; server_max_window_bits=${Math.min(windowBits, serverBits)}${clientParameter}`,
        );
      }
    }
  });
});

test("eight times as many offers take eight times as long, not sixty-four", { tags: "heavy" }, () => {
  const run = (count: number): void => {
    const offers = parseExtensions(`${withName("client_max_window_bits; foo")},`.repeat(count));
    expect(negotiateDeflate(offers, stateless)).toBeUndefined();
    const parameters = `${withName("")}${"; client_no_context_takeover".repeat(count)}`;
    expect(negotiateDeflate(parseExtensions(parameters), stateless)).toBeUndefined();
  };
  expect(growthOverEight(2000, run)).toBeLessThan(40);
});
