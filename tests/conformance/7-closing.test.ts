// §5.5.1 and §7: Close frames, their codes and reasons, and the order of events when a connection closes.

import { describe, expect, test } from "vitest";
import { type Case, runCases, says } from "../support/conformance.ts";
import { echoServer } from "../support/echo-server.ts";
import { binary, close, continuation, frame, opcodes, ping, pong, text } from "../support/frames.ts";
import { hex } from "../support/hex.ts";
import type { RawClient } from "../support/raw-client.ts";

const server = echoServer();

runCases(
  "answers a Close with its code",
  server,
  [
    [1000, "normal"],
    [1001, "going away"],
    [1002, "protocol error"],
    [1003, "unsupported data"],
    [1007, "invalid payload"],
    [1008, "policy violation"],
    [1009, "message too big"],
    [1010, "extension required"],
    [1011, "internal error"],
    [1012, "service restart"],
    [1013, "try again later"],
    [1014, "bad gateway"],
    [3000, "first registered"],
    [3999, "last registered"],
    [4000, "first private"],
    [4999, "last private"],
  ].flatMap(([code, reason]): Case[] => [
    { name: `${code} alone`, sends: [close(code as number)], closed: { code: code as number, reason: "" } },
    {
      name: `${code} with a reason`,
      sends: [close(code as number, reason as string)],
      closed: { code: code as number, reason: reason as string },
    },
  ]),
);

runCases("reads the payload of a Close", server, [
  {
    name: "none, which is reported as 1005 and answered with none",
    sends: [close()],
    closed: { code: 1005, reason: "" },
  },
  {
    name: "a reason of 123 octets, the longest",
    sends: [close(1000, "r".repeat(123))],
    closed: { code: 1000, reason: "r".repeat(123) },
  },
  {
    name: "a reason in many scripts",
    sends: [close(4001, "Grüße, 世界 и 🌍")],
    closed: { code: 4001, reason: "Grüße, 世界 и 🌍" },
  },
  {
    name: "a reason of 123 octets that are 41 characters",
    sends: [close(1000, "€".repeat(41))],
    closed: { code: 1000, reason: "€".repeat(41) },
  },
  {
    name: "a reason with a byte order mark, which is kept",
    sends: [close(1000, "\ufeffmark")],
    closed: { code: 1000, reason: "\ufeffmark" },
  },
  { name: "a reason of one NUL", sends: [close(1000, "\0")], closed: { code: 1000, reason: "\0" } },
]);

runCases("refuses codes that may not be sent", server, [
  ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 5001, 9999, 32_768, 65_535].map(
    (code): Case => ({ name: `${code}`, sends: [close(code)], fault: 1002 }),
  ),
  ...[0, 1005, 1006, 1015, 2999, 5000].map((code): Case => ({
    name: `${code} with a reason`,
    sends: [close(code, "because")],
    fault: 1002,
  })),
]);

runCases("refuses a bad payload of a Close", server, [
  { name: "one octet", sends: [frame(opcodes.close, hex("03"))], fault: 1002 },
  { name: "one octet that would begin a good code", sends: [frame(opcodes.close, hex("0f"))], fault: 1002 },
  { name: "one octet of zero", sends: [frame(opcodes.close, hex("00"))], fault: 1002 },
  { name: "a reason of 124 octets", sends: [close(1000, "r".repeat(124))], fault: 1002 },
  ...[
    ["a lone continuation octet", "80"],
    ["an overlong slash", "c0af"],
    ["a surrogate", "eda080"],
    ["a character above U+10FFFF", "f4908080"],
    ["a character cut short", "e282"],
    ["good text, then a bad octet", "676f6f64 ff"],
    ["octets that spell UTF-16", "00ff 00d8"],
  ].map(([name, reason]): Case => ({ name: `a reason with ${name}`, sends: [close(1000, hex(reason))], fault: 1007 })),
]);

const late: [string, Buffer[]][] = [
  ["a text", [text("late")]],
  ["binary data", [binary("late")]],
  ["a ping", [ping("late")]],
  ["a pong", [pong("late")]],
  ["a second Close", [close(1001, "again")]],
  ["a fragmented text", [text("la", { fin: false }), continuation("te")]],
  ["a frame with reserved bits", [text("late", { rsv: 7 })]],
  ["a reserved opcode", [frame(3, "late")]],
  ["a frame that is not masked", [text("late", { maskingKey: false })]],
  ["bad UTF-8", [text(hex("ff"))]],
  ["a length above every limit", [text("", { payloadLength: 2n ** 62n })]],
  ["octets that are not a frame", [hex("ffffffff ffffffff ffffffff")]],
];

