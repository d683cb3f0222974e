/**
 * A second reader of a client's frames, written from RFC 6455 and RFC 7692 and not from `src/protocol`: it gets all
 * bytes at once, reads one frame after the other, and knows no chunk, no pause and no fast path.
 */

import { inflateAlone, type Inflated, InflateStreamOracle } from "../support/inflate-oracle.ts";
import { judgeUtf8 } from "./utf8-oracle.ts";

/** What a connection allows. */
export interface Settings {
  readonly maxMessageBytes: number;
  readonly maxFragments: number;
  /** Undefined without permessage-deflate. */
  readonly deflate?: "no takeover" | "takeover" | undefined;
}

/** The limits of the connections that are tried: wide ones, a short message, and few fragments. */
export const LIMITS: readonly Omit<Settings, "deflate">[] = [
  { maxMessageBytes: 100_000, maxFragments: 1_000 },
  { maxMessageBytes: 60, maxFragments: 1_000 },
  { maxMessageBytes: 400, maxFragments: 3 },
];

/** What has to become of the bytes of a client. */
export interface Verdict {
  /** The calls that `RecordingHandler` records, up to the fault of the client if there is one. */
  readonly lines: readonly string[];
  /** The close codes that fit the fault of the client. There are several when the client breaks two rules at once. */
  readonly closeCodes: readonly number[];
  /** The rule that the client has broken, or where the bytes end. */
  readonly reason: Reason;
  /** True when a compressed message had a payload without bytes. */
  readonly hasHollow: boolean;
  /** True when a compressed message had a final block. */
  readonly hasFinalBlock: boolean;
}

export type Reason =
  | "closed"
  | "ends in a header"
  | "ends in a payload"
  | "ends between frames"
  | "§5.2 reserved bits"
  | "§5.2 reserved opcode"
  | "§5.1 not masked"
  | "§5.5 fragmented control frame"
  | "§5.5 long control frame"
  | "§5.2 length not minimal"
  | "§5.2 top bit of a length"
  | "§5.2 length of 2^53"
  | "RFC 7692 §6 RSV1"
  | "§5.4 order of fragments"
  | "§10.4 long message"
  | "§10.4 many fragments"
  | "§8.1 UTF-8"
  | "§5.5.1 Close of one byte"
  | "§7.4 close code"
  | "§5.5.1 reason"
  | "RFC 7692 §7.2.2 DEFLATE"
  | "RFC 7692 §7.2.3.4 final blocks"
  | "§10.4 long message inside";

interface Message {
  readonly isText: boolean;
  readonly isCompressed: boolean;
  readonly payload: number[];
  announced: number;
  frames: number;
}

/** The codes with which a message may be refused whose compressed payload breaks a rule. */
interface Refusal {
  readonly closeCodes: readonly number[];
  readonly reason: Reason;
}

