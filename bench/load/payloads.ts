/** What the messages of a workload contain: each payload is another one, unless the workload says otherwise. */
import { randomBytes, randomInt } from "node:crypto";
import { nameOf, topicOfMessage } from "../shared/topics.ts";
import { jsonText } from "./json.ts";
import type { Payload, Workload } from "./workload.ts";

export type Shape = Pick<Workload, "payload" | "payloadBytes" | "same" | "mixture">;

/** Where characters of two, three and four bytes begin, and how many follow: Latin, Cyrillic, Chinese, pictograms. */
const ALPHABETS = [[0x00c0, 384], [0x0410, 64], [0x4e00, 20_000], [0x1f300, 512]];

/** Words of up to eight characters that are not ASCII, with spaces between. */
function nonAsciiText(bytes: number): Buffer {
  let text = "";
  for (let used = 0;;) {
    const [first, count] = ALPHABETS[randomInt(ALPHABETS.length)];
    const next = randomInt(8) === 0 ? " " : String.fromCodePoint(first + randomInt(count));
    used += Buffer.byteLength(next);
    if (used > bytes) break;
    text += next;
  }
  return Buffer.from(text + ".".repeat(bytes - Buffer.byteLength(text)));
}

function payloadOf(kind: Payload, bytes: number, index: number): Buffer {
  if (kind === "json") return jsonText(bytes, index);
  if (kind === "non-ascii") return nonAsciiText(bytes);
  const payload = randomBytes(bytes);
  // The printable characters of ASCII, 0x20 to 0x7e.
  if (kind === "text" || kind === "topic") {
    for (let at = 0; at < bytes; at += 1) payload[at] = 0x20 + (payload[at] % 0x5f);
  }
  if (kind === "topic") payload.write(nameOf(topicOfMessage(index)));
  return payload;
}

/** @param first the number of the first payload; JSON is made from this number, the other payloads are random */
export function payloadsOf(shape: Shape, count: number, first = 0): Buffer[] {
  const { payload, payloadBytes, same = false, mixture } = shape;
  if (same) return Array<Buffer>(count).fill(payloadOf(payload, payloadBytes, 0));
  return Array.from({ length: count }, (_, index) => {
    const number = first + index;
    const isLarge = mixture !== undefined && (number + 1) % mixture.largeEvery === 0;
    return payloadOf(payload, isLarge ? mixture.largeBytes : payloadBytes, number);
  });
}
