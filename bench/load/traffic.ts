/** The messages of a workload, encoded beforehand, and how the replies to them are counted and checked. */
import { randomBytes } from "node:crypto";
import { header, maskedFrame, OPCODE } from "./frames.ts";
import { jsonText } from "./json.ts";
import type { Payload, Workload } from "./workload.ts";

/** Counts on one connection the replies to one batch after the other. */
export interface Expectation {
  /** Starts to wait for the replies to the next batch. */
  begin(): void;
  /** Counts a chunk; true when the batch is fully replied to. Throws when the server sent more than that. */
  take(bytes: Uint8Array): boolean;
}

export interface Traffic {
  /**
   * Each batch is the bytes of `inFlight` messages, which are written at once. A connection sends the batches in turn,
   * over and over.
   */
  readonly batches: readonly Buffer[];
  /** An expectation for one connection that gets the replies. */
  expect(): Expectation;
  /**
   * Checks the replies to all batches that one connection has read; throws an error that says what is wrong with them.
   */
  verify(replies: Buffer): void;
}

type Shape = Pick<Workload, "payload" | "payloadBytes">;

/** The error of an expectation that has counted too much. */
export function tooMuch(): Error {
  return new Error("the server sent more than the replies");
}

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
export function payloadsOf({ payload, payloadBytes }: Shape, count: number, first = 0): Buffer[] {
  return Array.from({ length: count }, (_, index) => payloadOf(payload, payloadBytes, first + index));
}

/** Traffic of one batch. The length of the replies is known, so that it is enough to count bytes. */
export function plainTraffic(workload: Shape & Pick<Workload, "inFlight">, raw: boolean): Traffic {
  const opcode = workload.payload === "binary" ? OPCODE.binary : OPCODE.text;
  const payloads = payloadsOf(workload, workload.inFlight);
  const request = Buffer.concat(payloads.map((payload) => maskedFrame(opcode, payload)));
  // The raw peer sends the bytes back as they came, masked.
  const reply = raw
    ? request
    : Buffer.concat(payloads.flatMap((payload) => [header(opcode, payload.length, false), payload]));
  return {
    batches: [request],
    expect(): Expectation {
      let missing = 0;
      return {
        begin: () => void (missing = reply.length),
        take(bytes) {
          missing -= bytes.length;
          if (missing < 0) throw tooMuch();
          return missing === 0;
        },
      };
    },
    verify(replies) {
      if (reply.equals(replies)) return;
      const difference = reply.findIndex((byte, index) => byte !== replies[index]);
      throw new Error(`the reply differs from what was sent at byte ${difference} of ${reply.length}`);
    },
  };
}