/** Reads the bytes of a client. */
export function judge(bytes: Uint8Array, settings: Settings): Verdict {
  const lines: string[] = [];
  const inflater = settings.deflate === "takeover" ? new InflateStreamOracle() : undefined;
  const end = (reason: Reason, ...closeCodes: number[]): Verdict => ({
    lines,
    closeCodes,
    reason,
    hasHollow,
    hasFinalBlock,
  });
  let hasHollow = false;
  let hasFinalBlock = false;
  let message: Message | undefined;
  let at = 0;
  while (true) {
    if (at === bytes.length) return end("ends between frames");
    if (at + 2 > bytes.length) return end("ends in a header");
    const [first, second] = bytes.subarray(at, at + 2);
    const isLast = first >= 128;
    const [rsv1, rsv2, rsv3] = [64, 32, 16].map((bit) => (first & bit) !== 0);
    const opcode = first % 16;
    const isControl = opcode >= 8;
    if (rsv2 || rsv3) return end("§5.2 reserved bits", 1002);
    if (![0, 1, 2, 8, 9, 10].includes(opcode)) return end("§5.2 reserved opcode", 1002);
    if (second < 128) return end("§5.1 not masked", 1002);
    const short = second - 128;
    if (isControl && !isLast) return end("§5.5 fragmented control frame", 1002);
    if (isControl && short > 125) return end("§5.5 long control frame", 1002);

    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    const keyAt = at + 2 + lengthBytes;
    if (keyAt + 4 > bytes.length) return end("ends in a header");
    let long = BigInt(short);
    if (lengthBytes > 0) long = BigInt(`0x${Buffer.from(bytes.subarray(at + 2, keyAt)).toString("hex")}`);
    if (long >= 2n ** 63n) return end("§5.2 top bit of a length", 1002);
    if (long >= 2n ** 53n) return end("§5.2 length of 2^53", 1009);
    if ((lengthBytes === 2 && long < 126n) || (lengthBytes === 8 && long < 65_536n)) {
      return end("§5.2 length not minimal", 1002);
    }
    const length = Number(long);
    if (rsv1 && (settings.deflate === undefined || opcode === 0 || isControl)) return end("RFC 7692 §6 RSV1", 1002);
    if (!isControl && (opcode === 0) !== (message !== undefined)) return end("§5.4 order of fragments", 1002);

    const payloadAt = keyAt + 4;
    const payload: number[] = [];
    for (let i = 0; i < length && payloadAt + i < bytes.length; i++) {
      payload.push(bytes[payloadAt + i] ^ bytes[keyAt + i % 4]);
    }
    if (!isControl) {
      message ??= { isText: opcode === 1, isCompressed: rsv1, payload: [], announced: 0, frames: 0 };
      message.announced += length;
      message.frames++;
      const slack = message.isCompressed ? settings.maxMessageBytes / 32 + 64 : 0;
      if (message.announced > settings.maxMessageBytes + slack) return end("§10.4 long message", 1009);
      if (message.frames > settings.maxFragments) return end("§10.4 many fragments", 1008);
      for (const octet of payload) message.payload.push(octet);
      if (message.isText && !message.isCompressed && judgeUtf8(Uint8Array.from(message.payload)) === "bad") {
        return end("§8.1 UTF-8", 1007);
      }
    }
    if (payload.length < length) return end("ends in a payload");
    at = payloadAt + length;

    if (isControl) {
      const hex = Buffer.from(payload).toString("hex");
      if (opcode === 10) lines.push(`pong ${hex}`);
      if (opcode === 9) lines.push(`> pong ${hex}`, `ping ${hex}`);
      if (opcode === 8) {
        const fault = faultOfClose(payload);
        if (fault !== undefined) return end(fault, fault === "§5.5.1 reason" ? 1007 : 1002);
        const [high, low, ...reason] = payload;
        const said = payload.length === 0 ? "" : ` ${high * 256 + low}`;
        lines.push(`> close${said}${reason.length > 0 ? " " : ""}${Buffer.from(reason)}`, "finished");
        return end("closed");
      }
      continue;
    }
    if (!isLast || message === undefined) continue;
    let content: Uint8Array = Uint8Array.from(message.payload);
    if (message.isCompressed) {
      hasHollow ||= content.length === 0;
      const inflated = inflater === undefined ? inflateAlone(content) : inflater.inflate(content);
      hasFinalBlock ||= inflated.hasFinal;
      const refusal = refusalOf(inflated, settings.maxMessageBytes);
      if (refusal !== undefined) return end(refusal.reason, ...refusal.closeCodes);
      content = inflated.output;
    }
    if (message.isText && judgeUtf8(content) !== "whole") return end("§8.1 UTF-8", 1007);
    lines.push(message.isText ? `text ${Buffer.from(content)}` : `binary ${Buffer.from(content).toString("hex")}`);
    message = undefined;
  }
}

function faultOfClose(
  payload: readonly number[],
): "§5.5.1 Close of one byte" | "§7.4 close code" | "§5.5.1 reason" | undefined {
  if (payload.length === 0) return undefined;
  if (payload.length === 1) return "§5.5.1 Close of one byte";
  const code = payload[0] * 256 + payload[1];
  const isRegistered = code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code);
  if (!isRegistered && (code < 3000 || code > 4999)) return "§7.4 close code";
  return judgeUtf8(Uint8Array.from(payload.slice(2))) === "whole" ? undefined : "§5.5.1 reason";
}

/** How many final blocks a message may have with more behind them. */
const MAX_FINAL_BLOCKS = 8;

/**
 * How many bytes may come out of the eight that the engine appends to a message after the tail of RFC 7692 §7.2.2: with
 * codes of one bit, two bits repeat 258 bytes (RFC 1951 §3.2.5).
 */
const MOST_BEHIND_TAIL = 8 * 4 * 258;

function refusalOf({ output, finalBlocks, fault }: Inflated, maxBytes: number): Refusal | undefined {
  const closeCodes: number[] = [];
  if (fault !== undefined) closeCodes.push(1007);
  if (finalBlocks > MAX_FINAL_BLOCKS) closeCodes.push(1008);
  // A block that lacks its end takes the appended bytes for its content, and can become too long by that.
  if (output.length + (fault === "cut" ? MOST_BEHIND_TAIL : 0) > maxBytes) closeCodes.push(1009);
  if (closeCodes.length === 0) return undefined;
  if (finalBlocks > MAX_FINAL_BLOCKS) return { closeCodes, reason: "RFC 7692 §7.2.3.4 final blocks" };
  return { closeCodes, reason: fault !== undefined ? "RFC 7692 §7.2.2 DEFLATE" : "§10.4 long message inside" };
}
