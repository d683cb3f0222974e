// RFC 7692 §7.2: messages of every size, number and fragmentation, compressed both ways, under every set of
// parameters.

import { describe, expect, test } from "vitest";
import type { AppOptions } from "../../mod.ts";
import { ClientCodec, type DeflateClient, deflateConnection, framesOf } from "../support/deflate.ts";
import { echoServer } from "../support/echo-server.ts";
import { close, opcodes, pieces, ping } from "../support/frames.ts";
import { Random } from "../support/random.ts";

const KiB = 1024;

interface ParameterSet {
  name: string;
  offer: string;
  response: string;
  compression: Exclude<AppOptions["compression"], boolean | undefined>;
}

const sets: ParameterSet[] = [
  {
    name: "no takeover",
    offer: "",
    response: "; server_no_context_takeover; client_no_context_takeover",
    compression: {},
  },
  {
    name: "the server takes over",
    offer: "; client_no_context_takeover",
    response: "; client_no_context_takeover",
    compression: { contextTakeover: true },
  },
  {
    name: "the client takes over",
    offer: "; server_no_context_takeover",
    response: "; server_no_context_takeover",
    compression: { contextTakeover: true },
  },
  { name: "both take over", offer: "", response: "", compression: { contextTakeover: true } },
  {
    name: "both take over windows of 9 bits",
    offer: "; client_max_window_bits",
    response: "; server_max_window_bits=9; client_max_window_bits=9",
    compression: { contextTakeover: true, serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
  },
  {
    name: "both take over windows of 10 bits, as the client asks",
    offer: "; server_max_window_bits=10; client_max_window_bits=10",
    response: "; server_max_window_bits=10; client_max_window_bits=10",
    compression: { contextTakeover: true, clientMaxWindowBits: 14 },
  },
  {
    name: "both take over windows of 15 bits, with the most memory",
    offer: "; server_max_window_bits=15; client_max_window_bits=15",
    response: "; server_max_window_bits=15",
    compression: { contextTakeover: true, level: 9, memLevel: 9 },
  },
  {
    name: "no takeover and windows of 9 bits, with the least memory",
    offer: "; client_max_window_bits",
    response:
      "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9",
    compression: { serverMaxWindowBits: 9, clientMaxWindowBits: 9, level: 1, memLevel: 1 },
  },
];

interface Row {
  count: number;
  size: number;
  /**
   * The size of the fragments of a message, which have a Ping between any two of them and an empty fragment at the end.
   */
  fragment?: number;
  /** The size of the pieces in which the frames are written. The sizes are odd, so that the cuts fall anywhere. */
  piece?: number;
}

const rows: Row[] = [
  { count: 8, size: 0 },
  { count: 100, size: 1 },
  { count: 100, size: 16 },
  { count: 40, size: 125 },
  { count: 40, size: 126 },
  { count: 40, size: 127 },
  { count: 100, size: 256 },
  { count: 20, size: 1023 },
  { count: 20, size: 1024 },
  { count: 20, size: 4096 },
  { count: 12, size: 8191 },
  { count: 12, size: 16 * KiB },
  { count: 8, size: 64 * KiB - 1 },
  { count: 8, size: 64 * KiB },
  { count: 4, size: 128 * KiB - 1 },
  { count: 4, size: 128 * KiB },
  { count: 4, size: 128 * KiB + 1 },
  { count: 4, size: 1_000_000 },
  { count: 8, size: 0, fragment: 1 },
  { count: 12, size: 64, fragment: 1 },
  { count: 12, size: 1000, fragment: 7 },
  { count: 8, size: 4096, fragment: 255 },
  { count: 8, size: 64 * KiB, fragment: 1023 },
  { count: 4, size: 256 * KiB, fragment: 16 * KiB },
  { count: 20, size: 300, piece: 3 },
  { count: 12, size: 5000, fragment: 999, piece: 101 },
  { count: 4, size: 128 * KiB, piece: 4093 },
];

const random = new Random(7692);

/** The four kinds of messages: text, data with distant repetitions, text beyond ASCII, and noise. */
const kinds: ((size: number, index: number) => string | Buffer)[] = [
  (size, index) => {
    const items = Array.from({ length: Math.ceil(size / 40) }, (_, i) => `{"id":${index * i},"name":"item ${i}"}`);
    return JSON.stringify(items).slice(0, size).padEnd(size);
  },
  (size) => Buffer.alloc(size, random.bytes(Math.max(1, size % 5000))),
  (size) => "Grüße, 世界 🌍! ".repeat(size / 16).slice(0, size / 4).toWellFormed().padEnd(size / 4),
  (size) => random.bytes(size),
];

function nameOf({ count, size, fragment, piece }: Row): string {
  const fragments = fragment === undefined ? "" : `, in fragments of ${fragment}`;
  return `${count} messages of ${size} octets${fragments}${piece === undefined ? "" : `, written ${piece} at a time`}`;
}

describe.each(sets.map((set) => [set.name, set] as const))("%s", (_name, { offer, response, compression }) => {
  const server = echoServer({ compression: { threshold: 0, ...compression } });

  test.each(rows.map((row) => [nameOf(row), row] as const))("%s", async (_name, { count, size, fragment, piece }) => {
    const { client, socket, reported, report } = await deflateConnection(server, `permessage-deflate${offer}`);
    expect(client.extensions).toBe(`permessage-deflate${response}`);
    expect(socket.extensions).toBe(client.extensions);
    const received: (string | Buffer)[] = [];
    socket.on("message", (data) => received.push(data));

    const messages = Array.from({ length: count }, (_, i) => kinds[i % kinds.length](size, i));
    const sends = sendAll(client, messages, fragment, piece);
    for (const [i, message] of messages.entries()) {
      const { data, isCompressed } = await client.next();
      expectSame(data, message);
      expectSame(received[i], message);
      // A long text with repetitions is sent compressed. Noise does not shrink and is sent as it is, unless the
      // server's window has to contain it.
      if (i % kinds.length === 0 && size >= 256) expect(isCompressed).toBe(true);
      if (i % kinds.length === 3 && client.agreement!.serverNoContextTakeover) expect(isCompressed).toBe(false);
    }
    const pings = await sends;
    expect(client.frames.filter(({ opcode }) => opcode === opcodes.pong)).toHaveLength(pings);

    client.sendBytes(close(1000));
    expect((await client.closed()).code).toBe(1000);
    await reported;
    expect(report).toEqual({ errors: [], closes: [{ code: 1000, reason: "", wasClean: true }] });
  });
});

describe("a client that was told a smaller window (§7.1.2.2)", () => {
  const server = echoServer({ compression: { threshold: 0, contextTakeover: true, clientMaxWindowBits: 9 } });

  test("is failed with 1007 when a message refers further back", async () => {
    const { client, reported, report } = await deflateConnection(server, "permessage-deflate; client_max_window_bits");
    const agreement = { ...client.agreement!, clientMaxWindowBits: 15 };
    const codec = new ClientCodec(agreement);
    const noise = random.bytes(32_000);
    const send = async (data: Buffer): Promise<void> =>
      client.sendBytes(...framesOf(opcodes.binary, [await codec.deflate(data)], true));
    await send(noise);
    expectSame(await client.nextMessage(), noise);
    await send(noise.subarray(0, 300));
    expect((await client.closed()).code).toBe(1007);
    await reported;
    expect(report.closes).toMatchObject([{ code: 1007, wasClean: false }]);
    codec.close();
  });
});

/** Sends the messages, every fifth of them uncompressed, and gives the number of Pings between their fragments. */
async function sendAll(
  client: DeflateClient,
  messages: readonly (string | Buffer)[],
  fragment: number | undefined,
  piece: number | undefined,
): Promise<number> {
  let pings = 0;
  const cut = (payload: Uint8Array): readonly Uint8Array[] => {
    if (fragment === undefined) return [payload];
    const cuts = [...pieces(payload, fragment), Buffer.alloc(0)];
    pings += cuts.length - 1;
    return cuts;
  };
  for (const [i, message] of messages.entries()) {
    const bytes = Buffer.concat(await client.encode(message, { compress: i % 5 !== 4, cut, between: ping("between") }));
    if (piece === undefined) client.sendBytes(bytes);
    else await client.sendApart(pieces(bytes, piece));
  }
  return pings;
}

/** Compares messages as bytes, since a comparison item by item takes too long for large ones. */
function expectSame(actual: string | Buffer, expected: string | Buffer): void {
  expect(typeof actual).toBe(typeof expected);
  expect(Buffer.compare(Buffer.from(actual as string), Buffer.from(expected as string))).toBe(0);
}
