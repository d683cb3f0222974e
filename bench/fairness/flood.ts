/** Floods a server with one connection: as fast as it takes the bytes, and reads all that comes back. */
import process from "node:process";
import { Client } from "./client.ts";
import { floods } from "./floods.ts";

const CHUNK_BYTES = 64 * 1024;

const { PORT, FLOOD, TLS, SECONDS } = process.env;
const flood = floods.find(({ name }) => name === FLOOD)!;
const offers = {
  "no-takeover": "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
  takeover: "permessage-deflate",
};
const client = await Client.connect(Number(PORT), TLS === "1", flood.compression && offers[flood.compression]);
const { socket } = client;

const frames = flood.frames();
const unit = Buffer.concat(frames);
const units = Math.max(1, Math.ceil(CHUNK_BYTES / unit.length));
const chunk = unit.length === 0 ? unit : Buffer.concat(Array.from({ length: units }, () => unit));

let end: string | undefined;
socket.on("data", (bytes: Buffer) => {
  // The Close, where the last chunk is small enough to tell.
  if (bytes.length > 3 && (bytes.length < 130)) {
    const at = bytes.lastIndexOf(0x88);
    if (at >= 0 && at + 4 <= bytes.length && bytes[at + 1] >= 2) end = String(bytes.readUInt16BE(at + 2));
  }
});
socket.on("close", () => end ??= "cut");

function flow(): void {
  if (chunk.length === 0) return;
  while (!socket.destroyed && socket.writable && socket.write(chunk)) { /* until it is full */ }
}
socket.on("drain", flow);
console.log("flooding");
const startMs = performance.now();
flow();
setTimeout(() => {
  const bytes = socket.bytesWritten - socket.writableLength;
  const perSecond = unit.length === 0 ? 0 : bytes / unit.length * frames.length / (performance.now() - startMs) * 1000;
  console.log(JSON.stringify({ perSecond, end }));
}, Number(SECONDS) * 1000);
