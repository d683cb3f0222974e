/**
 * The flooder's program: one client that sends as fast as the server takes the bytes, and reads all that comes back.
 */
import process from "node:process";
import { floods } from "./floods.ts";
import { RawClient } from "./raw-client.ts";

export interface FloodReport {
  /** Messages that the system took from the flooder. */
  readonly perSecond: number;
  /** The code of the server's Close, or `cut` when TCP closed without one; undefined while the connection is open. */
  readonly closed?: string;
}

const CHUNK_BYTES = 64 * 1024;

const { PORT, FLOOD, TLS, SECONDS } = process.env;
const flood = floods.find(({ name }) => name === FLOOD)!;
const offers = {
  "no-takeover": "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
  takeover: "permessage-deflate",
};
const client = await RawClient.connect(Number(PORT), TLS === "1", flood.compression && offers[flood.compression]);
const { socket } = client;

const frames = flood.frames();
const unit = Buffer.concat(frames);
const units = Math.max(1, Math.ceil(CHUNK_BYTES / unit.length));
const chunk = unit.length === 0 ? unit : Buffer.concat(Array.from({ length: units }, () => unit));

let closed: string | undefined;
socket.on("data", (bytes: Buffer) => {
  // The frames are not parsed: only in a small chunk is a byte of 0x88 likely to be the head of a Close frame.
  if (bytes.length > 3 && (bytes.length < 130)) {
    const at = bytes.lastIndexOf(0x88);
    if (at >= 0 && at + 4 <= bytes.length && bytes[at + 1] >= 2) closed = String(bytes.readUInt16BE(at + 2));
  }
});
socket.on("close", () => closed ??= "cut");

function flow(): void {
  if (chunk.length === 0) return;
  while (!socket.destroyed && socket.writable && socket.write(chunk)) { /* until the socket's buffer is full */ }
}
socket.on("drain", flow);
console.log(JSON.stringify("started"));
const startMs = performance.now();
flow();
setTimeout(() => {
  const bytes = socket.bytesWritten - socket.writableLength;
  const perSecond = unit.length === 0 ? 0 : bytes / unit.length * frames.length / (performance.now() - startMs) * 1000;
  console.log(JSON.stringify({ perSecond, ...(closed !== undefined && { closed }) } satisfies FloodReport));
}, Number(SECONDS) * 1000);
