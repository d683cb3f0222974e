// The opening handshake: whatever the headers say, they are refused as documented or taken as the RFCs read them.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseExtensions } from "../../src/protocol/extensions.ts";
import { chooseSubprotocol, encodeHandshakeResponse } from "../../src/protocol/handshake.ts";
import { negotiateDeflate } from "../../src/protocol/permessage-deflate.ts";
import { faultOfAnswer, isAcceptable, readExtensions } from "./extension-oracle.ts";
import { checkExtensions, checkHandshake, resultOf, rightHeaders } from "./handshake-oracle.ts";
import { fuzz } from "./runs.ts";
import { expectSame } from "./same.ts";
import { anyText, headerPieces, piecesOf, strange } from "./texts.ts";

const value = fc.oneof(
  { weight: 4, arbitrary: anyText },
  {
    weight: 2,
    arbitrary: piecesOf(["websocket", "WebSocket", "Upgrade", "upgrade", "keep-alive", ",", ", ", " ", "\t", "13"], 6),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("0", "13", "", "A".repeat(22) + "==", "/".repeat(22) + "==", "[::1]:80", "a.b"),
  },
);
const headerValue: fc.Arbitrary<string | string[] | undefined> = fc.oneof(
  { weight: 6, arbitrary: value },
  { weight: 1, arbitrary: fc.array(value, { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.constant(undefined) },
);
const names = [...Object.keys(rightHeaders), "sec-websocket-protocol", "sec-websocket-extensions", "content-length"]
  .concat("transfer-encoding");

describe("a handshake", () => {
  test("with any headers is taken, or refused with the status that it deserves", async () => {
    await fuzz(
      20_000,
      fc.property(
        fc.oneof({ weight: 30, arbitrary: fc.constant("GET") }, fc.constantFrom("POST", "get", "")),
        fc.oneof({ weight: 30, arbitrary: fc.constant("1.1") }, fc.constantFrom("1.0", "2.0", "")),
        fc.array(fc.tuple(fc.constantFrom(...names), headerValue), { maxLength: 4 }),
        (method, httpVersion, changes) => {
          checkHandshake(method, httpVersion, { ...rightHeaders, ...Object.fromEntries(changes) });
        },
      ),
    );
  });
});

describe("Sec-WebSocket-Extensions", () => {
  const parameterNames = ["server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits"]
    .concat("client_max_window_bits", "x", "__proto__", "constructor");
  const values = [undefined, "8", "9", "10", "15", "16", "7", "015", "0", "1e1", "x", "-1", "９"];
  const text = piecesOf([
    ...headerPieces,
    'a; x="',
    '"',
    '", b',
    "permessage-deflate",
    ...parameterNames,
    "10",
    "\n",
    "\xe9",
  ], 14);
  const offer = fc.tuple(
    fc.constantFrom("permessage-deflate", "permessage-deflate", "Permessage-Deflate", "x", "__proto__"),
    fc.array(fc.tuple(fc.constantFrom(...parameterNames), fc.constantFrom(...values)), { maxLength: 4 }),
  );
  const settings = fc.record({
    contextTakeover: fc.boolean(),
    serverMaxWindowBits: fc.integer({ min: 9, max: 15 }),
    clientMaxWindowBits: fc.integer({ min: 9, max: 15 }),
  });
  const space = fc.constantFrom("", "", " ", "\t", "  ");

  test("of any text is read as RFC 6455 §9.1 reads it", async () => {
    await fuzz(
      20_000,
      fc.property(text, checkExtensions),
    );
  });

  test("of any offers gets an answer that RFC 7692 §7.1 allows, whenever it allows one", async () => {
    await fuzz(
      20_000,
      fc.property(fc.array(offer, { maxLength: 3 }), settings, (offers, settings) => {
        const given = offers.map(([name, parameters]) => ({
          name,
          parameters: parameters.map(([name, value]) => ({ name, value })),
        }));
        const agreement = negotiateDeflate(given, settings);
        const taken = offers.find(isAcceptable);
        if (agreement === undefined || taken === undefined) {
          expect([agreement, taken], JSON.stringify(offers)).toEqual([undefined, undefined]);
          return;
        }
        const fault = faultOfAnswer(agreement.header, taken, settings);
        expectSame(fault ?? "right", "right", () => JSON.stringify({ offers, settings, agreement }));
        const read = new Map(readExtensions(agreement.header)![0][1]);
        const said = {
          serverNoContextTakeover: read.has("server_no_context_takeover"),
          clientNoContextTakeover: read.has("client_no_context_takeover"),
          serverMaxWindowBits: Number(read.get("server_max_window_bits") ?? 15),
          clientMaxWindowBits: Number(read.get("client_max_window_bits") ?? 15),
        };
        const { header: _header, ...meant } = agreement;
        expectSame(JSON.stringify(meant), JSON.stringify(said), () => JSON.stringify({ offers, settings, agreement }));
      }),
    );
  });

  test("is read the same whatever white space and quotes it has", async () => {
    await fuzz(
      10_000,
      fc.property(
        fc.array(offer, { minLength: 1, maxLength: 3 }),
        fc.array(space, { minLength: 8 }),
        fc.boolean(),
        (offers, spaces, isQuoted) => {
          let count = 0;
          const ows = (): string => spaces[count++ % spaces.length];
          const quote = (value: string): string =>
            !isQuoted ? value : `"${[...value].map((each) => (count++ % 2 ? `\\${each}` : each)).join("")}"`;
          const wanted = offers.map(([name, parameters]) => ({
            name,
            parameters: parameters.map(([name, value]) => ({ name, value: value === "９" ? "9" : value })),
          }));
          const header = wanted.map(({ name, parameters }) =>
            name +
            parameters.map(({ name, value }) =>
              `${ows()};${ows()}${name}${value === undefined ? "" : `${ows()}=${ows()}${quote(value)}`}`
            ).join("")
          ).join(`${ows()},${ows()}`);
          expectSame(JSON.stringify(parseExtensions(header)), JSON.stringify(wanted), () => JSON.stringify(header));
        },
      ),
    );
  });
});

test("a subprotocol is the first of the server's that the client offers, or the handshake is refused", async () => {
  const list = fc.array(fc.constantFrom("a", "A", "b", "chat", "__proto__", "toString"), { maxLength: 4 });
  await fuzz(
    10_000,
    fc.property(list, list, (supported, offered) => {
      const result = resultOf(() => chooseSubprotocol(supported, offered));
      const common = supported.filter((each) => new Set(offered).has(each));
      const isRefused = common.length === 0 && supported.length > 0 && offered.length > 0;
      expectSame(String(result), String(isRefused ? 400 : common[0]), () => JSON.stringify([supported, offered]));
    }),
  );
});

test("no header of a response can begin another line", async () => {
  const text = piecesOf(["a", "-", ":", " ", "X", ...strange], 6);
  await fuzz(
    10_000,
    fc.property(fc.array(fc.tuple(text, text), { maxLength: 3 }), text, (headers, subprotocol) => {
      let head: string;
      try {
        head = encodeHandshakeResponse({ accept: "x", subprotocol, headers });
      } catch (error) {
        expectSame((error as Error).name, "TypeError", () => JSON.stringify([headers, subprotocol]));
        return;
      }
      const lines = head.split(/\r\n|\r|\n/);
      expectSame(String(lines.length), String(7 + headers.length), () => JSON.stringify([headers, subprotocol]));
      expectSame(
        String(/[^\t\x20-\x7e\x80-\xff]/.test(lines.join(""))),
        "false",
        () => JSON.stringify([headers, subprotocol]),
      );
    }),
  );
});
