/** Random conversations of a client, right ones and damaged ones, and random ways to cut their bytes. */

import { constants, deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { closeBody, frame, opcodes } from "../support/frames.ts";
import { cutAt } from "./cuts.ts";
import { LIMITS, type Settings } from "./frame-oracle.ts";

/** The frames of a client, and the damage that each of several variants takes. */
export interface Conversation {
  readonly settings: Settings;
  readonly frames: readonly Uint8Array[];
  /** Every item makes another input out of the same frames. */
  readonly damages: readonly (readonly Damage[])[];
}

/** One thing that is done to the frames or the bytes of a conversation. Any numbers are right. */
export type Damage = readonly [kind: number, at: number, value: number];

const limits = fc.constantFrom(...LIMITS);

/** Characters at every border of UTF-8, and bytes that no text has. */
const right = [
  "61",
  "00",
  "7f",
  "c280",
  "dfbf",
  "e0a080",
  "ed9fbf",
  "ee8080",
  "efbbbf",
  "efbfbf",
  "f0908080",
  "f48fbfbf",
];
const wrong = [
  "80",
  "c0",
  "c1bf",
  "e08080",
  "e09fbf",
  "eda080",
  "edbfbf",
  "f0808080",
  "f08fbfbf",
  "f4908080",
  "f5",
  "ff",
]
  .concat(["c2", "e0", "e0a0", "ed", "f0", "f090", "f09080", "f4", "f48fbf"]);
const number = fc.nat();

const text = fc.array(
  fc.oneof(
    { weight: 40, arbitrary: fc.constantFrom(...right) },
    { weight: 1, arbitrary: fc.constantFrom(...wrong) },
  ),
  { maxLength: 12, size: "max" },
).map((characters) => Buffer.from(characters.join(""), "hex"));

/** The sizes at the borders between two ways: the three lengths of a header, and texts whose bytes are kept. */
const long = fc.tuple(fc.constantFrom(63, 64, 65, 125, 126, 127, 300, 390, 400, 401), fc.nat(255))
  .map(([length, octet]) => Buffer.alloc(length, Buffer.of(octet, 0x61, 0x62)));

const huge = fc.constantFrom(16_384, 65_535, 65_536, 70_000).map((length) => Buffer.alloc(length, "huge"));

const payload = fc.oneof(
  { weight: 10, arbitrary: text },
  {
    weight: 4,
    arbitrary: fc.tuple(text, fc.integer({ min: 2, max: 20 })).map(([bytes, times]) => repeat(bytes, times)),
  },
  { weight: 4, arbitrary: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 3, arbitrary: long },
);

interface MessagePlan {
  readonly isText: boolean;
  readonly payload: Buffer;
  readonly cuts: readonly number[];
  readonly controls: readonly (readonly [kind: number, payload: Buffer])[];
  readonly key: number;
  readonly compression: number;
}

const planOf = (payload: fc.Arbitrary<Buffer>): fc.Arbitrary<MessagePlan> =>
  fc.record({
    isText: fc.boolean(),
    payload,
    cuts: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(number, { maxLength: 4 })),
    controls: fc.array(fc.tuple(fc.nat(1), text.map((bytes) => bytes.subarray(0, 125))), { maxLength: 2 }),
    key: fc.integer(),
    compression: number,
  });
const plans = fc.oneof(
  { weight: 50, arbitrary: fc.array(planOf(payload), { maxLength: 4 }) },
  { weight: 1, arbitrary: fc.array(planOf(fc.oneof(payload, huge)), { maxLength: 2 }) },
);

const closing = fc.option(
  fc.tuple(fc.constantFrom(1000, 1001, 1003, 1004, 1005, 1006, 1007, 1014, 1015, 2999, 3000, 4999, 5000, 0), text),
);
const damage: fc.Arbitrary<Damage> = fc.tuple(fc.nat(14), number, fc.nat(255));

/**
 * Random conversations.
 *
 * @param deflate which kinds of compression the connections have agreed on; each conversation has one of these
 * @param damages how many variants a conversation has at most, besides the right one
 */
export function conversations(deflate: readonly Settings["deflate"][], damages: number): fc.Arbitrary<Conversation> {
  return fc.record({
    limits,
    deflate: fc.constantFrom(...deflate),
    plans,
    closing,
    damages: fc.array(fc.array(damage, { minLength: 1, maxLength: 4 }), { maxLength: damages, size: "max" }),
  }).map(({ limits, deflate, plans, closing, damages }) => ({
    settings: { ...limits, deflate },
    frames: [...framesOf(plans, deflate), ...(closing === null ? [] : [closeOf(...closing)])],
    damages,
  }));
}

function framesOf(plans: readonly MessagePlan[], deflate: Settings["deflate"]): Buffer[] {
  const frames: Buffer[] = [];
  let history: Buffer = Buffer.alloc(0);
  for (const { isText, payload, cuts, controls, key, compression } of plans) {
    const maskingKey = Buffer.alloc(4);
    maskingKey.writeInt32BE(key);
    const isCompressed = deflate !== undefined && compression % 8 > 0;
    const content = isCompressed
      ? compress(payload, compression, deflate === "takeover" ? history : undefined)
      : payload;
    if (isCompressed) history = Buffer.concat([history, payload]).subarray(-32_768);
    const pieces = cutAt(content, cuts);
    pieces.forEach((piece, index) => {
      const opcode = index > 0 ? opcodes.continuation : isText ? opcodes.text : opcodes.binary;
      const fin = index === pieces.length - 1;
      frames.push(frame(opcode, piece, { fin, rsv: isCompressed && index === 0 ? 4 : 0, maskingKey }));
      const control = controls[index];
      if (control !== undefined) frames.push(frame(control[0] === 0 ? opcodes.ping : opcodes.pong, control[1]));
    });
  }
  return frames;
}

const { Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_FINISH, Z_FIXED } = constants;

/** Compresses a message in one of many right ways, and rarely not at all. */
function compress(payload: Buffer, kind: number, history: Buffer | undefined): Buffer {
  const dictionary = history === undefined || history.length === 0 ? {} : { dictionary: history };
  const flushed = (bytes: Buffer, options: object = {}): Buffer =>
    deflateRawSync(bytes, { finishFlush: Z_SYNC_FLUSH, ...dictionary, ...options });
  const half = payload.length >> 1;
  switch ((kind >> 3) % 16) {
    case 0:
      return Buffer.concat([deflateRawSync(payload, { finishFlush: Z_FINISH, ...dictionary }), Buffer.of(0)]);
    case 1:
      return deflateRawSync(payload, { finishFlush: Z_FINISH, ...dictionary });
    case 2:
      return flushed(payload, { level: 0 }).subarray(0, -4);
    case 3:
      return flushed(payload, { strategy: Z_FIXED }).subarray(0, -4);
    case 4: // a final block in the middle, and another stream behind it
      return Buffer.concat([
        deflateRawSync(payload.subarray(0, half)),
        deflateRawSync(payload.subarray(half)).subarray(0),
      ]);
    case 5:
      return Buffer.concat(Array.from({ length: 7 + (kind >> 7) % 5 }, () => Buffer.from("0300", "hex")));
    case 6:
      return payload;
    case 7: // more than most limits allow
      return flushed(Buffer.alloc(200_000 >> ((kind >> 7) % 10))).subarray(0, -4);
    case 8:
      return flushed(payload, { finishFlush: Z_FULL_FLUSH }).subarray(0, -4);
    case 9: // an empty final block without its last four bytes
      return Buffer.concat([flushed(payload), Buffer.of(1)]);
    case 10:
      return flushed(payload, { windowBits: 9, memLevel: 1 }).subarray(0, -4);
    default:
      return flushed(payload).subarray(0, -4);
  }
}

function closeOf(code: number, reason: Buffer): Buffer {
  return frame(opcodes.close, closeBody(code === 0 ? undefined : code, code === 0 ? "" : reason).subarray(0, 125));
}

/** The bytes of a conversation after some damage. The same damage to the same frames always gives the same bytes. */
export function damaged(frames: readonly Uint8Array[], damages: readonly Damage[]): Buffer {
  const list = frames.map((each) => Buffer.from(each));
  for (const [kind, at, value] of damages) if (kind >= FIRST_FRAME_DAMAGE) damageFrames(list, kind, at, value);
  let bytes: Buffer = Buffer.concat(list);
  for (const [kind, at, value] of damages) if (kind < FIRST_FRAME_DAMAGE) bytes = damageBytes(bytes, kind, at, value);
  return bytes;
}

const FIRST_FRAME_DAMAGE = 6;

function damageBytes(bytes: Buffer, kind: number, at: number, value: number): Buffer {
  if (bytes.length === 0) return Buffer.of(value);
  const place = at % bytes.length;
  switch (kind) {
    case 0:
      bytes[place] = value;
      return bytes;
    case 1:
      bytes[place] ^= 1 << (value & 7);
      return bytes;
    case 2:
      return Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + 1 + value % 8)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, place), Buffer.alloc(1 + at % 5, value), bytes.subarray(place)]);
    case 4:
      return bytes.subarray(0, place);
    default:
      return Buffer.concat([bytes, Buffer.of(value, at & 0xff)]);
  }
}

function damageFrames(frames: Buffer[], kind: number, at: number, value: number): void {
  if (frames.length === 0) return;
  const index = at % frames.length;
  const chosen = frames[index];
  const other = frames[value % frames.length];
  if (kind === 6) chosen[0] ^= 1 << (value & 7);
  else if (kind === 7) chosen[1] ^= 1 << (value & 7);
  else if (kind === 8) chosen[Math.min(2 + value % 12, chosen.length - 1)] ^= 1 << (value >> 5);
  else if (kind === 9) frames.splice(index, 1);
  else if (kind === 10) frames.splice(index, 0, Buffer.from(other));
  else if (kind === 11) frames.splice(index, 1, ...frames.splice(value % frames.length, 1, chosen));
  else if (kind === 12) chosen[0] = (chosen[0] & 0xf0) | (value & 0x0f);
  else if (kind === 13) frames[index] = withLongerLength(chosen, value);
  else frames[index] = Buffer.from(chosen.subarray(0, value % (chosen.length + 1)));
}

/** The same frame with a length of 16 or 64 bits, which may not be the shortest or the right one. */
function withLongerLength(bytes: Buffer, value: number): Buffer {
  if (bytes.length < 6) return bytes;
  const short = bytes[1] & 0x7f;
  if (short > 125) return bytes;
  const isLonger = value % 2 === 0;
  const length = Buffer.alloc(isLonger ? 8 : 2);
  length.writeUInt16BE(short, length.length - 2);
  // Sometimes another bit of the length is set, up to the highest one.
  if (value % 3 === 0) length[(value >> 2) % length.length] ^= 1 << (value & 7);
  const head = Buffer.of(bytes[0], (bytes[1] & 0x80) | (isLonger ? 127 : 126));
  return Buffer.concat([head, length, bytes.subarray(2)]);
}

function repeat(bytes: Buffer, times: number): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => bytes));
}
