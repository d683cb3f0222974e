// Which messages, control frames and faults `ServerProtocol` reads from bytes, by section of RFC 6455. Every vector
// runs as one chunk, cut in two at every byte, and octet by octet. Frames in hexadecimal are masked with the key
// 00000000, which leaves their payloads readable.

import { describe, expect, test } from "vitest";
import type { MessageLimits } from "../../src/protocol/message.ts";
import { binary, close, continuation, fragmented, opcodes, ping, pong, text } from "../support/frames.ts";
import { hex } from "../support/hex.ts";
import { everyCut, failed, run } from "../support/protocol.ts";

/** Frames, or parts of them, as bytes or in hexadecimal. */
type Wire = string | Uint8Array | readonly (string | Uint8Array)[];

function bytesOf(wire: Wire): Buffer {
  const parts = typeof wire === "string" || wire instanceof Uint8Array ? [wire] : wire;
  return Buffer.concat(parts.map((part) => typeof part === "string" ? hex(part) : part));
}

type Readable = [name: string, wire: Wire, lines: string[]];

/** Each vector leaves the connection open and makes the handler record these lines. */
function reads(title: string, vectors: Readable[]): void {
  describe(title, () => {
    test.each(vectors)("%s", (_name, wire, lines) => {
      for (const [cut, chunks] of everyCut(bytesOf(wire))) {
        const { protocol, lines: said } = run(chunks);
        expect(said, cut).toEqual(lines);
        expect(protocol.state, cut).toBe("open");
      }
    });
  });
}

type Fault = [name: string, wire: Wire, closeCode: number, before?: string[]];

/** Each vector fails the connection with this code, after these lines. Bytes behind the fault are not read. */
function fails(title: string, vectors: Fault[], limits: Partial<MessageLimits> = {}): void {
  describe(title, () => {
    test.each<Fault>(vectors)("%s", (...[_name, wire, closeCode, before = []]: Fault) => {
      for (const [cut, chunks] of everyCut(bytesOf(wire))) {
        const { protocol, lines } = run([...chunks, text("late"), close(1000)], limits);
        expect(lines, cut).toEqual([...before, ...failed(closeCode)]);
        expect(protocol.error?.closeCode, cut).toBe(closeCode);
        expect(protocol.closeReceived, cut).toBeUndefined();
        expect(protocol.state, cut).toBe("closed");
      }
    });
  });
}

const more = { fin: false };
const zeroKey = "00000000";

reads("§5.2 framing: reads", [
  ["the RFC's masked Hello, §5.7", "8185 37fa213d 7f9f4d5158", ["text Hello"]],
  ["an empty text", `8180 ${zeroKey}`, ["text "]],
  ["an empty binary message", `8280 ${zeroKey}`, ["binary "]],
  ["binary data", `8283 ${zeroKey} 00ff80`, ["binary 00ff80"]],
  ["one message after another", [text("a"), binary("b"), text(""), text("é")], [
    "text a",
    "binary 62",
    "text ",
    "text é",
  ]],
  ["frames with different keys", `8181 ff000000 9e 8181 01000000 63`, ["text a", "text b"]],
  ...[125, 126, 127, 128, 65_535, 65_536, 65_537].map((size): Readable => {
    const payload = Buffer.alloc(size, "0123456789");
    return [`a text of ${size} bytes`, text(payload), [`text ${payload}`]];
  }),
  ["a large message between small ones", [text("a"), binary(Buffer.alloc(70_000, 7)), text("b")], [
    "text a",
    `binary ${"07".repeat(70_000)}`,
    "text b",
  ]],
]);

