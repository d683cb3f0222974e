// §5.1 and §5.3: a client masks every frame, and a server fails the connection at a frame that is not masked.

import { type Case, runCases, says } from "../support/conformance.ts";
import { echoServer } from "../support/echo-server.ts";
import { binary, closeBody, continuation, frame, opcodes, ping, text } from "../support/frames.ts";
import { hex } from "../support/hex.ts";

const server = echoServer();

runCases("refuses a frame that is not masked", server, [
  ...Object.entries(opcodes).flatMap(([kind, opcode]): Case[] => {
    const payload = opcode === opcodes.close ? closeBody(1000) : "plain";
    const before = opcode === opcodes.continuation ? [text("begun ", { fin: false })] : [];
    return [
      { name: `a ${kind} frame`, sends: [...before, frame(opcode, payload, { maskingKey: false })], fault: 1002 },
      { name: `an empty ${kind} frame`, sends: [...before, frame(opcode, "", { maskingKey: false })], fault: 1002 },
    ];
  }),
  {
    name: "a text after a masked one",
    sends: [text("masked"), text("plain", { maskingKey: false })],
    answers: [says.text("masked")],
    fault: 1002,
  },
  {
    name: "a text of 300 octets",
    sends: [text("p".repeat(300), { maskingKey: false })],
    fault: 1002,
  },
  {
    name: "a header whose payload never comes",
    sends: [binary("p".repeat(200), { maskingKey: false }).subarray(0, 4)],
    fault: 1002,
  },
]);

const keys: [string, Buffer][] = [
  ["all zeros", hex("00000000")],
  ["all ones", hex("ffffffff")],
  ["top bits", hex("80808080")],
  ["four different octets", hex("01020408")],
  ["the payload's own octets", Buffer.from("spac")],
  ["what looks like a Close frame", hex("88020bb8")],
];

const payload = "space, unmasked: ä € 𝄞 " + "and on ".repeat(9);
const payloadBytes = Buffer.from(payload);

runCases("unmasks with any key", server, [
  ...keys.map(([name, maskingKey]): Case => ({
    name: `text, ${name}`,
    sends: [text(payload, { maskingKey })],
    answers: [says.text(payload)],
  })),
  ...keys.map(([name, maskingKey]): Case => ({
    name: `binary data of 4,099 octets, ${name}`,
    sends: [binary(Buffer.alloc(4099, payloadBytes), { maskingKey })],
    answers: [says.binary(Buffer.alloc(4099, payloadBytes))],
  })),
  {
    name: "another key for each fragment",
    sends: [
      text("one ", { fin: false, maskingKey: keys[1][1] }),
      continuation("two ", { fin: false, maskingKey: keys[3][1] }),
      ping("!", { maskingKey: keys[2][1] }),
      continuation("three", { maskingKey: keys[5][1] }),
    ],
    answers: [says.pong("!"), says.text("one two three")],
  },
  {
    name: "every length from 0 to 17 in a row",
    sends: Array.from(
      { length: 18 },
      (_, length) => binary(payloadBytes.subarray(0, length), { maskingKey: keys[3][1] }),
    ),
    answers: Array.from({ length: 18 }, (_, length) => says.binary(payloadBytes.subarray(0, length))),
  },
]);
