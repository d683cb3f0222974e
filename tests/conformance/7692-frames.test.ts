// RFC 7692 §6 and §7.2: which forms a compressed message may have, and which fail the connection.

import { constants, deflateRawSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { type Case, runCases, says } from "../support/conformance.ts";
import { deflateConnection, deflated, framesOf } from "../support/deflate.ts";
import { type EchoServer, echoServer, expectEcho } from "../support/echo-server.ts";
import {
  binary,
  close,
  continuation,
  type FrameOptions,
  opcodes,
  pieces,
  ping,
  pong,
  text,
} from "../support/frames.ts";
import { hex } from "../support/hex.ts";
import { Random } from "../support/random.ts";

const KiB = 1024;

const more = { fin: false };

/** RSV1 marks a compressed message (§6). */
const rsv1 = { rsv: 4 };
/** The client does not decompress, so the server must not compress the echoes. */
const quiet = { filter: () => false };

function ztext(payload: string | Uint8Array, options: FrameOptions = {}): Buffer {
  return text(payload, { ...rsv1, ...options });
}

function zbinary(payload: string | Uint8Array, options: FrameOptions = {}): Buffer {
  return binary(payload, { ...rsv1, ...options });
}

/** The same server, with clients that offer compression. */
function offering(server: EchoServer, offer: string = "permessage-deflate"): EchoServer {
  return {
    get app() {
      return server.app;
    },
    get port() {
      return server.port;
    },
    connect: (options) => server.connect({ headers: { "Sec-WebSocket-Extensions": offer }, ...options }),
  };
}

const stateless = offering(echoServer({ compression: quiet }));
const takeover = offering(echoServer({ compression: { ...quiet, contextTakeover: true } }));
const plain = echoServer({ compression: quiet });

/** Two servers that must read and refuse the same messages, with context takeover or without. */
const both: [name: string, server: EchoServer][] = [["no takeover", stateless], ["takeover", takeover]];

/** The examples of "Hello" in §7.2.3: in one block, in a stored block, in a final block, in two blocks. */
const hello = hex("f248cdc9c90700");
const stored = hex("000500faff48656c6c6f00");
const last = hex("f348cdc9c9070000");
const twoBlocks = hex("f248050000 00ffffcac9c90700");
const empty = hex("00");
/** A complete empty stored block, as it may stand between others. */
const emptyBlock = hex("000000ffff");

const world = deflated(" world");
/** A final block whose last byte has some bits of padding (§7.2.1). */
const lastWorld = deflateRawSync(" world");

describe.each(both)("%s", (_name, server) => {
  runCases("reads", server, [
    { name: "one block", sends: [ztext(hello)], answers: [says.text("Hello")] },
    { name: "a stored block", sends: [ztext(stored)], answers: [says.text("Hello")] },
    { name: "a block with BFINAL", sends: [ztext(last)], answers: [says.text("Hello")] },
    { name: "two blocks", sends: [ztext(twoBlocks)], answers: [says.text("Hello")] },
    { name: "binary data", sends: [zbinary(hello)], answers: [says.binary("Hello")] },
    { name: "an empty text", sends: [ztext(empty)], answers: [says.text("")] },
    { name: "empty binary data", sends: [zbinary(empty)], answers: [says.binary("")] },
    { name: "an empty payload", sends: [ztext("")], answers: [says.text("")] },
    { name: "an empty payload of binary data", sends: [zbinary("")], answers: [says.binary("")] },
    { name: "an empty fixed block", sends: [ztext(hex("0200"))], answers: [says.text("")] },
    { name: "an empty block with BFINAL", sends: [ztext(hex("030000"))], answers: [says.text("")] },
    { name: "an empty stored block with BFINAL", sends: [ztext(hex("010000ffff00"))], answers: [says.text("")] },
    {
      name: "nothing but empty blocks",
      sends: [ztext(Buffer.concat([...Array.from({ length: 100 }, () => emptyBlock), empty]))],
      answers: [says.text("")],
    },
    {
      name: "empty blocks before, between and behind others",
      sends: [ztext(Buffer.concat([emptyBlock, emptyBlock, hello.subarray(0, -1), emptyBlock, emptyBlock, empty]))],
      answers: [says.text("Hello")],
    },
    {
      name: "an empty stored block with BFINAL whose length is left out with the tail (§7.2.1)",
      sends: [ztext(Buffer.concat([stored.subarray(0, -1), hex("01")])), ztext(hello), ztext(hex("01"))],
      answers: [says.text("Hello"), says.text("Hello"), says.text("")],
    },
    {
      name: "a block behind one with BFINAL, which ends no message",
      sends: [ztext(Buffer.concat([last.subarray(0, -1), world]))],
      answers: [says.text("Hello world")],
    },
    {
      name: "two blocks with BFINAL",
      sends: [ztext(Buffer.concat([last.subarray(0, -1), lastWorld, empty]))],
      answers: [says.text("Hello world")],
    },
    {
      name: "a block with BFINAL and nothing behind it",
      sends: [ztext(last.subarray(0, -1))],
      answers: [says.text("Hello")],
    },
    {
      name: "messages behind one with BFINAL",
      sends: [ztext(last), ztext(hello), ztext(last), ztext(stored)],
      answers: Array.from({ length: 4 }, () => says.text("Hello")),
    },
    {
      name: "every level of compression",
      sends: [0, 1, 3, 6, 9].map((level) => zbinary(deflated("level ".repeat(30), level))),
      answers: Array.from({ length: 5 }, () => says.binary("level ".repeat(30))),
    },
    {
      name: "every strategy of zlib",
      sends: [constants.Z_FILTERED, constants.Z_HUFFMAN_ONLY, constants.Z_RLE, constants.Z_FIXED].map((strategy) =>
        zbinary(
          deflateRawSync("strategy ".repeat(30), { strategy, finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4),
        )
      ),
      answers: Array.from({ length: 4 }, () => says.binary("strategy ".repeat(30))),
    },
    {
      name: "messages that are not compressed, before and between those that are",
      sends: [text("plain"), ztext(hello), binary("plain"), zbinary(hello), text(""), ztext(hello)],
      answers: [
        says.text("plain"),
        says.text("Hello"),
        says.binary("plain"),
        says.binary("Hello"),
        says.text(""),
        says.text("Hello"),
      ],
    },
    {
      name: "plain fragments behind a compressed message",
      sends: [ztext(hello), text("plain ", more), continuation("fragments"), ztext(hello)],
      answers: [says.text("Hello"), says.text("plain fragments"), says.text("Hello")],
    },
    {
      name: "characters of several octets",
      sends: [ztext(deflated("Grüße, 世界, 🌍!"))],
      answers: [says.text("Grüße, 世界, 🌍!")],
    },
    {
      name: "bad text as binary data",
      sends: [zbinary(deflated(hex("c0eda080ff")))],
      answers: [says.binary(hex("c0eda080ff"))],
    },
    {
      name: "a masking key of zeros",
      sends: [ztext(hello, { maskingKey: hex("00000000") })],
      answers: [says.text("Hello")],
    },
  ]);

  runCases("reads fragments, of which the first alone has RSV1", server, [
    ...Array.from({ length: hello.length + 1 }, (_, i): Case => ({
      name: `cut at ${i}`,
      sends: framesOf(opcodes.text, [hello.subarray(0, i), hello.subarray(i)], true),
      answers: [says.text("Hello")],
    })),
    {
      name: "an octet each",
      sends: framesOf(opcodes.text, pieces(hello, 1), true),
      answers: [says.text("Hello")],
    },
    {
      name: "with empty ones among them",
      sends: framesOf(
        opcodes.text,
        [empty.subarray(1), hello.subarray(0, 3), empty.subarray(1), hello.subarray(3)],
        true,
      ),
      answers: [says.text("Hello")],
    },
    {
      name: "with an empty one at the end",
      sends: framesOf(opcodes.text, [hello, empty.subarray(1)], true),
      answers: [says.text("Hello")],
    },
    {
      name: "nothing but empty ones",
      sends: framesOf(opcodes.binary, [empty.subarray(1), empty.subarray(1), empty.subarray(1)], true),
      answers: [says.binary("")],
    },
    {
      name: "an empty block in the last one, as a sender does that learns of the end late (§7.2.3.6)",
      sends: framesOf(opcodes.text, [Buffer.concat([hello, hex("0000ffff")]), empty], true),
      answers: [says.text("Hello")],
    },
    {
      name: "BFINAL in the middle of them",
      sends: framesOf(
        opcodes.text,
        [last.subarray(0, 5), last.subarray(5, 7), world.subarray(0, 2), world.subarray(2)],
        true,
      ),
      answers: [says.text("Hello world")],
    },
    {
      name: "with control frames between them, which are not compressed",
      sends: [
        ztext(hello.subarray(0, 2), more),
        ping("now"),
        continuation(hello.subarray(2, 4), more),
        pong("unasked"),
        ping(hello),
        continuation(hello.subarray(4)),
      ],
      answers: [says.pong("now"), says.pong(hello), says.text("Hello")],
    },
    {
      name: "with a character that is cut by two of them",
      sends: framesOf(opcodes.text, pieces(deflated("世界🌍", 0), 3), true),
      answers: [says.text("世界🌍")],
    },
    {
      name: "until a Close comes between them, and drops the message",
      sends: [ztext(hello.subarray(0, 2), more), close(1001, "leaving")],
      closed: { code: 1001, reason: "leaving" },
    },
  ]);

  runCases("refuses RSV1 anywhere but on the first frame of a data message (§6.1)", server, [
    {
      name: "on the last fragment",
      sends: [ztext(hello.subarray(0, 3), more), continuation(hello.subarray(3), rsv1)],
      fault: 1002,
    },
    {
      name: "on a fragment between",
      sends: [
        ztext(hello.subarray(0, 3), more),
        continuation(hello.subarray(3, 4), { ...rsv1, ...more }),
        continuation(hello.subarray(4)),
      ],
      fault: 1002,
    },
    { name: "on an empty fragment", sends: [ztext(hello, more), continuation("", rsv1)], fault: 1002 },
    {
      name: "on a fragment of a message that is not compressed",
      sends: [text("plain ", more), continuation(hello, rsv1)],
      fault: 1002,
    },
    { name: "on a continuation with nothing begun", sends: [continuation(hello, rsv1)], fault: 1002 },
    { name: "on a Ping", sends: [ping(hello, rsv1)], fault: 1002 },
    { name: "on an empty Ping", sends: [ping("", rsv1)], fault: 1002 },
    { name: "on a Pong", sends: [pong(hello, rsv1)], fault: 1002 },
    { name: "on a Close", sends: [close(1000, "", rsv1)], fault: 1002 },
    {
      name: "on a Ping between fragments",
      sends: [ztext(hello.subarray(0, 3), more), ping("", rsv1), continuation(hello.subarray(3))],
      fault: 1002,
    },
    {
      name: "on a Ping behind a good message",
      sends: [ztext(hello), ping("", rsv1), ztext(hello)],
      answers: [says.text("Hello")],
      fault: 1002,
    },
    {
      name: "on a header whose payload never comes",
      sends: [ping("x".repeat(100), rsv1).subarray(0, 6)],
      fault: 1002,
    },
  ]);

  runCases(
    "refuses the reserved bits that no extension defines",
    server,
    [1, 2, 3, 5, 6, 7].flatMap((rsv): Case[] => [
      { name: `${rsv} on a text`, sends: [text(hello, { rsv })], fault: 1002 },
      { name: `${rsv} on binary data`, sends: [binary(hello, { rsv })], fault: 1002 },
    ]),
  );

  runCases("refuses data that are not DEFLATE", server, [
    { name: "a block of the reserved type", sends: [ztext(hex("06"))], fault: 1007 },
    { name: "a block of the reserved type, last", sends: [ztext(hex("07"))], fault: 1007 },
    { name: "nothing but ones", sends: [ztext(hex("ffffffff"))], fault: 1007 },
    { name: "plain text", sends: [ztext("This is no DEFLATE, though RSV1 says so")], fault: 1007 },
    { name: "a stored block whose lengths differ", sends: [ztext(hex("000500faef48656c6c6f00"))], fault: 1007 },
    { name: "a distance to before the start", sends: [ztext(hex("f200110000"))], fault: 1007 },
    { name: "a code that the fixed tables do not have", sends: [ztext(hex("1a0700"))], fault: 1007 },
    { name: "dynamic tables with too many codes", sends: [ztext(hex("fcff00000000000000"))], fault: 1007 },
    { name: "dynamic tables of no codes at all", sends: [ztext(hex("04" + "00".repeat(40)))], fault: 1007 },
    { name: "a zlib header before the data", sends: [ztext(Buffer.concat([hex("789c"), hello]))], fault: 1007 },
    {
      name: "a gzip header before the data",
      sends: [ztext(Buffer.concat([hex("1f8b0800000000000003"), hello]))],
      fault: 1007,
    },
    { name: "a bad block behind a good one", sends: [ztext(Buffer.concat([twoBlocks, hex("06")]))], fault: 1007 },
    {
      name: "a bad block behind one with BFINAL",
      sends: [ztext(Buffer.concat([last.subarray(0, -1), hex("06ff")]))],
      fault: 1007,
    },
    { name: "in binary data", sends: [zbinary(hex("06"))], fault: 1007 },
    {
      name: "in the last of several fragments",
      sends: framesOf(opcodes.text, [hello.subarray(0, 3), hello.subarray(3), hex("06ff")], true),
      fault: 1007,
    },
    {
      name: "behind good messages, which are echoed",
      sends: [ztext(hello), text("plain"), ztext(hex("06")), ztext(hello)],
      answers: [says.text("Hello"), says.text("plain")],
      fault: 1007,
    },
  ]);

  runCases("checks the UTF-8 of a text after decompression", server, [
    ...["80", "c0af", "eda080", "ff", "61c3"].flatMap((octets): Case[] => [
      { name: `${octets} alone`, sends: [ztext(deflated(hex(octets)))], fault: 1007 },
      {
        name: `${octets} behind good text`,
        sends: [ztext(deflated(Buffer.concat([Buffer.from("good ".repeat(100)), hex(octets)])))],
        fault: 1007,
      },
      {
        name: `${octets} in fragments`,
        sends: framesOf(opcodes.text, pieces(deflated(Buffer.concat([Buffer.from("good "), hex(octets)])), 3), true),
        fault: 1007,
      },
    ]),
    {
      name: "and not of the compressed payload",
      sends: [ztext(deflated("ÄÖÜäöüß".repeat(20)))],
      answers: [says.text("ÄÖÜäöüß".repeat(20))],
    },
  ]);
});

// §7.2.2: the receiver decompresses the payload with the tail behind it. When the payload ends inside a block, this
// block takes the tail, or a part of it, as its own data. The data then have no end, and the decompressed octets are
// not the message that was sent.
runCases(
  "refuses a message whose data end in the middle of a block, and delivers nothing of it",
  stateless,
  [
    { name: "behind its type", sends: [ztext(hex("02"))], fault: 1007 },
    ...[2, 3, 4, 5].map((length): Case => ({
      name: `${length} octets of a fixed block`,
      sends: [ztext(hello.subarray(0, length))],
      fault: 1007,
    })),
    ...[2, 3, 5, 7, 9].map((length): Case => ({
      name: `${length} octets of a stored block`,
      sends: [ztext(stored.subarray(0, length))],
      fault: 1007,
    })),
    ...[3, 20, 45].map((length): Case => ({
      name: `${length} octets of a block with tables of its own`,
      sends: [zbinary(dynamic().subarray(0, length))],
      fault: 1007,
    })),
    { name: "in fragments", sends: framesOf(opcodes.text, pieces(hello.subarray(0, 4), 1), true), fault: 1007 },
    {
      name: "behind a whole message",
      sends: [ztext(hello), ztext(hello.subarray(0, 4)), ztext(hello)],
      answers: [says.text("Hello")],
      fault: 1007,
    },
  ],
);

// With context takeover, one zlib stream decompresses all messages and never ends. zlib does not tell there that a
// block still lacks data, and takes the tail for these.
runCases("fails on the message behind one whose data end in the middle of a block, with context takeover", takeover, [
  {
    name: "four of the five octets of a stored block",
    sends: [ztext(stored.subarray(0, 9)), ztext(hello)],
    answers: [says.text("Hell\0")],
    fault: 1007,
  },
]);

/** More than a hundred octets of a block with its own Huffman tables. */
function dynamic(): Buffer {
  const random = new Random(1951);
  return deflated(Buffer.from(Array.from({ length: 600 }, () => 97 + random.below(20) * random.below(2))), 9);
}

/** "Hello" again, as a reference to the message before (§7.2.3.2). */
const again = hex("f200110000");

runCases("keeps the client's window with context takeover (§7.2.3.2)", takeover, [
  {
    name: "in the next message",
    sends: [ztext(hello), ztext(again)],
    answers: [says.text("Hello"), says.text("Hello")],
  },
  {
    name: "past messages that are not compressed, which are not a part of it",
    sends: [ztext(hello), text("not compressed"), ping("p"), ztext(again), binary("not compressed"), zbinary(again)],
    answers: [
      says.text("Hello"),
      says.text("not compressed"),
      says.pong("p"),
      says.text("Hello"),
      says.binary("not compressed"),
      says.binary("Hello"),
    ],
  },
  {
    name: "past empty messages",
    sends: [ztext(hello), ztext(empty), ztext(""), zbinary(hex("0200")), ztext(again)],
    answers: [says.text("Hello"), says.text(""), says.text(""), says.binary(""), says.text("Hello")],
  },
  {
    name: "over a fragmented message",
    sends: [...framesOf(opcodes.text, pieces(hello, 2), true), ...framesOf(opcodes.text, pieces(again, 1), true)],
    answers: [says.text("Hello"), says.text("Hello")],
  },
]);

// RFC 1951 §2: a distance refers back within one stream, and a final block ends the stream.
runCases("ends the client's window with a block with BFINAL", takeover, [
  { name: "in the next message", sends: [ztext(last), ztext(again)], answers: [says.text("Hello")], fault: 1007 },
  { name: "in the same message", sends: [ztext(Buffer.concat([last.subarray(0, -1), again]))], fault: 1007 },
  {
    name: "and another begins behind it",
    sends: [ztext(last), ztext(hello), ztext(again)],
    answers: [says.text("Hello"), says.text("Hello"), says.text("Hello")],
  },
]);

runCases("drops the client's window without context takeover", stateless, [
  { name: "in the next message", sends: [ztext(hello), ztext(again)], answers: [says.text("Hello")], fault: 1007 },
]);

runCases(
  "drops the client's window when the client has offered client_no_context_takeover",
  offering(
    echoServer({ compression: { ...quiet, contextTakeover: true } }),
    "permessage-deflate; client_no_context_takeover",
  ),
  [{ name: "in the next message", sends: [ztext(hello), ztext(again)], answers: [says.text("Hello")], fault: 1007 }],
);

runCases("refuses RSV1 when the client has not offered compression", plain, [
  { name: "on a text", sends: [ztext(hello)], fault: 1002 },
  { name: "on binary data", sends: [zbinary(hello)], fault: 1002 },
  { name: "on a first fragment", sends: [ztext(hello, more), continuation(hello)], fault: 1002 },
  { name: "behind a plain message", sends: [text("plain"), ztext(hello)], answers: [says.text("plain")], fault: 1002 },
]);

describe.each([
  ["an extension that the server does not have", "x-webkit-deflate-frame"],
  ["an unknown parameter", "permessage-deflate; mode=fast"],
  ["a window that the server cannot make", "permessage-deflate; server_max_window_bits=8"],
])("when the client has offered %s", (_name, offer) => {
  const server = offering(echoServer({ compression: true }), offer);

  runCases("opens the connection without compression", server, [
    {
      name: "and echoes plain messages",
      sends: [text("plain"), binary("")],
      answers: [says.text("plain"), says.binary("")],
    },
    { name: "and RSV1 does not", sends: [ztext(hello)], fault: 1002 },
  ]);
});

describe.each([
  ["no takeover", { compression: quiet, maxMessageBytes: 1000, maxFragments: 4 }],
  ["takeover", { compression: { ...quiet, contextTakeover: true }, maxMessageBytes: 1000, maxFragments: 4 }],
])("maxMessageBytes of 1,000 limits the decompressed message: %s", (_name, options) => {
  const server = offering(echoServer(options));
  const thousand = Buffer.alloc(1000, "The limit is near. ");
  const noise = new Random(1009).bytes(1000);
  const above = Buffer.alloc(1001, "The limit is near. ");

  runCases("lets pass", server, [
    { name: "text of 1,000 octets", sends: [ztext(deflated(thousand))], answers: [says.text(thousand)] },
    { name: "binary data of 1,000 octets", sends: [zbinary(deflated(thousand))], answers: [says.binary(thousand)] },
    {
      name: "1,000 octets of noise, which are more when compressed",
      sends: [zbinary(deflated(noise))],
      answers: [says.binary(noise)],
    },
    {
      name: "1,000 octets in two blocks, the first with BFINAL",
      sends: [zbinary(Buffer.concat([deflateRawSync(thousand.subarray(0, 400)), deflated(thousand.subarray(400))]))],
      answers: [says.binary(thousand)],
    },
    {
      name: "1,000 octets in a block with BFINAL, and an empty one",
      sends: [zbinary(Buffer.concat([deflateRawSync(thousand), empty])), zbinary(deflateRawSync(thousand))],
      answers: [says.binary(thousand), says.binary(thousand)],
    },
    {
      name: "five blocks with BFINAL, of 200 octets each",
      sends: [zbinary(Buffer.concat(Array.from({ length: 5 }, () => deflateRawSync("ten octets".repeat(20)))))],
      answers: [says.binary("ten octets".repeat(100))],
    },
    {
      name: "1,000 octets in four fragments, and Pings between them",
      sends: framesOf(opcodes.text, pieces(deflated(thousand), Math.ceil(deflated(thousand).length / 4)), true)
        .flatMap((each, i) => i === 0 ? [each] : [ping("p"), each]),
      answers: [says.pong("p"), says.pong("p"), says.pong("p"), says.text(thousand)],
    },
    {
      name: "messages that only together are larger",
      sends: [ztext(deflated(thousand)), text("plain"), ztext(deflated(thousand))],
      answers: [says.text(thousand), says.text("plain"), says.text(thousand)],
    },
  ]);

  runCases("stops", server, [
    { name: "text of 1,001 octets", sends: [ztext(deflated(above))], fault: 1009 },
    { name: "binary data of 1,001 octets", sends: [zbinary(deflated(above))], fault: 1009 },
    { name: "1,001 octets that are stored", sends: [zbinary(deflated(above, 0))], fault: 1009 },
    { name: "a megabyte", sends: [zbinary(deflated(Buffer.alloc(1_000_000)))], fault: 1009 },
    {
      name: "1,001 octets in fragments, none of them larger than 1,000",
      sends: framesOf(opcodes.text, [deflated(above).subarray(0, 9), deflated(above).subarray(9)], true),
      fault: 1009,
    },
    {
      name: "1,001 octets in two blocks, the first with BFINAL",
      sends: [zbinary(Buffer.concat([deflateRawSync(above.subarray(0, 1000)), deflated(above.subarray(1000))]))],
      fault: 1009,
    },
    {
      name: "six blocks with BFINAL, of 200 octets each",
      sends: [zbinary(Buffer.concat(Array.from({ length: 6 }, () => deflateRawSync("ten octets".repeat(20)))))],
      fault: 1009,
    },
    {
      name: "more than eight blocks with BFINAL, each of which costs far more than its two octets",
      sends: [zbinary(Buffer.alloc(120, hex("0300")))],
      fault: 1008,
    },
    { name: "bad text that is too long", sends: [ztext(deflated(Buffer.alloc(1001, 0xff)))], fault: 1009 },
    {
      name: "an announcement of far more, before its payload",
      sends: [ztext("", { payloadLength: 2 ** 31 })],
      fault: 1009,
    },
    {
      name: "1,001 octets that are not compressed",
      sends: [text(above)],
      fault: 1009,
    },
    {
      name: "many empty blocks, which decompress to nothing",
      sends: [zbinary(Buffer.alloc(500 * KiB, emptyBlock))],
      fault: 1009,
    },
    {
      name: "one octet behind a block with BFINAL of 1,000",
      sends: [zbinary(Buffer.concat([deflateRawSync(thousand), deflated("x")]))],
      fault: 1009,
    },
    {
      name: "a message behind a good one",
      sends: [ztext(deflated(thousand)), ztext(deflated(above)), text("late")],
      answers: [says.text(thousand)],
      fault: 1009,
    },
  ]);

  runCases("counts the fragments of compressed messages, and refuses", server, [
    { name: "five", sends: framesOf(opcodes.text, [...pieces(hello, 2), empty.subarray(1)], true), fault: 1008 },
    {
      name: "five empty ones",
      sends: framesOf(opcodes.text, Array.from({ length: 5 }, () => Buffer.alloc(0)), true),
      fault: 1008,
    },
  ]);
});

describe("a message of exactly the default maxMessageBytes, 1 MiB", () => {
  const server = echoServer({ compression: true });

  test.each<[string, Buffer]>([
    ["of zeros", Buffer.alloc(1024 * KiB)],
    ["of noise, which is more when compressed", new Random(7).bytes(1024 * KiB)],
  ])("is echoed: %s", async (_name, message) => {
    const { client, reported } = await deflateConnection(server);
    await client.send(message);
    expect(Buffer.compare(await client.nextMessage() as Buffer, message)).toBe(0);
    client.sendBytes(close(1000));
    await client.closed();
    await reported;
  });

  test("is refused with one octet more", async () => {
    const { client, reported } = await deflateConnection(server);
    await client.send(Buffer.alloc(1024 * KiB + 1));
    expect((await client.closed()).code).toBe(1009);
    await reported;
    await expectEcho(server);
  });
});
