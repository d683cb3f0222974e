// §8.1: text is UTF-8, and a server fails the connection at the first octet that cannot be part of it.

import { describe, expect, test } from "vitest";
import { type Case, runCases, says } from "../support/conformance.ts";
import { echoServer } from "../support/echo-server.ts";
import { binary, close, continuation, fragmented, frame, opcodes, ping, text } from "../support/frames.ts";
import { hex } from "../support/hex.ts";

const server = echoServer();

const valid: [string, Uint8Array][] = [
  ["the first character, U+0000", hex("00")],
  ["the last of one octet, U+007F", hex("7f")],
  ["the first of two, U+0080", hex("c280")],
  ["the last of two, U+07FF", hex("dfbf")],
  ["the first of three, U+0800", hex("e0a080")],
  ["the first after e0, U+1000", hex("e18080")],
  ["the last before the surrogates, U+D7FF", hex("ed9fbf")],
  ["the first after the surrogates, U+E000", hex("ee8080")],
  ["the replacement character, U+FFFD", hex("efbfbd")],
  ["a noncharacter, U+FFFE", hex("efbfbe")],
  ["the last of three, U+FFFF", hex("efbfbf")],
  ["the noncharacters U+FDD0 and U+FDEF", hex("efb790 efb7af")],
  ["the first of four, U+10000", hex("f0908080")],
  ["a noncharacter beyond, U+1FFFE", hex("f09fbfbe")],
  ["the first after f0, U+40000", hex("f1808080")],
  ["the last before f4, U+FFFFF", hex("f3bfbfbf")],
  ["the last of all, U+10FFFF", hex("f48fbfbf")],
  ["a byte order mark, kept", hex("efbbbf 61")],
  ["a byte order mark in the middle, kept", hex("61 efbbbf 62")],
  ["a letter and its combining marks", hex("65 cc81 cca7")],
  ["a family held together by joiners", Buffer.from("👩‍👩‍👧‍👦")],
  ["Greek", Buffer.from("Ἀρχή")],
  ["right to left", Buffer.from("שלום سلام")],
  ["Chinese, Korean and Thai", Buffer.from("春眠不覺曉 안녕 สวัสดี")],
  ["flags and skin tones", Buffer.from("🇪🇺 👍🏽")],
  ["one octet more at each turn", hex("61 c3a4 e282ac f09d849e e282ac c3a4 61")],
  ["63 ASCII letters, then two octets", Buffer.from("a".repeat(63) + "é")],
  ["64 ASCII letters, then three octets", Buffer.from("a".repeat(64) + "€")],
  ["65 ASCII letters, then four octets", Buffer.from("a".repeat(65) + "🌍")],
  ["every ASCII character", Uint8Array.from({ length: 128 }, (_, i) => i)],
];

runCases(
  "echoes good text",
  server,
  valid.map(([name, bytes]) => ({
    name,
    sends: [text(bytes)],
    answers: [says.text(bytes)],
  })),
);

runCases(
  "echoes good text, cut into fragments between any two octets",
  server,
  valid.map(([name, bytes]) => ({
    name,
    sends: fragmented(opcodes.text, Array.from(bytes, (octet) => Uint8Array.of(octet))),
    answers: [says.text(bytes)],
  })),
);

runCases("joins the octets of a character", server, [
  {
    name: "with a ping between them",
    sends: [text(hex("61 f09f"), { fin: false }), ping("?"), continuation(hex("8c8d 62"))],
    answers: [says.pong("?"), says.text("a🌍b")],
  },
  {
    name: "with an empty fragment between them",
    sends: fragmented(opcodes.text, [hex("e2"), "", hex("82"), "", hex("ac")]),
    answers: [says.text("€")],
  },
  {
    name: "on both sides of 64 KiB",
    sends: fragmented(opcodes.text, [Buffer.concat([Buffer.alloc(65_535, "a"), hex("f0")]), hex("9f8c8d")]),
    answers: [says.text("a".repeat(65_535) + "🌍")],
  },
  {
    name: "and not with those of the next message",
    sends: [text("é"), text("a"), text("ü")],
    answers: [says.text("é"), says.text("a"), says.text("ü")],
  },
]);

