/** What the messages of a workload contain: each payload is another one, unless the workload says otherwise. */
import { randomBytes } from "node:crypto";
import { jsonText } from "./json.ts";
import type { Payload, Workload } from "./workload.ts";

export type Shape = Pick<Workload, "payload" | "payloadBytes" | "same">;

function payloadOf(kind: Payload, bytes: number, index: number): Buffer {
  if (kind === "json") return jsonText(bytes, index);
  const payload = randomBytes(bytes);
  // The printable characters of ASCII, 0x20 to 0x7e.
  if (kind === "text") {
    for (let at = 0; at < bytes; at += 1) payload[at] = 0x20 + (payload[at] % 0x5f);
  }
  return payload;
}

/** @param first the number of the first payload; JSON is made from this number, the other payloads are random */
export function payloadsOf({ payload, payloadBytes, same = false }: Shape, count: number, first = 0): Buffer[] {
  if (same) return Array<Buffer>(count).fill(payloadOf(payload, payloadBytes, 0));
  return Array.from({ length: count }, (_, index) => payloadOf(payload, payloadBytes, first + index));
}
