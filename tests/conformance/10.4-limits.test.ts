// §10.4: the limits of this implementation, and messages below and above them.

import { describe, expect, test } from "vitest";
import { type Case, runCases, says } from "../support/conformance.ts";
import { echoServer } from "../support/echo-server.ts";
import { binary, close, continuation, fragmented, opcodes, pieces, ping, pong, text } from "../support/frames.ts";

const KiB = 1024;
const MiB = 1024 * 1024;

const more = { fin: false };

function letters(length: number): Buffer {
  return Buffer.alloc(length, "The limit is far away. ");
}

describe("large messages, with the limits raised", () => {
  const server = echoServer({ maxMessageBytes: 16 * MiB, maxFragments: 100_000 });

  runCases(
    "echoes text",
    server,
    [1, 4, 16].flatMap((size): Case[] => [
      {
        name: `${size} MiB in one frame`,
        sends: [text(letters(size * MiB))],
        answers: [says.text(letters(size * MiB))],
      },
      {
        name: `${size} MiB of characters of three octets`,
        sends: [text(Buffer.alloc(size * MiB - 1, "€"))],
        answers: [says.text(Buffer.alloc(size * MiB - 1, "€"))],
      },
    ]),
  );

  runCases(
    "echoes binary data",
    server,
    [1, 4, 16].map((size) => ({
      name: `${size} MiB in one frame`,
      sends: [binary(Buffer.alloc(size * MiB, Uint8Array.of(0, 255, 128)))],
      answers: [says.binary(Buffer.alloc(size * MiB, Uint8Array.of(0, 255, 128)))],
    })),
  );

  runCases(
    "echoes 4 MiB in fragments",
    server,
    [64, 256, KiB, 4 * KiB, 16 * KiB, 64 * KiB, 256 * KiB, MiB].map((size) => ({
      name: `of ${size} octets`,
      sends: [Buffer.concat(fragmented(opcodes.text, pieces(letters(4 * MiB), size)))],
      answers: [says.text(letters(4 * MiB))],
    })),
  );

  runCases(
    "echoes 1 MiB that comes in pieces of TCP",
    server,
    [256, KiB, 4 * KiB, 64 * KiB].map((size) => ({
      name: `of ${size} octets`,
      sends: pieces(text(letters(MiB)), size),
      answers: [says.text(letters(MiB))],
    })),
  );

  runCases(
    "echoes 64 KiB in fragments as senders cut them on their own",
    server,
    [1300, 1024, 999].map((size) => ({
      name: `of ${size} octets`,
      sends: fragmented(opcodes.text, pieces(letters(64 * KiB), size)),
      answers: [says.text(letters(64 * KiB))],
    })),
  );

  test.each([0, 16, 64, 256, 1024, 4096])("echoes 200 texts of %i octets, one after the other", async (size) => {
    const { client, reported } = await server.connect();
    const message = letters(size);
    for (let i = 0; i < 200; i++) {
      client.send(text(message));
      expect(await client.nextMessage()).toBe(message.toString());
    }
    client.send(close(1000));
    await client.closed();
    await reported;
  });
});

describe("the default of maxMessageBytes", () => {
  const server = echoServer();

  runCases("is 1 MiB", server, [
    { name: "1 MiB is echoed", sends: [binary(letters(MiB))], answers: [says.binary(letters(MiB))] },
    { name: "one octet more is refused", sends: [binary(letters(MiB + 1))], fault: 1009 },
  ]);
});

describe("maxMessageBytes of 1,000", () => {
  const server = echoServer({ maxMessageBytes: 1000 });

  runCases("lets pass", server, [
    { name: "text of 1,000 octets", sends: [text(letters(1000))], answers: [says.text(letters(1000))] },
    { name: "binary data of 1,000 octets", sends: [binary(letters(1000))], answers: [says.binary(letters(1000))] },
    {
      name: "fragments of 600 and 400 octets",
      sends: [text(letters(600), more), continuation(letters(400))],
      answers: [says.text(Buffer.concat([letters(600), letters(400)]))],
    },
    {
      name: "1,000 octets in fragments, with pings of 125 between them",
      sends: [
        text(letters(500), more),
        ping("p".repeat(125)),
        continuation(letters(500), more),
        ping("q"),
        continuation(),
      ],
      answers: [says.pong("p".repeat(125)), says.pong("q"), says.text(Buffer.concat([letters(500), letters(500)]))],
    },
    {
      name: "messages that are larger only together",
      sends: [text(letters(700)), text(letters(700)), ...fragmented(opcodes.text, [letters(500), letters(400)])],
      answers: [
        says.text(letters(700)),
        says.text(letters(700)),
        says.text(Buffer.concat([letters(500), letters(400)])),
      ],
    },
  ]);

  runCases("stops", server, [
    { name: "text of 1,001 octets", sends: [text(letters(1001))], fault: 1009 },
    { name: "binary data of 1,001 octets", sends: [binary(letters(1001))], fault: 1009 },
    { name: "334 characters that are 1,002 octets", sends: [text("€".repeat(334))], fault: 1009 },
    {
      name: "1,001 octets, as soon as the header says so",
      sends: [binary("", { payloadLength: 1001 })],
      fault: 1009,
    },
    {
      name: "1 MiB, as soon as the header says so",
      sends: [text("", { payloadLength: MiB })],
      fault: 1009,
    },
    {
      name: "a fragment that would make it 1,001, as soon as its header says so",
      sends: [text(letters(600), more), continuation("", { payloadLength: 401 })],
      fault: 1009,
    },
    {
      name: "a first fragment that is too large alone",
      sends: [text("", { payloadLength: 1001, fin: false })],
      fault: 1009,
    },
    {
      name: "1,001 fragments of one octet",
      sends: [Buffer.concat([text("a", more), ...Array.from({ length: 1000 }, () => continuation("b", more))])],
      fault: 1009,
    },
    {
      name: "a message after a good one",
      sends: [text("good"), ping("p"), text(letters(1001)), ping("late")],
      answers: [says.text("good"), says.pong("p")],
      fault: 1009,
    },
  ]);
});

