/**
 * Traffic under permessage-deflate (RFC 7692): messages are compressed both ways, and a sample of the replies is
 * inflated.
 */
import { constants, createDeflateRaw, inflateRawSync } from "node:zlib";
import { keepsContext, SMALL_WINDOWS, windowsOf } from "../shared/deflate-modes.ts";
import { maskedFrame, type Message, MessageCounter, OPCODE, readMessages } from "./frames.ts";
import { payloadsOf } from "./payloads.ts";
import { type Expectation, tooMuch, type Traffic } from "./traffic.ts";
import type { Workload } from "./workload.ts";

const SERVER_BITS = `server_max_window_bits=${SMALL_WINDOWS.windowBits}`;
const CLIENT_BITS = `client_max_window_bits=${SMALL_WINDOWS.windowBits}`;

const OFFERS = {
  off: undefined,
  "no-takeover": "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
  takeover: "permessage-deflate",
  // The server chooses the client's window, which RFC 7692 §7.1.2.2 allows after an offer of client_max_window_bits.
  "small-windows": `permessage-deflate; client_max_window_bits; ${SERVER_BITS}`,
};

/** A sync flush ends with these bytes, and a message is sent without them (RFC 7692 §7.2.1). */
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);

/** zlib's default, which browsers and Python use. */
const CLIENT_LEVEL = 6;

/**
 * The batches together are longer than the window, so that a connection that starts over finds none of them still in
 * the window.
 */
const BATCHES_BYTES = 48 * 1024;

export function offerOf(workload: Workload): string | undefined {
  return OFFERS[workload.deflate];
}

/** Throws unless the server agreed to exactly the compression that the workload is about. */
export function checkAgreement(workload: Workload, agreed: string | undefined): void {
  if (workload.deflate === "off") {
    if (agreed !== undefined) throw new Error(`the server agreed to ${agreed}, which was not offered`);
    return;
  }
  if (!agreed?.startsWith("permessage-deflate")) throw new Error("the server does not negotiate permessage-deflate");
  const isTakeover = !agreed.includes("no_context_takeover");
  const isAsAsked = {
    "no-takeover": agreed.includes("server_no_context_takeover"),
    takeover: isTakeover,
    "small-windows": isTakeover && agreed.includes(SERVER_BITS) && agreed.includes(CLIENT_BITS),
  }[workload.deflate];
  if (!isAsAsked) throw new Error(`the server agreed to ${agreed}, but ${offerOf(workload)} was offered`);
}

async function compress(payloads: Buffer[], workload: Workload): Promise<Buffer[]> {
  const stream = createDeflateRaw({ level: CLIENT_LEVEL, ...windowsOf(workload.deflate) });
  let chunks: Buffer[] = [];
  stream.on("data", (chunk) => chunks.push(chunk));
  const messages: Buffer[] = [];
  for (const payload of payloads) {
    stream.write(payload);
    await new Promise<void>((resolve) => stream.flush(constants.Z_SYNC_FLUSH, resolve));
    messages.push(Buffer.concat(chunks).subarray(0, -TAIL.length));
    chunks = [];
    if (!keepsContext(workload.deflate)) stream.reset();
  }
  stream.destroy();
  return messages;
}

/**
 * The inflated messages, joined. They are inflated as one stream where the server keeps its window, and one by one
 * where it does not. zlib throws when a message refers back further than the agreed window.
 */
function inflate(messages: Message[], workload: Workload): Buffer {
  const parts = messages.map(({ payload }) => Buffer.concat([payload, TAIL]));
  const streams = keepsContext(workload.deflate) ? [Buffer.concat(parts)] : parts;
  const options = { ...windowsOf(workload.deflate), finishFlush: constants.Z_SYNC_FLUSH };
  return Buffer.concat(streams.map((stream) => inflateRawSync(stream, options)));
}

function verifyReplies(payloads: Buffer[], messages: Message[], workload: Workload): void {
  if (messages.length !== payloads.length) {
    throw new Error(`${messages.length} messages came back for ${payloads.length}`);
  }
  // A server may send a message uncompressed when it does not shrink; such a message is not part of the compressed
  // stream.
  const compressed = messages.filter(({ isCompressed }) => isCompressed);
  const expected = payloads.filter((_, index) => messages[index].isCompressed);
  const plain = messages.every(({ isCompressed, payload }, index) => isCompressed || payload.equals(payloads[index]));
  if (!plain || messages.some(({ opcode }) => opcode !== OPCODE.text)) throw new Error("a reply is not what was sent");
  if (compressed.length < messages.length / 2) {
    throw new Error(`only ${compressed.length} of ${messages.length} replies are compressed`);
  }
  if (!inflate(compressed, workload).equals(Buffer.concat(expected))) {
    throw new Error("the replies inflate to something else than what was sent");
  }
}

/**
 * Several batches of texts, which differ from each other and from those of other connections. With takeover they are
 * one stream that begins with an empty window. A connection may send this stream again and again, because its
 * references reach back only to bytes of the stream itself, and these bytes are the same each time.
 */
async function deflateTraffic(workload: Workload, connection: number): Promise<Traffic> {
  const batchCount = workload.work === "idle"
    ? 1
    : Math.ceil(BATCHES_BYTES / (workload.payloadBytes * workload.inFlight));
  const count = batchCount * workload.inFlight;
  const payloads = payloadsOf(workload, count, connection * count);
  const compressed = await compress(payloads, workload);
  const frames = compressed.map((payload) => maskedFrame(OPCODE.text, payload, true));
  const batches = Array.from(
    { length: batchCount },
    (_, index) => Buffer.concat(frames.slice(index * workload.inFlight, (index + 1) * workload.inFlight)),
  );
  return {
    batches,
    expect(): Expectation {
      // The length of a reply depends on the server's compressor, so messages are counted instead of bytes.
      const counter = new MessageCounter();
      let missing = 0;
      return {
        begin: () => void (missing = workload.inFlight),
        take(bytes) {
          missing -= counter.count(bytes);
          if (missing < 0) throw tooMuch();
          return missing === 0;
        },
      };
    },
    verify: (replies) => verifyReplies(payloads, readMessages(replies), workload),
  };
}

let built: { id: string; traffics: Traffic[] } | undefined;

/**
 * The traffic of each connection. It is kept until another workload comes, so that it is compressed once for all peers
 * in a cell.
 */
export async function deflateTraffics(workload: Workload, connections: number): Promise<Traffic[]> {
  const id = `${workload.id} ${workload.work}`;
  if (built?.id !== id) built = { id, traffics: [] };
  const { traffics } = built;
  while (traffics.length < connections) traffics.push(await deflateTraffic(workload, traffics.length));
  return traffics;
}
