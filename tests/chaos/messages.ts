/**
 * The messages of the chaos: each has a label, and the label decides everything else about the message. Whoever gets a
 * message can thus tell which one it is, and that not one byte of it has changed.
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { Random } from "../support/random.ts";

/** A seed that belongs to these parts and to no others. */
export function seedOf(...parts: readonly (string | number)[]): number {
  return digestOf(parts.join("/")).readUInt32LE(0);
}

/** The label of a client's message number `n`. */
export function clientLabel(id: number, n: number): string {
  return `client ${id}, ${n}`;
}

/** The label of message number `n` to one client. */
export function serverLabel(id: number, n: number): string {
  return `server ${id}, ${n}`;
}

/** The label of message number `n` to one client, which is a large one. */
export function floodLabel(id: number, n: number): string {
  return `flood ${id}, ${n}`;
}

/** The label of message number `n` to a topic. */
export function topicLabel(topic: string, n: number): string {
  return `topic ${topic}, ${n}`;
}

/**
 * The message with this label: its label, a semicolon, and what the label decides. Most messages are short. Some are
 * long enough to be compressed, a few have memory of their own in the outbox, and very few fill a socket.
 */
export function messageOf(label: string): string | Buffer {
  const digest = digestOf(label);
  const random = new Random(digest.readUInt32LE(0));
  const length = label.startsWith("flood") ? FLOOD_BYTES : lengthOf(random);
  const kind = random.below(10);
  if (kind < 6) return `${label};${`${digest.toString("base64")} ünï €😀 `.repeat(Math.ceil(length / 60))}`;
  const filling = kind < 9 ? Buffer.alloc(length, digest) : random.bytes(Math.min(length, 4_000));
  return Buffer.concat([Buffer.from(`${label};`), filling]);
}

/** The label of a message that came. A message that is not the one that its label names gets a label of no message. */
export function labelOf(data: string | Buffer): string {
  const [label] = (typeof data === "string" ? data : data.toString("latin1", 0, 60)).split(";", 1);
  const expected = messageOf(label);
  const isSame = typeof expected === "string" || typeof data === "string" ? expected === data : expected.equals(data);
  return isSame ? label : `a spoiled message of ${data.length}, ${JSON.stringify(label.slice(0, 60))}`;
}

const FLOOD_BYTES = 256 * 1024;

function lengthOf(random: Random): number {
  const size = random.below(1_000);
  if (size < 800) return random.below(120);
  if (size < 980) return random.below(4_000);
  if (size < 998) return 16_000 + random.below(50_000);
  return 100_000 + random.below(200_000);
}

function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