describe("maxFragments of 4", () => {
  const server = echoServer({ maxFragments: 4 });

  runCases("lets pass", server, [
    { name: "four fragments", sends: fragmented(opcodes.text, ["a", "b", "c", "d"]), answers: [says.text("abcd")] },
    {
      name: "four fragments and pings between them",
      sends: [
        text("a", more),
        ping("1"),
        continuation("b", more),
        ping("2"),
        continuation("c", more),
        ping("3"),
        continuation("d"),
      ],
      answers: [says.pong("1"), says.pong("2"), says.pong("3"), says.text("abcd")],
    },
    {
      name: "four fragments, each message anew",
      sends: [1, 2, 3].flatMap(() => fragmented(opcodes.text, ["a", "b", "c", "d"])),
      answers: [1, 2, 3].map(() => says.text("abcd")),
    },
    {
      name: "ten messages of one frame",
      sends: Array.from({ length: 10 }, (_, i) => text(`${i}`)),
      answers: Array.from({ length: 10 }, (_, i) => says.text(`${i}`)),
    },
  ]);

  runCases("stops", server, [
    { name: "five fragments", sends: fragmented(opcodes.text, ["a", "b", "c", "d", "e"]), fault: 1008 },
    {
      name: "five fragments of binary data",
      sends: fragmented(opcodes.binary, ["a", "b", "c", "d", "e"]),
      fault: 1008,
    },
    { name: "five empty fragments", sends: fragmented(opcodes.text, ["", "", "", "", ""]), fault: 1008 },
    {
      name: "a fifth fragment, before its payload",
      sends: [
        ...fragmented(opcodes.text, ["a", "b", "c", "d", ""]).slice(0, 4),
        continuation("", { payloadLength: 100 }),
      ],
      fault: 1008,
    },
  ]);
});

describe("messageTimeoutMs of 250", () => {
  const server = echoServer({ messageTimeoutMs: 250 });

  test.each<[string, Uint8Array[]]>([
    ["a first fragment and no other", [text("begun", more)]],
    ["an empty first fragment", [text("", more)]],
    ["a frame that lacks its last octet", [text("begun").subarray(0, -1)]],
    ["a frame that lacks its payload", [text("begun").subarray(0, 6)]],
    ["a header that lacks its masking key", [text("begun").subarray(0, 2)]],
    ["one octet of a header", [text("begun").subarray(0, 1)]],
    ["a second message begun after a whole one", [text("whole"), text("begun", more)]],
  ])("closes with 1008 on %s", async (_name, sends) => {
    const { client, report, reported } = await server.connect();
    const before = performance.now();
    client.send(...sends);
    expect((await client.closed()).code).toBe(1008);
    expect(performance.now() - before).toBeGreaterThan(240);
    await reported;
    expect(report.closes).toEqual([{ code: 1008, reason: expect.any(String), wasClean: false }]);
  });

  test.each<[string, () => Uint8Array]>([
    ["more fragments", () => continuation("more", more)],
    ["pings", () => ping("alive")],
    ["pongs", () => pong("alive")],
  ])("is not prolonged by %s", async (_name, next) => {
    const { client, reported } = await server.connect();
    client.send(text("begun", more));
    const trickle = setInterval(() => client.send(next()), 20);
    try {
      expect((await client.closed()).code).toBe(1008);
    } finally {
      clearInterval(trickle);
    }
    await reported;
  });

  test("is not prolonged by a payload that comes octet by octet", async () => {
    const { client, reported } = await server.connect();
    client.send(binary("", { payloadLength: 100_000 }));
    const trickle = setInterval(() => client.send(Buffer.of(0x9b)), 20);
    try {
      expect((await client.closed()).code).toBe(1008);
    } finally {
      clearInterval(trickle);
    }
    await reported;
  });

  test("does not close a connection whose messages have all ended", async () => {
    const idle = await server.connect();
    idle.client.send(...fragmented(opcodes.text, ["a", "b"]), text("c"));
    expect(await idle.client.nextMessage()).toBe("ab");
    expect(await idle.client.nextMessage()).toBe("c");
    // Another connection runs into the limit meanwhile, which shows that the time has passed for this connection too.
    const late = await server.connect();
    late.client.send(text("begun", more));
    expect((await late.client.closed()).code).toBe(1008);
    idle.client.send(text("still here"));
    expect(await idle.client.nextMessage()).toBe("still here");
    idle.client.send(close(1000));
    await idle.client.closed();
    await Promise.all([idle.reported, late.reported]);
  });

  test("begins anew with each message of a busy sender", async () => {
    const { client, reported } = await server.connect();
    const end = performance.now() + 700;
    let count = 0;
    // Each write ends inside a message, so that the server always has the beginning of one.
    client.send(text("next").subarray(0, 3));
    while (performance.now() < end) {
      client.send(Buffer.concat([text("next").subarray(3), text("next").subarray(0, 3)]));
      expect(await client.nextMessage()).toBe("next");
      count++;
    }
    expect(count).toBeGreaterThan(3);
    client.send(text("next").subarray(3), close(1000));
    expect((await client.closed()).code).toBe(1000);
    await reported;
  });
});
