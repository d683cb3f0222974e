// RFC 7692 §5 and §7.1: which of a client's offers is taken, and what is answered to it.

import { describe, expect, test } from "vitest";
import { parseExtensions } from "../../src/protocol/extensions.ts";
import { type DeflateSettings, negotiateDeflate } from "../../src/protocol/permessage-deflate.ts";
import { growthOverEight } from "../support/protocol.ts";

const stateless: DeflateSettings = { contextTakeover: false, serverMaxWindowBits: 15, clientMaxWindowBits: 15 };
const takeover: DeflateSettings = { ...stateless, contextTakeover: true };

/** The answer to a Sec-WebSocket-Extensions header. */
function answerTo(header: string, settings: DeflateSettings): string | undefined {
  return negotiateDeflate(parseExtensions(header), settings)?.header;
}

/** The answer to permessage-deflate with these parameters. */
function answerToOffer(parameters: string, settings: DeflateSettings): string | undefined {
  return answerTo(withName(parameters), settings);
}

function withName(parameters: string): string {
  return parameters === "" ? "permessage-deflate" : `permessage-deflate; ${parameters}`;
}

const neither = "server_no_context_takeover; client_no_context_takeover";

describe("without context takeover, both sides are told to do without, whatever the offer says", () => {
  test.each<[offer: string, answer: string]>([
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
  ])('"%s" → "%s"', (offer, answer) => {
    expect(answerToOffer(offer, stateless)).toBe(withName(answer));
  });
});

describe("with context takeover, a side does without where the client asks for it", () => {
  test.each<[offer: string, answer: string]>([
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
  ])('"%s" → "%s"', (offer, answer) => {
    expect(answerToOffer(offer, takeover)).toBe(withName(answer));
  });
});

describe("serverMaxWindowBits is told, as it is or as the client wants it smaller (§7.1.2.1)", () => {
  test.each<[serverMaxWindowBits: number, offer: string, answer: string]>([
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
  ])('%i and "%s" → "%s"', (serverMaxWindowBits, offer, answer) => {
    expect(answerToOffer(offer, { ...takeover, serverMaxWindowBits })).toBe(withName(answer));
    const behind = answer === "" ? neither : `${neither}; ${answer}`;
    expect(answerToOffer(offer, { ...stateless, serverMaxWindowBits })).toBe(withName(behind));
  });
});

describe("clientMaxWindowBits is told where the client can be told, and never above what it offers (§7.1.2.2)", () => {
  test.each<[clientMaxWindowBits: number, offer: string, answer: string]>([
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
  ])('%i and "%s" → "%s"', (clientMaxWindowBits, offer, answer) => {
    expect(answerToOffer(offer, { ...takeover, clientMaxWindowBits })).toBe(withName(answer));
  });

  test("behind all the others", () => {
    const settings = { contextTakeover: false, serverMaxWindowBits: 10, clientMaxWindowBits: 11 };
    expect(answerToOffer("client_max_window_bits", settings)).toBe(
      withName(`${neither}; server_max_window_bits=10; client_max_window_bits=11`),
    );
  });
});

/** What makes an offer one that nobody may take, or that we cannot. */
const declined: string[] = [
  // Unknown parameters (§7.1: an offer with one is declined), also those that every object has.
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
  // Names are as they are written.
  "Server_No_Context_Takeover",
  "CLIENT_MAX_WINDOW_BITS",
  "server-no-context-takeover",
  // The same parameter twice, the same value or not.
  "server_no_context_takeover; server_no_context_takeover",
  "client_no_context_takeover; client_no_context_takeover",
  "client_no_context_takeover; server_no_context_takeover; client_no_context_takeover",
  "server_max_window_bits=10; server_max_window_bits=10",
  "server_max_window_bits=10; server_max_window_bits=11",
  "client_max_window_bits; client_max_window_bits",
  "client_max_window_bits; client_max_window_bits=10",
  "client_max_window_bits=10; client_max_window_bits",
  // A value where none may be.
  "server_no_context_takeover=1",
  "server_no_context_takeover=true",
  "server_no_context_takeover=server_no_context_takeover",
  "client_no_context_takeover=0",
  'client_no_context_takeover="10"',
  // No value where one must be.
  "server_max_window_bits",
  // No window that there is, or not written in decimal without leading zeros.
  ...["server_max_window_bits", "client_max_window_bits"].flatMap((name) =>
    ["0", "1", "7", "16", "17", "80", "100", "255", "4294967304", "99999999999999999999999999"]
      .concat("08", "010", "0015", "-8", "-10", "+10", "10.0", "1e1", "0xa", "0b1010", "10a", "a10", "ten", "NaN")
      .map((value) => `${name}=${value}`)
  ),
  'client_max_window_bits="08"',
  // zlib makes no raw stream with a window of 256 bytes.
  "server_max_window_bits=8",
  "server_max_window_bits=8; client_max_window_bits",
];

