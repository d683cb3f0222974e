/**
 * The one file that knows which runtime it is on. What all three do alike is imported from `node:` modules anywhere; what they
 * do differently has its name, and its reason, here.
 */
import { Buffer, isUtf8 } from "node:buffer";
import { hash } from "node:crypto";
import type { Socket as RawSocket } from "node:net";
import type { Codec } from "./protocol/connection.ts";
import { ACCEPT_GUID } from "./protocol/handshake.ts";

/** The runtime that this process is. */
export const runtime: "node" | "deno" | "bun" = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node";

/** The value of Sec-WebSocket-Accept for a client's key, RFC 6455 §4.2.2. */
export function acceptKey(key: string): string {
  return hash("sha1", key + ACCEPT_GUID, "base64");
}

/** What `toString` calls in the end; all three runtimes have them, and for short texts the detour costs more than the decoding. */
interface SliceDecoders {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
}

function decoders(bytes: Uint8Array): SliceDecoders {
  return bytes as Uint8Array & SliceDecoders;
}

/** Native text decoding and memory for the protocol. */
export const codec: Codec = {
  isUtf8,
  allocate: (byteLength) => Buffer.allocUnsafe(byteLength),
  decodeAscii: (bytes, start, end) => decoders(bytes).latin1Slice(start, end),
  decodeUtf8: (bytes, start, end) => decoders(bytes).utf8Slice(start, end),
};

/**
 * Whether a large frame leaves faster as one corked write of its header and its payload than as two writes: Deno gathers
 * corked writes at little cost, Node and Bun copy them or pay more for the gathering than for a second call.
 */
export const corksLargeFrames: boolean = runtime === "deno";

/** Whether a socket goes on reading into memory while it is paused: Deno does so under TLS. */
export function readsWhilePaused(raw: RawSocket): boolean {
  return runtime === "deno" && "encrypted" in raw;
}