reads("§5.2 framing: waits for the rest of", [
  ["a header", "81", []],
  ["a long header", "82ff 000000000001", []],
  ["a header with its whole length", "82fe 0100 0000", []],
  ["an empty frame's key", "8180 000000", []],
  ["a payload that has not begun", `8185 ${zeroKey}`, []],
  ["a payload", `8185 ${zeroKey} 48656c6c`, []],
  ["a payload, after a message", [text("a"), `8185 ${zeroKey} 48656c6c`], ["text a"]],
  ["a Close", `8882 ${zeroKey} 03`, []],
  ["a message of which all fragments but the last are in", [text("a", more), continuation("b", more)], []],
]);

fails("§5.2 framing: refuses", [
  ["RSV1 without an extension that defines it", `c181 ${zeroKey} 61`, 1002],
  ["RSV1 on a Ping", `c980 ${zeroKey}`, 1002],
  ["RSV1 on a continuation", [text("a", more), `c081 ${zeroKey} 61`], 1002],
  ["RSV2", `a181 ${zeroKey} 61`, 1002],
  ["RSV3", `9181 ${zeroKey} 61`, 1002],
  ["a reserved opcode after a message", [text("a"), `8380 ${zeroKey}`], 1002, ["text a"]],
  ["a reserved control opcode inside a message", [text("a", more), `8b80 ${zeroKey}`], 1002],
  ["a 16-bit length of 125", ["82fe 007d", zeroKey, Buffer.alloc(125)], 1002],
  ["a 64-bit length of 65,535", `82ff 000000000000ffff ${zeroKey}`, 1002],
  ["a 64-bit length with its top bit set", `82ff 8000000000000001 ${zeroKey}`, 1002],
  ["a length of 2^53", `82ff 0020000000000000 ${zeroKey}`, 1009],
]);

fails("§5.1 masking: refuses", [
  ["a text that is not masked", "8105 48656c6c6f", 1002],
  ["an empty frame that is not masked", [text("a"), "8200"], 1002, ["text a"]],
  ["a continuation that is not masked", [text("a", more), "8001 62"], 1002],
  ["a Ping that is not masked", "8900", 1002],
  ["a Close that is not masked", "8802 03e8", 1002],
]);

reads("§5.4 fragmentation: joins", [
  ["two fragments", fragmented(opcodes.text, ["Hel", "lo"]), ["text Hello"]],
  ["many fragments", fragmented(opcodes.binary, [..."0123456789"]), ["binary 30313233343536373839"]],
  ["empty fragments around others", fragmented(opcodes.text, ["", "a", "", "b", ""]), ["text ab"]],
  ["nothing but empty fragments", fragmented(opcodes.text, ["", "", ""]), ["text "]],
  ["a fragmented message between whole ones", [text("a"), ...fragmented(opcodes.binary, ["b", "c"]), text("d")], [
    "text a",
    "binary 6263",
    "text d",
  ]],
  ["two fragmented messages, each of its kind", [
    ...fragmented(opcodes.text, ["é", "a"]),
    ...fragmented(opcodes.binary, [hex("ff"), hex("80")]),
  ], ["text éa", "binary ff80"]],
  ["large fragments", fragmented(opcodes.text, ["a".repeat(70_000), "b".repeat(200), "c".repeat(70_000)]), [
    `text ${"a".repeat(70_000)}${"b".repeat(200)}${"c".repeat(70_000)}`,
  ]],
]);

reads("§5.4 fragmentation: handles control frames between fragments, before the message", [
  ["a Ping", [text("a", more), ping("p"), continuation("b")], ["> pong 70", "ping 70", "text ab"]],
  ["a Pong", [text("a", more), pong("p"), continuation("b")], ["pong 70", "text ab"]],
  ["the longest Ping", [binary("a", more), ping("p".repeat(125)), continuation("b")], [
    `> pong ${"70".repeat(125)}`,
    `ping ${"70".repeat(125)}`,
    "binary 6162",
  ]],
  ["a Ping in every gap", [text("a", more), ping("1"), continuation("b", more), ping("2"), continuation("c")], [
    "> pong 31",
    "ping 31",
    "> pong 32",
    "ping 32",
    "text abc",
  ]],
  ["a Ping inside a character", [text(hex("e2"), more), ping("p"), continuation(hex("82ac"))], [
    "> pong 70",
    "ping 70",
    "text €",
  ]],
]);

