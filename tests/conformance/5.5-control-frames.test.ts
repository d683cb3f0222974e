// §5.5 Control frames: at most 125 octets, never fragmented; a ping is answered with its own payload.

import { describe, expect, test } from "vitest";
import { type Case, runCases, says } from "../support/conformance.ts";
import { echoServer } from "../support/echo-server.ts";
import { binary, close, continuation, frame, opcodes, ping, pong, text } from "../support/frames.ts";
import { hex } from "../support/hex.ts";

const server = echoServer();

const numbered = Array.from({ length: 10 }, (_, i) => `ping ${i}`);

runCases("answers a ping with its payload", server, [
  ...[0, 1, 2, 4, 63, 64, 65, 124, 125].map((length): Case => ({
    name: `${length} octets`,
    sends: [ping("p".repeat(length))],
    answers: [says.pong("p".repeat(length))],
  })),
  {
    name: "octets of every kind",
    sends: [ping(hex("00 ff fe fd fc fb 00 80 7f"))],
    answers: [says.pong(hex("00 ff fe fd fc fb 00 80 7f"))],
  },
  {
    name: "octets that are not valid UTF-8",
    sends: [ping(hex("c080 eda080"))],
    answers: [says.pong(hex("c080 eda080"))],
  },
  { name: "a masking key of zeros", sends: [ping("p", { maskingKey: hex("00000000") })], answers: [says.pong("p")] },
  { name: "ten in a row", sends: numbered.map((each) => ping(each)), answers: numbered.map(says.pong) },
  {
    name: "before, between and after messages, in order",
    sends: [ping("1"), text("a"), ping("2"), binary("b"), ping("3")],
    answers: [says.pong("1"), says.text("a"), says.pong("2"), says.binary("b"), says.pong("3")],
  },
  {
    name: "right before a Close",
    sends: [ping("last"), close(1000)],
    answers: [says.pong("last")],
    closed: { code: 1000, reason: "" },
  },
]);

runCases("does not answer a pong", server, [
  { name: "an empty one", sends: [pong()] },
  { name: "one with a payload", sends: [pong("unasked")] },
  { name: "one of 125 octets", sends: [pong("p".repeat(125))] },
  {
    name: "ten in a row, then a ping",
    sends: [...numbered.map((each) => pong(each)), ping("!")],
    answers: [says.pong("!")],
  },
  { name: "between two texts", sends: [text("a"), pong("b"), text("c")], answers: [says.text("a"), says.text("c")] },
]);

const controls = [["ping", opcodes.ping], ["pong", opcodes.pong], ["Close", opcodes.close]] as const;

runCases("refuses control frames above 125 octets", server, [
  ...controls.flatMap(([kind, opcode]) =>
    [126, 127, 1000, 65_535, 65_536].map((length): Case => ({
      name: `a ${kind} of ${length}`,
      sends: [frame(opcode, Buffer.concat([hex("03e8"), Buffer.alloc(length - 2, "p")]))],
      fault: 1002,
    }))
  ),
  ...controls.map(([kind, opcode]): Case => ({
    name: `a ${kind} that announces 126, before any of it comes`,
    sends: [frame(opcode, Buffer.alloc(126)).subarray(0, 2)],
    fault: 1002,
  })),
  ...controls.map(([kind, opcode]): Case => ({
    name: `a ${kind} that announces 2^63 - 1`,
    sends: [frame(opcode, "", { payloadLength: 2n ** 63n - 1n })],
    fault: 1002,
  })),
  {
    name: "a ping of 126 after a good one",
    sends: [ping("good"), ping("p".repeat(126)), ping("late")],
    answers: [says.pong("good")],
    fault: 1002,
  },
]);

runCases("refuses fragmented control frames", server, [
  ...controls.flatMap(([kind, opcode]): Case[] => [
    { name: `a ${kind} without FIN`, sends: [frame(opcode, hex("03e8"), { fin: false })], fault: 1002 },
    { name: `an empty ${kind} without FIN`, sends: [frame(opcode, "", { fin: false })], fault: 1002 },
    {
      name: `a ${kind} without FIN inside a message`,
      sends: [text("a", { fin: false }), frame(opcode, "", { fin: false }), continuation("b")],
      fault: 1002,
    },
  ]),
  {
    name: "a ping and its continuation",
    sends: [ping("pi", { fin: false }), continuation("ng")],
    fault: 1002,
  },
]);

describe("a ping while a message is still coming", () => {
  test("is answered before the message ends", async () => {
    const { client, reported } = await server.connect();
    client.send(text("begun, ", { fin: false }), ping("there?"));
    expect((await client.nextFrame()).payload.toString()).toBe("there?");
    client.send(continuation("done"));
    expect(await client.nextMessage()).toBe("begun, done");
    client.send(close(1000));
    expect((await client.closed()).code).toBe(1000);
    await reported;
  });
});