runCases(
  "ignores the bytes behind a Close",
  server,
  late.map(([name, frames]) => ({
    name,
    sends: [Buffer.concat([close(1000, "done"), ...frames])],
    closed: { code: 1000, reason: "done" },
  })),
);

runCases("finishes the messages before a Close", server, [
  {
    name: "a text, then its echo, then the Close",
    sends: [text("first"), close(1000)],
    answers: [says.text("first")],
    closed: { code: 1000, reason: "" },
  },
  {
    name: "20 texts in one write with the Close",
    sends: [Buffer.concat([...Array.from({ length: 20 }, (_, i) => text(`${i}`)), close(1001)])],
    answers: Array.from({ length: 20 }, (_, i) => says.text(`${i}`)),
    closed: { code: 1001, reason: "" },
  },
  {
    name: "300,000 octets, echoed whole before the Close",
    sends: [Buffer.concat([binary(Buffer.alloc(300_000, 7)), close(1000)])],
    answers: [says.binary(Buffer.alloc(300_000, 7))],
    closed: { code: 1000, reason: "" },
  },
  {
    name: "a text and 300,000 octets, echoed before a fault's Close",
    sends: [Buffer.concat([text("a"), binary(Buffer.alloc(300_000, 7)), text("b", { rsv: 1 })])],
    answers: [says.text("a"), says.binary(Buffer.alloc(300_000, 7))],
    fault: 1002,
  },
]);

describe("after its Close the server", () => {
  test("closes the TCP connection first, as §7.1.1 asks", async () => {
    const { client, reported } = await server.connect();
    client.send(close(1000));
    expect(await client.closed()).toEqual({ code: 1000, reason: "", ended: "fin" });
    await reported;
  });

  test("has sent one Close and nothing more", async () => {
    const { client, reported } = await server.connect();
    client.send(close(4000, "one"), close(4001, "two"), close(4002, "three"));
    expect((await client.closed()).code).toBe(4000);
    expect(client.frames).toHaveLength(1);
    await reported;
  });
});

describe("a TCP connection that ends without a Close is reported as 1006", () => {
  const ends: [string, (client: RawClient) => void][] = [
    ["by FIN", (client) => client.end()],
    ["by FIN in the middle of a header", (client) => (client.send(text("cut").subarray(0, 1)), client.end())],
    ["by FIN in the middle of a masking key", (client) => (client.send(text("cut").subarray(0, 4)), client.end())],
    ["by FIN in the middle of a payload", (client) => (client.send(text("cut").subarray(0, 8)), client.end())],
    ["by FIN in the middle of a message", (client) => (client.send(text("cut", { fin: false })), client.end())],
    ["by FIN in the middle of a Close", (client) => (client.send(close(1000, "cut").subarray(0, 7)), client.end())],
    ["by reset", (client) => client.reset()],
    ["by reset in the middle of a message", (client) => (client.send(text("cut", { fin: false })), client.reset())],
  ];

  test.each(ends)("%s", async (_name, end) => {
    const { client, report, reported } = await server.connect();
    client.send(text("here"));
    expect(await client.nextMessage()).toBe("here");
    end(client);
    await reported;
    expect(report.closes).toEqual([{ code: 1006, reason: "", wasClean: false }]);
    await client.closed();
    expect(client.closeFrame).toBeUndefined();
  });
});