fails("§5.4 fragmentation: refuses", [
  ["a continuation of nothing", continuation("a"), 1002],
  ["an empty continuation of nothing, without FIN", continuation("", more), 1002],
  ["a continuation of a whole message", [text("a"), continuation("b")], 1002, ["text a"]],
  ["a continuation after the last", [...fragmented(opcodes.text, ["a", "b"]), continuation("c")], 1002, ["text ab"]],
  ["a text inside a text", [text("a", more), text("b")], 1002],
  ["a text inside binary data", [binary("a", more), text("b")], 1002],
  ["binary data inside a text, after a Ping", [text("a", more), ping(), binary("b", more)], 1002, ["> pong ", "ping "]],
  ["an empty text inside an empty text", [text("", more), text("")], 1002],
]);

reads("§5.5 control frames: reads", [
  ["an empty Ping", ping(), ["> pong ", "ping "]],
  ["a Ping with a payload", ping(hex("00ff")), ["> pong 00ff", "ping 00ff"]],
  ["the longest Ping", ping(Buffer.alloc(125, 1)), [`> pong ${"01".repeat(125)}`, `ping ${"01".repeat(125)}`]],
  ["Pings, each answered in its order", [ping("a"), text("m"), ping("b")], [
    "> pong 61",
    "ping 61",
    "text m",
    "> pong 62",
    "ping 62",
  ]],
  ["the RFC's masked Pong, §5.7", "8a85 37fa213d 7f9f4d5158", ["pong 48656c6c6f"]],
  ["an empty Pong", pong(), ["pong "]],
]);

fails("§5.5 control frames: refuses", [
  ["a Ping in fragments", ping("a", more), 1002],
  ["a Close in fragments", close(1000, "", more), 1002],
  ["a Ping of 126 bytes", ping(Buffer.alloc(126)), 1002],
  ["a Pong of 65,536 bytes", `8aff 0000000000010000 ${zeroKey}`, 1002],
]);

fails("§5.5.1 and §7.4 Close: refuses", [
  ["a body of one byte", `8881 ${zeroKey} 03`, 1002],
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map((code): Fault => {
    return [`the code ${code}`, close(code, "why"), 1002];
  }),
  ["a reason that is not UTF-8", close(1000, hex("c080")), 1007],
  ["a reason that ends inside a character", close(1000, hex("61e282")), 1007],
]);

describe("§5.5.1 and §7.1.5 Close: answers with the same Close", () => {
  test.each<[name: string, wire: Wire, line: string, code: number, reason: string, before?: string[]]>([
    ["nothing", close(), "> close", 1005, ""],
    ["a code", close(1000), "> close 1000", 1000, ""],
    ["a code and a reason", close(1001, "bye"), "> close 1001 bye", 1001, "bye"],
    ["a reason beyond ASCII", close(4000, "世界 🌍"), "> close 4000 世界 🌍", 4000, "世界 🌍"],
    ["a byte order mark in the reason", close(1000, "\ufeffa"), "> close 1000 \ufeffa", 1000, "\ufeffa"],
    ["the longest reason", close(3000, "r".repeat(123)), `> close 3000 ${"r".repeat(123)}`, 3000, "r".repeat(123)],
    ...[1002, 1003, 1007, 1010, 1011, 1012, 1013, 1014, 3999, 4999].map(
      (code): [string, Wire, string, number, string] => {
        return [`the code ${code}`, close(code, "why"), `> close ${code} why`, code, "why"];
      },
    ),
    ["a Close after a message", [text("a"), close(1000)], "> close 1000", 1000, "", ["text a"]],
    ["a Close inside a message, which is dropped", [text("a", more), close(1000)], "> close 1000", 1000, ""],
  ])("%s", (_name, wire, line, code, reason, before = []) => {
    for (const [cut, chunks] of everyCut(bytesOf(wire))) {
      const behind = [continuation("b"), text("late"), ping("late"), hex("ffff"), close(1001)];
      const { protocol, lines } = run([...chunks, ...behind]);
      expect(lines, cut).toEqual([...before, line, "finished"]);
      expect(protocol.closeReceived, cut).toEqual({ code, reason });
      expect(protocol.closeSent, cut).toEqual({ code, reason });
      expect(protocol.error, cut).toBeUndefined();
      expect(protocol.state, cut).toBe("closed");
    }
  });

  test("a Close with more bytes behind it in the same chunk", () => {
    const { lines } = run([bytesOf([text("a"), close(1000), text("late"), "ffff"])]);
    expect(lines).toEqual(["text a", "> close 1000", "finished"]);
  });
});

