// §5.2 Base framing protocol: every length of payload in every encoding of the length.

import { describe, expect, test } from "vitest";
import { type Case, runCases, says } from "../support/conformance.ts";
import { echoServer } from "../support/echo-server.ts";
import { binary, close, continuation, type FrameOptions, pieces, ping, text } from "../support/frames.ts";
import { hex } from "../support/hex.ts";

const server = echoServer();

const lengths = [
  0,
  1,
  2,
  3,
  4,
  7,
  8,
  63,
  64,
  65,
  124,
  125,
  126,
  127,
  128,
  255,
  256,
  1000,
  65_534,
  65_535,
  65_536,
  65_537,
];

function letters(length: number): string {
  return "the quick brown fox ".repeat(Math.ceil(length / 20)).slice(0, length);
}

function octets(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => i * 7 + (i >> 8)));
}

runCases(
  "echoes text of any length",
  server,
  lengths.map((length) => ({
    name: `${length} octets`,
    sends: [text(letters(length))],
    answers: [says.text(letters(length))],
  })),
);

runCases(
  "echoes binary data of any length",
  server,
  lengths.map((length) => ({
    name: `${length} octets`,
    sends: [binary(octets(length))],
    answers: [says.binary(octets(length))],
  })),
);

runCases("reads frames wherever TCP cuts them", server, [
  ...[1, 2, 3, 5, 997, 1460, 16_384].map((size): Case => ({
    name: `65,536 octets in the same write as the next message, the first ${size} octets apart`,
    sends: splitFirst(Buffer.concat([binary(octets(65_536)), text("next")]), size),
    answers: [says.binary(octets(65_536)), says.text("next")],
  })),
  {
    name: "65,536 octets of text in pieces of 997",
    sends: pieces(text(letters(65_536)), 997),
    answers: [says.text(letters(65_536))],
  },
  {
    name: "two headers and a half in one write",
    sends: [Buffer.concat([text("one"), text("two"), text("three").subarray(0, 4)]), text("three").subarray(4)],
    answers: [says.text("one"), says.text("two"), says.text("three")],
  },
]);

// §5.2: "the minimal number of bytes MUST be used to encode the length".
const longForms: [string, number, FrameOptions][] = [
  ["0 octets in the 16-bit form", 0, { lengthBits: 16 }],
  ["1 octet in the 16-bit form", 1, { lengthBits: 16 }],
  ["125 octets in the 16-bit form", 125, { lengthBits: 16 }],
  ["0 octets in the 64-bit form", 0, { lengthBits: 64 }],
  ["125 octets in the 64-bit form", 125, { lengthBits: 64 }],
  ["126 octets in the 64-bit form", 126, { lengthBits: 64 }],
  ["65,535 octets in the 64-bit form", 65_535, { lengthBits: 64 }],
];

runCases("refuses a length that is not minimal", server, [
  ...longForms.map(([name, length, options]): Case => ({
    name: `text of ${name}`,
    sends: [text(letters(length), options)],
    fault: 1002,
  })),
  ...longForms.slice(0, 5).map(([name, length, options]): Case => ({
    name: `binary data of ${name}, after a good message`,
    sends: [binary(hex("00ff")), binary(octets(length), options)],
    answers: [says.binary(hex("00ff"))],
    fault: 1002,
  })),
  {
    name: "a continuation of 3 octets in the 16-bit form",
    sends: [text("abc", { fin: false }), continuation("def", { lengthBits: 16 })],
    fault: 1002,
  },
  { name: "a ping of 4 octets in the 16-bit form", sends: [ping("ping", { lengthBits: 16 })], fault: 1002 },
  { name: "a ping of 4 octets in the 64-bit form", sends: [ping("ping", { lengthBits: 64 })], fault: 1002 },
  { name: "a Close of 2 octets in the 16-bit form", sends: [close(1000, "", { lengthBits: 16 })], fault: 1002 },
]);

// §5.2: "the most significant bit MUST be 0". The other lengths are above every limit (§7.4.1, 1009).
runCases(
  "refuses a length that no server has memory for",
  server,
  [
    ["the top bit alone", 2n ** 63n, 1002],
    ["the top bit and 5", 2n ** 63n + 5n, 1002],
    ["every bit", 2n ** 64n - 1n, 1002],
    ["every bit but the top one", 2n ** 63n - 1n, 1009],
    ["2^53 + 1, which is no exact number", 2n ** 53n + 1n, 1009],
    ["2^53", 2n ** 53n, 1009],
    ["2^53 - 1", 2n ** 53n - 1n, 1009],
    ["2^32 + 5, whose low half is 5", 2n ** 32n + 5n, 1009],
    ["2^32", 2n ** 32n, 1009],
    ["2^31, a negative 32-bit number", 2n ** 31n, 1009],
    ["2^31 - 1", 2n ** 31n - 1n, 1009],
  ].map(([name, payloadLength, fault]): Case => ({
    name: `${name}, with 5 octets behind it`,
    sends: [text("first"), text("hello", { lengthBits: 64, payloadLength: payloadLength as bigint })],
    answers: [says.text("first")],
    fault: fault as number,
  })),
);

describe("finds each frame in a long conversation", () => {
  test("every length from 0 to 300 in one write", async () => {
    const { client, reported } = await server.connect();
    const messages = Array.from({ length: 301 }, (_, length) => octets(length));
    client.send(Buffer.concat(messages.map((message) => binary(message))));
    for (const message of messages) expect(await client.nextMessage()).toEqual(message);
    client.send(close(1000));
    expect((await client.closed()).code).toBe(1000);
    await reported;
  });

  test("1,000 messages of 0 to 130 octets in pieces of 1,021", async () => {
    const { client, reported } = await server.connect();
    const messages = Array.from({ length: 1000 }, (_, i) => letters((i * 37) % 131));
    await client.sendApart(pieces(Buffer.concat(messages.map((message) => text(message))), 1021));
    for (const message of messages) expect(await client.nextMessage()).toBe(message);
    client.send(close(1000));
    expect((await client.closed()).code).toBe(1000);
    await reported;
  });
});

// The worked examples of §5.7, octet for octet.
runCases("reads the examples of the RFC", server, [
  { name: "a masked text", sends: [hex("8185 37fa213d 7f9f4d5158")], answers: [says.text("Hello")] },
  { name: "a masked pong without a ping", sends: [hex("8a85 37fa213d 7f9f4d5158")] },
  { name: "a masked ping", sends: [hex("8985 37fa213d 7f9f4d5158")], answers: [says.pong("Hello")] },
  {
    name: "a text in two frames",
    sends: [hex("0183 00000000 48656c"), hex("8082 00000000 6c6f")],
    answers: [says.text("Hello")],
  },
  {
    name: "256 octets",
    sends: [Buffer.concat([hex("82fe 0100 00000000"), octets(256)])],
    answers: [says.binary(octets(256))],
  },
  {
    name: "65,536 octets",
    sends: [Buffer.concat([hex("82ff 0000000000010000 00000000"), octets(65_536)])],
    answers: [says.binary(octets(65_536))],
  },
]);

function splitFirst(bytes: Uint8Array, size: number): Uint8Array[] {
  return [bytes.subarray(0, size), bytes.subarray(size)];
}