/** Octets that a valid text can begin with, then the first octet that cannot follow them, then more octets. */
const invalid: [name: string, good: string, bad: string, rest: string][] = [
  ["a continuation octet with nothing before it, 80", "", "80", ""],
  ["the last continuation octet, bf", "", "bf", ""],
  ["several continuation octets", "", "80", "bf 80 bf"],
  ["a continuation octet after ASCII", "61 62 63", "80", "64"],
  ["a continuation octet too many", "c3a9", "a9", "61"],
  ["a continuation octet too many after three", "e282ac", "ac", ""],
  ["a continuation octet too many after four", "f09f8c8d", "8d", ""],
  ["a lead octet followed by ASCII, c2", "c2", "20", ""],
  ["a lead octet followed by ASCII, df", "df", "7f", ""],
  ["a lead octet followed by ASCII, e0", "e0", "20", "20"],
  ["a lead octet followed by ASCII, ef", "ef", "20", "20"],
  ["a lead octet followed by ASCII, f0", "f0", "20", "20"],
  ["a lead octet followed by ASCII, f4", "f4", "20", "20"],
  ["a lead octet followed by a lead octet of two", "c3", "c3", "a9"],
  ["a lead octet followed by a lead octet of three", "e2", "e2", "82ac"],
  ["two of three octets, then ASCII", "e282", "61", ""],
  ["two of three octets, then a lead octet", "e282", "e2", "82ac"],
  ["two of four octets, then ASCII", "f09f", "61", ""],
  ["three of four octets, then ASCII", "f09f8c", "61", ""],
  ["three of four octets, then a lead octet", "f09f8c", "c3", "a9"],
  ["an overlong slash in two octets", "2f", "c0", "af"],
  ["an overlong NUL in two octets", "", "c0", "80"],
  ["the highest overlong in two octets", "", "c1", "bf"],
  ["an overlong slash in three octets", "e0", "80", "af"],
  ["the lowest overlong in three octets", "e0", "80", "80"],
  ["the highest overlong in three octets", "e0", "9f", "bf"],
  ["an overlong slash in four octets", "f0", "80", "80af"],
  ["the lowest overlong in four octets", "f0", "80", "8080"],
  ["the highest overlong in four octets", "f0", "8f", "bfbf"],
  ["the first high surrogate", "ed", "a0", "80"],
  ["the last high surrogate", "ed", "af", "bf"],
  ["the first low surrogate", "ed", "b0", "80"],
  ["the last low surrogate", "ed", "bf", "bf"],
  ["a pair of surrogates", "ed", "a0", "80 edb080"],
  ["a pair of surrogates after good text", "f09f8c8d ed", "a0", "bc edbd8d"],
  ["U+110000, one above the last", "f4", "90", "8080"],
  ["U+13FFFF", "f4", "bf", "bfbf"],
  ["U+140000", "", "f5", "808080"],
  ["f7", "", "f7", "bfbfbf"],
  ["five octets", "", "f8", "88808080"],
  ["six octets", "", "fc", "8480808080"],
  ["fe", "", "fe", ""],
  ["ff", "", "ff", ""],
  ["fe and ff, a UTF-16 byte order mark", "", "fe", "ff 0061"],
  ["Latin-1", "636166 e9", "20", "21"],
  ["good text of several kinds, then ff", "61 c3a4 e282ac f09d849e", "ff", "61"],
  ["63 ASCII letters, then 80", "61".repeat(63), "80", ""],
  ["64 ASCII letters, then c0", "61".repeat(64), "c0", ""],
  ["65 ASCII letters, then ff", "61".repeat(65), "ff", "61"],
  ["130 ASCII letters, then ff", "61".repeat(130), "ff", "61"],
];

runCases(
  "refuses bad text in one frame",
  server,
  invalid.map(([name, good, bad, rest]) => ({
    name,
    sends: [text(hex(good + bad + rest))],
    fault: 1007,
  })),
);

// The header announces more octets than are sent, so only the bad octet can have closed the connection.
runCases(
  "refuses bad text before its frame has ended",
  server,
  invalid.map(([name, good, bad]) => ({
    name,
    sends: [text(hex(good + bad), { payloadLength: 5000 })],
    fault: 1007,
  })),
);