reads("§8.1 text: reads", [
  ["characters of every length", text("aé€🌍"), ["text aé€🌍"]],
  ["the edges of Unicode", text("\0\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\u{10000}\u{10ffff}"), [
    "text \0\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\u{10000}\u{10ffff}",
  ]],
  ["byte order marks, and keeps them", text("\ufeffa\ufeff"), ["text \ufeffa\ufeff"]],
  [
    "characters that are cut by fragments",
    fragmented(opcodes.text, Array.from(Buffer.from("é€🌍"), (octet) => Uint8Array.of(octet))),
    [
      "text é€🌍",
    ],
  ],
  ["long text with the characters at its ends", text(`é${"a".repeat(100)}🌍`), [`text é${"a".repeat(100)}🌍`]],
]);

fails("§8.1 text: refuses", [
  ["a lone continuation byte", `8181 ${zeroKey} 80`, 1007],
  ["an overlong form", `8182 ${zeroKey} c080`, 1007],
  ["a surrogate", `8183 ${zeroKey} eda080`, 1007],
  ["a character above U+10FFFF", `8184 ${zeroKey} f4908080`, 1007],
  ["an end inside a character", `8182 ${zeroKey} e282`, 1007],
  ["an end inside a character, in an empty last fragment", [text(hex("e282"), more), continuation()], 1007],
  ["a bad byte long before its frame ends", text(hex("61ff"), { payloadLength: 60_000 }), 1007],
  ["a bad byte long before its message ends", [text("a", more), continuation(hex("ff"), more)], 1007],
  ["a character that the next message would end", [text("a"), text(hex("c3")), text(hex("a9"))], 1007, ["text a"]],
  ["a bad byte after 1,000 good ones", text(Buffer.concat([Buffer.alloc(1000, "a"), hex("c0")])), 1007],
]);

fails("limits: refuses as soon as a header announces it", [
  ["a text one byte too long", `818b ${zeroKey}`, 1009],
  ["a whole text one byte too long", text("a".repeat(11)), 1009],
  ["a message far too long", `82ff 001fffffffffffff ${zeroKey}`, 1009],
  ["a fragment too long", [binary("12345", more), `8086 ${zeroKey}`], 1009],
  ["a fragment too long, though it is not the last", [text("12345", more), `0086 ${zeroKey}`], 1009],
  ["a message after a good one", [text("a".repeat(10)), text("a".repeat(11))], 1009, [`text ${"a".repeat(10)}`]],
  [
    "one fragment too many",
    [text("a", more), continuation("b", more), continuation("c", more), continuation("d")],
    1008,
  ],
  ["one empty fragment too many", fragmented(opcodes.text, ["", "", "", ""]), 1008],
  [
    "the fragments too many, not the Pings between them",
    [
      ...[text("a", more), ping(), continuation("b", more), ping(), continuation("c", more)],
      `8080 ${zeroKey}`,
    ],
    1008,
    ["> pong ", "ping ", "> pong ", "ping "],
  ],
], { maxMessageBytes: 10, maxFragments: 3 });