describe("an offer is declined", () => {
  test.each(declined.map((each) => [each]))('"%s"', (offer) => {
    expect(answerToOffer(offer, stateless)).toBeUndefined();
    expect(answerToOffer(offer, takeover)).toBeUndefined();
    // A good one behind it is taken all the same.
    expect(answerTo(`${withName(offer)}, permessage-deflate`, takeover)).toBe("permessage-deflate");
  });
});

describe("of several offers the first that can be taken is taken", () => {
  test.each<[name: string, header: string, answer: string | undefined]>([
    ["the first of two", withName("server_max_window_bits=10") + ", permessage-deflate", "server_max_window_bits=10"],
    ["the first of two, if it asks for less", `permessage-deflate, ${withName("server_max_window_bits=10")}`, ""],
    [
      "the second, behind a window that we do not make",
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
      "parameters are not carried over from one that is declined",
      `${withName(`${neither}; foo`)}, ${withName("")}`,
      "",
    ],
    ["others around it", "x-unknown; a=1, permessage-deflate, permessage-bzip2", ""],
    [
      "another with our parameters before it",
      "x-webkit-deflate-frame; server_max_window_bits=8, permessage-deflate",
      "",
    ],
    ["nothing but others", "x-unknown, permessage-bzip2; client_max_window_bits", undefined],
    ["none that is good", `${withName("foo")}, ${withName("server_max_window_bits=8")}`, undefined],
    ["a name that begins alike", "permessage-deflate2, permessage-deflat, xpermessage-deflate", undefined],
    ["the old name", "deflate-frame, x-webkit-deflate-frame", undefined],
    ["names that every object has", "__proto__, constructor; toString", undefined],
  ])("%s", (_name, header, answer) => {
    expect(answerTo(header, takeover)).toBe(answer === undefined ? undefined : withName(answer));
  });

  test("no offer at all is no agreement", () => {
    expect(negotiateDeflate([], stateless)).toBeUndefined();
    expect(negotiateDeflate([], takeover)).toBeUndefined();
  });
});

describe("every pair of values that may be offered is answered within what was offered", () => {
  const windows = [9, 10, 11, 12, 13, 14, 15];

  test.each(windows)("with windows of %i bits", (windowBits) => {
    const settings = { contextTakeover: true, serverMaxWindowBits: windowBits, clientMaxWindowBits: windowBits };
    for (const serverBits of windows) {
      for (const clientBits of [8, ...windows]) {
        const header = answerToOffer(
          `server_max_window_bits=${serverBits}; client_max_window_bits=${clientBits}`,
          settings,
        );
        const told = windowBits < 15 ? `; client_max_window_bits=${Math.min(windowBits, clientBits)}` : "";
        expect(header).toBe(`permessage-deflate; server_max_window_bits=${Math.min(windowBits, serverBits)}${told}`);
      }
    }
  });
});

test("eight times as many offers take eight times as long, not sixty-four", () => {
  const run = (count: number): void => {
    const offers = parseExtensions(`${withName("client_max_window_bits; foo")},`.repeat(count));
    expect(negotiateDeflate(offers, stateless)).toBeUndefined();
    const parameters = `${withName("")}${"; client_no_context_takeover".repeat(count)}`;
    expect(negotiateDeflate(parseExtensions(parameters), stateless)).toBeUndefined();
  };
  expect(growthOverEight(2000, run)).toBeLessThan(40);
});
