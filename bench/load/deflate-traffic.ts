/** Traffic under permessage-deflate (RFC 7692): really compressed both ways, and a sample of the replies inflated. */
import { constants, createDeflateRaw, inflateRawSync } from "node:zlib";
import { keepsContext, SMALL_WINDOWS, windowsOf } from "../shared/deflate-modes.ts";
import { maskedFrame, type Message, MessageCounter, OPCODE, readMessages } from "./frames.ts";
import { type Expectation, payloadsOf, tooMuch, type Traffic } from "./traffic.ts";
import type { Workload } from "./workload.ts";

const SERVER_BITS = `server_max_window_bits=${SMALL_WINDOWS.windowBits}`;
const CLIENT_BITS = `client_max_window_bits=${SMALL_WINDOWS.windowBits}`;

const OFFERS = {
  off: undefined,
  "no-takeover": "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
  takeover: "permessage-deflate",
  // The server names the client's window: it can, since the client says that it would follow.
  "small-windows": `permessage-deflate; client_max_window_bits; ${SERVER_BITS}`,
};

/** What a sync flush ends with, and §7.2.1 leaves out. */
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);

/** zlib's own default, which browsers and Python compress with. */
const CLIENT_LEVEL = 6;

/** A sequence is longer than the window, so that takeover does not find the very same messages there when it begins again. */
const SEQUENCE_BYTES = 48 * 1024;

export function offerOf(workload: Workload): string | undefined {
  return OFFERS[workload.deflate];
}

/** Throws unless the server has agreed to just what the cell is about. */
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
  if (!isAsAsked) throw new Error(`the server agreed to ${agreed}, where ${offerOf(workload)} was offered`);
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
 * The texts of compressed messages, joined: as one stream where the server keeps its window, one by one where it does not. zlib refuses what refers back further than the window that
 * was agreed on.
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
  // A message that does not shrink may be sent as it is, and is then no part of the stream.
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
 * Several batches of texts that differ, from each other and from those of other connections. With takeover they are one stream that begins with an empty
 * window. Such a sequence may follow itself for ever: each reference in it reaches back over bytes of the sequence alone, and those are the same every time.
 */
async function deflateTraffic(workload: Workload, connection: number): Promise<Traffic> {
  const batchCount = workload.work === "idle"
    ? 1
    : Math.ceil(SEQUENCE_BYTES / (workload.payloadBytes * workload.inFlight));
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
      // How long a reply is depends on the server's compressor: messages are counted instead of bytes.
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

/** For each connection its own; kept for the servers that are measured next in the same workload. */
export async function deflateTraffics(workload: Workload, connections: number): Promise<Traffic[]> {
  const id = `${workload.id} ${workload.work}`;
  if (built?.id !== id) built = { id, traffics: [] };
  const { traffics } = built;
  while (traffics.length < connections) traffics.push(await deflateTraffic(workload, traffics.length));
  return traffics;
}
