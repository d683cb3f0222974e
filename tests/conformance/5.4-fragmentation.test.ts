// §5.4 Fragmentation: messages in several frames, with control frames between them.

import { type Case, runCases, says } from "../support/conformance.ts";
import { echoServer } from "../support/echo-server.ts";
import { binary, close, continuation, fragmented, opcodes, ping, pong, text } from "../support/frames.ts";

const server = echoServer();

const more = { fin: false };

const splits: [string, string[]][] = [
  ["two fragments", ["Hel", "lo"]],
  ["three fragments", ["Hel", "l", "o"]],
  ["an octet each", [..."Hello"]],
  ["the first fragment empty", ["", "Hello"]],
  ["the last fragment empty", ["Hello", ""]],
  ["an empty fragment in the middle", ["Hel", "", "lo"]],
  ["many empty fragments in the middle", ["Hel", "", "", "", "", "", "lo"]],
  ["nothing but empty fragments", ["", "", ""]],
  ["two empty fragments", ["", ""]],
  ["fragments with a 16-bit length", ["a".repeat(130), "b".repeat(126)]],
  ["small after large", ["a".repeat(3000), "b"]],
  ["large after small", ["a", "b".repeat(70_000)]],
];

runCases(
  "joins the fragments of a text",
  server,
  splits.map(([name, parts]) => ({
    name,
    sends: fragmented(opcodes.text, parts),
    answers: [says.text(parts.join(""))],
  })),
);

runCases(
  "joins the fragments of binary data",
  server,
  splits.map(([name, parts]) => ({
    name,
    sends: fragmented(opcodes.binary, parts),
    answers: [says.binary(parts.join(""))],
  })),
);

runCases(
  "joins many fragments",
  server,
  [
    [2, 32_768],
    [64, 1024],
    [1000, 1],
    [1024, 64],
    [5000, 3],
  ].map(([count, size]): Case => {
    const parts = Array.from({ length: count }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat(size));
    return {
      name: `${count} of ${size} octets`,
      sends: [Buffer.concat(fragmented(opcodes.text, parts))],
      answers: [says.text(parts.join(""))],
    };
  }),
);

runCases("answers control frames between fragments at once", server, [
  {
    name: "a ping",
    sends: [text("one ", more), ping("now"), continuation("two")],
    answers: [says.pong("now"), says.text("one two")],
  },
  {
    name: "a ping in binary data",
    sends: [binary("one ", more), ping("now"), continuation("two")],
    answers: [says.pong("now"), says.binary("one two")],
  },
  {
    name: "a ping in every gap",
    sends: [
      text("1", more),
      ping("a"),
      continuation("2", more),
      ping("b"),
      continuation("3", more),
      ping("c"),
      continuation("4"),
    ],
    answers: [says.pong("a"), says.pong("b"), says.pong("c"), says.text("1234")],
  },
  {
    name: "several pings in one gap",
    sends: [text("1", more), ping("a"), ping(), ping("b"), continuation("2")],
    answers: [says.pong("a"), says.pong(), says.pong("b"), says.text("12")],
  },
  {
    name: "a ping of 125 octets",
    sends: [text("1", more), ping("p".repeat(125)), continuation("2")],
    answers: [says.pong("p".repeat(125)), says.text("12")],
  },
  {
    name: "a pong, which has no answer",
    sends: [text("1", more), pong("unasked"), continuation("2")],
    answers: [says.text("12")],
  },
  {
    name: "a ping among empty fragments",
    sends: [text("", more), ping("a"), continuation("", more), continuation("")],
    answers: [says.pong("a"), says.text("")],
  },
  {
    name: "a Close, which drops the message",
    sends: [text("never ", more), close(1001, "leaving"), continuation("whole")],
    closed: { code: 1001, reason: "leaving" },
  },
  {
    name: "a ping, then a Close",
    sends: [text("never ", more), ping("last"), close(1000)],
    answers: [says.pong("last")],
    closed: { code: 1000, reason: "" },
  },
]);

runCases("keeps messages apart", server, [
  {
    name: "two fragmented messages",
    sends: [...fragmented(opcodes.text, ["a", "b"]), ...fragmented(opcodes.binary, ["c", "d"])],
    answers: [says.text("ab"), says.binary("cd")],
  },
  {
    name: "whole messages around a fragmented one",
    sends: [text("before"), ...fragmented(opcodes.text, ["a", "b", "c"]), binary("after")],
    answers: [says.text("before"), says.text("abc"), says.binary("after")],
  },
  {
    name: "a fragmented binary after a fragmented text is binary",
    sends: [...fragmented(opcodes.text, ["é", "è"]), ...fragmented(opcodes.binary, ["", "\u0000"])],
    answers: [says.text("éè"), says.binary("\u0000")],
  },
]);

runCases("refuses fragments out of order", server, [
  { name: "a last fragment with nothing begun", sends: [continuation("orphan")], fault: 1002 },
  { name: "a first continuation with nothing begun", sends: [continuation("orphan", more)], fault: 1002 },
  { name: "an empty continuation with nothing begun", sends: [continuation()], fault: 1002 },
  {
    name: "a continuation after a whole message",
    sends: [text("whole"), continuation("orphan")],
    answers: [says.text("whole")],
    fault: 1002,
  },
  {
    name: "a continuation after the last fragment",
    sends: [...fragmented(opcodes.text, ["a", "b"]), continuation("orphan")],
    answers: [says.text("ab")],
    fault: 1002,
  },
  {
    name: "orphans without FIN around a ping",
    sends: [continuation("orphan", more), ping(), continuation("orphan")],
    fault: 1002,
  },
  { name: "a text inside a text", sends: [text("one", more), text("two")], fault: 1002 },
  { name: "a text inside binary data", sends: [binary("one", more), text("two")], fault: 1002 },
  { name: "binary data inside a text", sends: [text("one", more), binary("two")], fault: 1002 },
  { name: "a begun text inside a begun text", sends: [text("one", more), text("two", more)], fault: 1002 },
  { name: "an empty text inside an empty begun one", sends: [text("", more), text("")], fault: 1002 },
  {
    name: "a text inside a text, after a ping that is answered",
    sends: [text("one", more), ping("yes"), text("two"), ping("no")],
    answers: [says.pong("yes")],
    fault: 1002,
  },
  {
    name: "a text in the place of the last fragment",
    sends: [text("one", more), continuation("two", more), text("three")],
    fault: 1002,
  },
]);
