// The memory of the messages that a socket hands out: an application may keep it, change it and give it away.

import { once } from "node:events";
import { connect } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { createApp } from "../../../mod.ts";
import { connectPair, eventOf, listeningApp, portOf, until } from "../../support/app.ts";
import { deflatePair } from "../../support/compression.ts";
import { binary, fragmented, opcodes, pieces, ping, pong, text } from "../../support/frames.ts";
import { type RawClient, upgradeRequest } from "../../support/raw-client.ts";

const OWN = 0x6d;

/** The lengths of the headers that servers and clients write in front of a payload. */
const HEADER_BYTES = [2, 4, 10, 6, 8, 14];

/** Says what is wrong with the memory of a message, if something is: see `SocketEvents.message`. */
function faultOf(message: Uint8Array, expected: Uint8Array): string | undefined {
  const { buffer, byteOffset, length } = message;
  if (!Buffer.isBuffer(message) || Buffer.compare(message, expected) !== 0) return "It is another message";
  if (byteOffset % 8 !== 0) return `It begins at ${byteOffset}`;
  // More bytes than those of the message and of its header would be those of somebody else.
  if (![0, ...HEADER_BYTES].includes(buffer.byteLength - length)) return `It lies in ${buffer.byteLength} bytes`;
  return undefined;
}

const sizes = [
  0,
  1,
  32,
  64,
  65,
  100,
  125,
  126,
  1000,
  1023,
  1024,
  4096,
  16_384,
  20_000,
  60_000,
  65_536,
  100_000,
  300_000,
];
const own = (size: number): Buffer => Buffer.alloc(size, OWN);

/** The chunks in which a message of a size comes, together with messages that it must not share its memory with. */
const arrivals: [string, (size: number) => Uint8Array[]][] = [
  ["alone", (size) => [binary(own(size))]],
  ["with others in one chunk", (size) => [Buffer.concat([text("a"), binary(own(size)), text("b")])]],
  ["in front of another", (size) => [Buffer.concat([binary(own(size)), text("ab")])]],
  ["behind another", (size) => [Buffer.concat([text("ab"), binary(own(size))])]],
  ["in front of a message that is not complete", (size) => [
    Buffer.concat([binary(own(size)), text("abc").subarray(0, 8)]),
    text("abc").subarray(8),
  ]],
  ["cut in its header", (size) => [binary(own(size)).subarray(0, 3), binary(own(size)).subarray(3)]],
  ["cut behind its header", (size) => pieces(binary(own(size)), Math.max(15, size / 2))],
  ["in fragments", (size) => fragmented(opcodes.binary, [...pieces(own(size), Math.ceil(size / 3) + 1), ""])],
  ["in fragments of one chunk", (size) => [
    Buffer.concat([...fragmented(opcodes.binary, [own(size), ""]), text("after")]),
  ]],
];

/** Sends each chunk in a write of its own, when the chunks before it have been read. */
async function sendApart(client: RawClient, chunks: readonly Uint8Array[]): Promise<void> {
  for (const chunk of chunks) {
    client.send(chunk);
    await nextTurn();
  }
}

describe("a binary message has memory of its own", () => {
  test.each(arrivals)("when it comes %s", async (_name, chunksOf) => {
    const { client, seen } = await connectPair({ maxMessageBytes: 2 ** 20 });
    for (const size of sizes) {
      const isThere = (): Buffer | undefined => seen.messages.find((message) => typeof message !== "string") as Buffer;
      await sendApart(client, chunksOf(size));
      await until(() => isThere() !== undefined);
      const message = isThere()!;
      expect([size, faultOf(message, own(size))]).toEqual([size, undefined]);
      seen.messages.length = 0;
    }
  });

  test("when it comes with the handshake, behind headers with secrets", async () => {
    const messages: (string | Buffer)[] = [];
    const app = await listeningApp({}, (app) =>
      app.ws("/", (socket) => {
        socket.on("message", (data) => messages.push(data));
      }));
    const raw = connect(portOf(app), "127.0.0.1");
    onTestFinished(() => void raw.destroy());
    await once(raw, "connect");
    const head = Buffer.from(upgradeRequest("/", { cookie: "secret" }), "latin1");
    raw.write(Buffer.concat([head, binary(own(50)), binary(own(5000))]));
    await until(() => messages.length === 2);
    expect(messages.map((message, i) => faultOf(message as Buffer, own([50, 5000][i])))).toEqual([
      undefined,
      undefined,
    ]);
  });

  test.each([true, false])("when it was compressed, with context takeover: %s", async (contextTakeover) => {
    const { client, seen } = await deflatePair({ contextTakeover, threshold: 0 });
    for (const size of sizes) {
      await client.send(own(size));
      await until(() => seen.messages.length === 1);
      expect([size, faultOf(seen.messages.pop() as Buffer, own(size))]).toEqual([size, undefined]);
    }
  });

  test("when a loop or a web stream takes it", async () => {
    const { socket, client } = await connectPair();
    client.send(Buffer.concat([binary(own(10)), text("a"), binary(own(200)), text("b")]));
    const loop = socket[Symbol.asyncIterator]();
    expect(faultOf((await loop.next()).value as Buffer, own(10))).toBeUndefined();
    expect((await loop.next()).value).toBe("a");
    const reader = socket.readable.getReader();
    expect(faultOf((await reader.read()).value as Buffer, own(200))).toBeUndefined();
  });

  test("at both ends of app.inject", async () => {
    const app = await createApp({ logger: false });
    const messages: Uint8Array[] = [];
    app.ws("/", (socket) => {
      socket.on("message", (data) => {
        messages.push(data as Buffer);
        socket.send(data);
      });
    });
    const client = await app.inject("/");
    for (const size of sizes) {
      client.send(own(size));
      const reply = await client.next() as Buffer;
      expect([size, faultOf(messages.pop()!, own(size)), faultOf(reply, own(size))]).toEqual([
        size,
        undefined,
        undefined,
      ]);
    }
    await client.close();
    await app.close();
  });

  test.each([["ping", ping], ["pong", pong]] as const)("and so has the payload of a %s", async (event, frame) => {
    const { socket, client } = await connectPair();
    for (const size of [1, 32, 100, 125]) {
      const payload = eventOf(socket, event);
      client.send(Buffer.concat([text("a"), frame(own(size)), text("b")]));
      expect([size, faultOf((await payload)[0], own(size))]).toEqual([size, undefined]);
    }
  });
});

test("a message may be read as an array of larger elements", async () => {
  const { client, seen } = await connectPair();
  const floats = Float64Array.from({ length: 20 }, (_, i) => i / 3);
  client.send(Buffer.concat([text("a"), binary(new Uint8Array(floats.buffer)), text("b")]));
  client.send(binary(new Uint8Array(floats.buffer)));
  await until(() => seen.messages.length === 4);
  for (const message of seen.messages.filter((message) => typeof message !== "string")) {
    expect(new Float64Array(message.buffer, message.byteOffset, message.length / 8)).toEqual(floats);
  }
});
