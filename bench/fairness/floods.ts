/** The floods: the frames that the flooder sends again and again. */
import { randomBytes } from "node:crypto";
import { deflateRawSync } from "node:zlib";
import { maskedFrame, OPCODE } from "../load/frames.ts";

export interface Flood {
  readonly name: string;
  /** The compression to which the server must agree; none when it is undefined. */
  readonly compression?: "no-takeover" | "takeover";
  /** Makes the frames; they are one or more whole messages. */
  frames(): Buffer[];
}

/** The bytes at the end of a sync flush that a message is sent without (RFC 7692 §7.2.1). */
const TAIL_BYTES = 4;

/** A message whose payload is already compressed. */
function compressed(payload: Uint8Array): Buffer {
  return maskedFrame(OPCODE.binary, payload, true);
}

/** The data, compressed for one message. */
function deflated(data: Uint8Array): Buffer {
  return deflateRawSync(data, { finishFlush: 2 /* Z_SYNC_FLUSH */ }).subarray(0, -TAIL_BYTES);
}

function control(opcode: number, payload: Uint8Array): Buffer {
  return maskedFrame(opcode, payload);
}

function fragment(opcode: number, fin: boolean): Buffer {
  const frame = maskedFrame(opcode, Buffer.alloc(0));
  if (!fin) frame[0] &= 0x7f;
  return frame;
}

const oneByte = Buffer.from("x");
/** A payload of `count` empty DEFLATE blocks with the BFINAL bit (RFC 1951 §3.2.3), each of which ends a stream. */
const finals = (count: number): Buffer => Buffer.concat([Buffer.alloc(2 * count, Buffer.of(0x03, 0x00)), Buffer.of(0)]);

export const floods: Flood[] = [
  { name: "nothing", frames: () => [] },
  { name: "tiny", frames: () => [maskedFrame(OPCODE.text, oneByte)] },
  { name: "pings", frames: () => [control(0x9, Buffer.alloc(0))] },
  {
    name: "fragments",
    frames: () => [
      fragment(OPCODE.binary, false),
      ...Array.from({ length: 1000 }, () => fragment(OPCODE.continuation, false)),
      fragment(OPCODE.continuation, true),
    ],
  },
  { name: "z-tiny", compression: "no-takeover", frames: () => [compressed(deflated(oneByte))] },
  { name: "z-60-finals", compression: "no-takeover", frames: () => [compressed(finals(60))] },
  { name: "z-8-finals", compression: "no-takeover", frames: () => [compressed(finals(8))] },
  { name: "z-takeover-tiny", compression: "takeover", frames: () => [compressed(deflated(oneByte))] },
  { name: "z-takeover-8-finals", compression: "takeover", frames: () => [compressed(finals(8))] },
  { name: "z-megabyte", compression: "no-takeover", frames: () => [compressed(deflated(Buffer.alloc(1 << 20)))] },
  { name: "z-noise-30k", compression: "no-takeover", frames: () => [compressed(deflated(randomBytes(30_000)))] },
  { name: "text-64k", frames: () => [maskedFrame(OPCODE.text, Buffer.alloc(65_536, "x"))] },
];