// The Pong shows that the octets before the Ping were still valid. The message never ends.
runCases(
  "refuses bad text before its message has ended",
  server,
  invalid.map(([name, good, bad]) => ({
    name,
    sends: [text(hex(good), { fin: false }), ping("good"), continuation(hex(bad), { fin: false })],
    answers: [says.pong("good")],
    fault: 1007,
  })),
);

runCases(
  "refuses text that ends inside a character",
  server,
  [
    ["c2"],
    ["df"],
    ["e0"],
    ["e0a0"],
    ["e282"],
    ["ed9f"],
    ["f0"],
    ["f090"],
    ["f09f8c"],
    ["f48fbf"],
    ["61 c3a4 e2"],
    ["61".repeat(64) + "c3"],
  ].flatMap(([octets]): Case[] => {
    const shown = octets.slice(-12);
    return [
      { name: `…${shown} in one frame`, sends: [text(hex(octets))], fault: 1007 },
      {
        name: `…${shown} in the last fragment`,
        sends: [text("good ", { fin: false }), continuation(hex(octets))],
        fault: 1007,
      },
      {
        name: `…${shown} before an empty last fragment`,
        sends: [text(hex(octets), { fin: false }), ping("good"), continuation()],
        answers: [says.pong("good")],
        fault: 1007,
      },
    ];
  }),
);

runCases("refuses bad text after good messages", server, [
  {
    name: "after echoing the good ones",
    sends: [text("é"), binary(hex("ff")), text(hex("ff")), text("late")],
    answers: [says.text("é"), says.binary(hex("ff"))],
    fault: 1007,
  },
  {
    name: "also when the octets of the message before would have completed it",
    sends: [text("a"), text(hex("80"))],
    answers: [says.text("a")],
    fault: 1007,
  },
]);

runCases("lets binary data be no UTF-8", server, [
  ...invalid.filter((_, i) => i % 7 === 0).map(([name, good, bad, rest]): Case => ({
    name,
    sends: [binary(hex(good + bad + rest))],
    answers: [says.binary(hex(good + bad + rest))],
  })),
  {
    name: "bad text in fragments",
    sends: fragmented(opcodes.binary, [hex("c0"), hex("eda0"), hex("80ff")]),
    answers: [says.binary(hex("c0eda080ff"))],
  },
  {
    name: "all 256 octets",
    sends: [binary(Uint8Array.from({ length: 256 }, (_, i) => i))],
    answers: [says.binary(Uint8Array.from({ length: 256 }, (_, i) => i))],
  },
]);

describe("fails at the bad octet and not one later", () => {
  test.each(invalid)("%s", async (_name, good, bad) => {
    const { client, report, reported } = await server.connect();
    client.send(ping("here"));
    await client.nextFrame();
    // The zero key leaves the payload as it is written here, so that the last octet sent is the bad one.
    const bytes = frame(opcodes.text, hex(good + bad), { payloadLength: 4000, maskingKey: hex("00000000") });
    await client.sendOctets(bytes.subarray(0, -1));
    expect(client.closeFrame, "closed before the bad octet").toBeUndefined();
    expect(report.errors).toEqual([]);
    client.send(bytes.subarray(-1));
    expect((await client.closed()).code).toBe(1007);
    await reported;
  });
});

describe("large text", () => {
  const large = "Ærø, 世界, 🌍! ".repeat(3000);

  test("is echoed in pieces that cut its characters", async () => {
    const { client, reported } = await server.connect();
    const bytes = text(large);
    for (let offset = 0; offset < bytes.length; offset += 4093) client.send(bytes.subarray(offset, offset + 4093));
    expect(await client.nextMessage()).toBe(large);
    client.send(close(1000));
    await client.closed();
    await reported;
  });

  test.each([0, 1, 4095, 40_000])("is refused for one bad octet at %i", async (position) => {
    const { client, reported } = await server.connect();
    const payload = Buffer.alloc(50_000, "a");
    payload[position] = 0xff;
    client.send(text(payload));
    expect((await client.closed()).code).toBe(1007);
    await reported;
  });
});