describe("a Close that the server begins", () => {
  test.each<[string, number | undefined, string | undefined, number, string]>([
    ["with no arguments is 1000", undefined, undefined, 1000, ""],
    ["carries its code", 1001, undefined, 1001, ""],
    ["carries code and reason", 4321, "enough, 再见", 4321, "enough, 再见"],
    ["may carry 123 octets of reason", 1000, "r".repeat(123), 1000, "r".repeat(123)],
  ])("%s", async (_name, code, reason, expectedCode, expectedReason) => {
    const { client, report, reported, socket } = await server.connect();
    socket.send("before");
    socket.close(code, reason);
    expect(await client.nextMessage()).toBe("before");
    expect((await client.nextFrame()).opcode).toBe(opcodes.close);
    client.send(close(expectedCode, expectedReason));
    expect(await client.closed()).toEqual({ code: expectedCode, reason: expectedReason, ended: "fin" });
    await reported;
    expect(report.closes).toEqual([{ code: expectedCode, reason: expectedReason, wasClean: true }]);
    expect(report.errors).toEqual([]);
  });

  test("reports the code of the peer's answer", async () => {
    const { client, report, reported, socket } = await server.connect();
    socket.close(1001, "ours");
    await client.nextFrame();
    client.send(close(4000, "theirs"));
    await client.closed();
    await reported;
    expect(report.closes).toEqual([{ code: 4000, reason: "theirs", wasClean: true }]);
  });

  test("reports 1005 when the peer answers with an empty Close", async () => {
    const { client, report, reported, socket } = await server.connect();
    socket.close(1000);
    await client.nextFrame();
    client.send(close());
    await client.closed();
    await reported;
    expect(report.closes).toEqual([{ code: 1005, reason: "", wasClean: true }]);
  });

  test("is followed by reading the messages that the peer sent before its own Close", async () => {
    const { client, report, reported, socket } = await server.connect();
    const received: unknown[] = [];
    socket.on("message", (data) => received.push(data));
    socket.close(1000);
    await client.nextFrame();
    client.send(text("on its way"), ping("too"), close(1000));
    expect((await client.closed()).code).toBe(1000);
    await reported;
    expect(report.closes).toEqual([{ code: 1000, reason: "", wasClean: true }]);
    expect(received).toEqual(["on its way"]);
    expect(client.frames, "no echo and no pong after a Close").toHaveLength(1);
  });

  test("may cross a Close from the peer", async () => {
    const { client, report, reported, socket } = await server.connect();
    socket.close(4001, "ours");
    client.send(close(4002, "theirs"));
    expect((await client.closed()).code).toBe(4001);
    await reported;
    expect(client.frames.filter(({ opcode }) => opcode === opcodes.close)).toHaveLength(1);
    expect(report.closes).toEqual([{ code: 4002, reason: "theirs", wasClean: true }]);
  });

  test("is sent once, however often close is called", async () => {
    const { client, report, reported, socket } = await server.connect();
    socket.close(4001);
    socket.close(4002);
    expect(socket.send("too late")).toBe(false);
    await client.nextFrame();
    client.send(close(4001));
    await client.closed();
    await reported;
    expect(client.frames).toHaveLength(1);
    expect(report.closes).toHaveLength(1);
  });

  test("is not clean when a fault of the peer follows", async () => {
    const { client, report, reported, socket } = await server.connect();
    socket.close(1000);
    await client.nextFrame();
    client.send(text("bad", { rsv: 1 }));
    await client.closed();
    await reported;
    expect(client.frames).toHaveLength(1);
    expect(report.closes).toEqual([{ code: 1002, reason: expect.any(String), wasClean: false }]);
  });
});

describe("a peer that never answers the server's Close", () => {
  const impatient = echoServer({ closeTimeoutMs: 100 });

  test("is cut off after closeTimeoutMs", async () => {
    const { client, report, reported, socket } = await impatient.connect();
    const before = performance.now();
    socket.close(1001, "bye");
    expect((await client.closed()).code).toBe(1001);
    expect(performance.now() - before).toBeGreaterThan(90);
    await reported;
    expect(report.closes).toEqual([{ code: 1006, reason: expect.any(String), wasClean: false }]);
  });

  test("is cut off even while it keeps sending", async () => {
    const { client, reported, socket } = await impatient.connect();
    socket.close(1001);
    const chatter = setInterval(() => client.send(text("still here")), 5);
    try {
      expect((await client.closed()).code).toBe(1001);
    } finally {
      clearInterval(chatter);
    }
    await reported;
  });

  test("is reported as 1006 when it ends the TCP connection without a Close", async () => {
    const { client, report, reported, socket } = await impatient.connect();
    socket.close(1001);
    await client.nextFrame();
    client.end();
    await client.closed();
    await reported;
    expect(report.closes).toEqual([{ code: 1006, reason: expect.any(String), wasClean: false }]);
  });
});
