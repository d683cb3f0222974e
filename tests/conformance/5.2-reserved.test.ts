// §5.2: reserved bits that no extension defines, and reserved opcodes, fail the connection.

import { type Case, runCases, says } from "../support/conformance.ts";
import { echoServer } from "../support/echo-server.ts";
import { closeBody, continuation, frame, opcodes, ping, text } from "../support/frames.ts";

const server = echoServer();

const bits = ["RSV3", "RSV2", "RSV2 + RSV3", "RSV1", "RSV1 + RSV3", "RSV1 + RSV2", "RSV1 + RSV2 + RSV3"];
const reservedOpcodes = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15];

for (const [kind, opcode] of Object.entries(opcodes)) {
  const payload = opcode === opcodes.close ? closeBody(1000) : kind;
  const before = opcode === opcodes.continuation ? [text("begun ", { fin: false })] : [];
  runCases(
    `refuses reserved bits on a ${kind} frame`,
    server,
    bits.map((name, index) => ({
      name,
      sends: [...before, frame(opcode, payload, { rsv: index + 1 })],
      fault: 1002,
    })),
  );
}

runCases("refuses a reserved bit anywhere", server, [
  {
    name: "after two good messages, which are echoed",
    sends: [text("one"), text("two"), text("three", { rsv: 2 }), ping("late")],
    answers: [says.text("one"), says.text("two")],
    fault: 1002,
  },
  {
    name: "on an empty text",
    sends: [text("", { rsv: 1 })],
    fault: 1002,
  },
  {
    name: "on the first fragment",
    sends: [text("one ", { rsv: 4, fin: false }), continuation("two")],
    fault: 1002,
  },
  {
    name: "on the last fragment",
    sends: [text("one ", { fin: false }), continuation("two ", { fin: false }), continuation("three", { rsv: 4 })],
    fault: 1002,
  },
  {
    name: "on a ping between fragments",
    sends: [text("one ", { fin: false }), ping("", { rsv: 4 }), continuation("two")],
    fault: 1002,
  },
  {
    name: "in a header whose payload never comes",
    sends: [text("x".repeat(300), { rsv: 1 }).subarray(0, 8)],
    fault: 1002,
  },
]);

runCases(
  "refuses reserved opcodes",
  server,
  reservedOpcodes.flatMap((opcode): Case[] => [
    { name: `${opcode}, empty`, sends: [frame(opcode)], fault: 1002 },
    { name: `${opcode}, with a payload`, sends: [frame(opcode, "payload")], fault: 1002 },
    {
      name: `${opcode}, after a good message and before a ping`,
      sends: [text("good"), frame(opcode, "payload"), ping()],
      answers: [says.text("good")],
      fault: 1002,
    },
    {
      name: `${opcode}, inside a fragmented message`,
      sends: [text("one ", { fin: false }), frame(opcode, "between"), continuation("two")],
      fault: 1002,
    },
    { name: `${opcode}, without FIN`, sends: [frame(opcode, "part", { fin: false })], fault: 1002 },
  ]),
);
