/** What a cell sends, built beforehand, and how the replies are counted and checked. */
import { randomBytes } from "node:crypto";
import { header, maskedFrame, OPCODE } from "./frames.ts";
import { jsonText } from "./json.ts";
import type { Payload, Workload } from "./workload.ts";

/** Waits on one connection for the replies to one batch after the other. */
export interface Expectation {
  /** The next batch is on its way. */
  begin(): void;
  /** Takes what came in; true once the whole reply is there. Throws when more came than was asked for. */
  take(bytes: Uint8Array): boolean;
}

export interface Traffic {
  /** Messages in flight together, written at once; a connection sends them in turn, over and over. */
  readonly batches: readonly Buffer[];
  /** One for each connection that hears the replies. */
  expect(): Expectation;
  /** Checks the replies to all batches, as one connection read them; throws with what is wrong. */
  verify(replies: Buffer): void;
}

type Shape = Pick<Workload, "payload" | "payloadBytes">;

export function tooMuch(): Error {
  return new Error("the server sent more than was asked for");
}

function payloadOf(kind: Payload, bytes: number, index: number): Buffer {
  if (kind === "json") return jsonText(bytes, index);
  const payload = randomBytes(bytes);
  // Letters, digits and spaces: 0x20 to 0x7e.
  if (kind === "text") {
    for (let at = 0; at < bytes; at += 1) payload[at] = 0x20 + (payload[at] % 0x5f);
  }
  return payload;
}

/** @param first the number of the first one; where payloads are not drawn by lot, other numbers give others */
export function payloadsOf({ payload, payloadBytes }: Shape, count: number, first = 0): Buffer[] {
  return Array.from({ length: count }, (_, index) => payloadOf(payload, payloadBytes, first + index));
}

/** One batch, over and over. Its replies have a known length, so that nothing but bytes is counted. */
export function plainTraffic(workload: Shape & Pick<Workload, "inFlight">, raw: boolean): Traffic {
  const opcode = workload.payload === "binary" ? OPCODE.binary : OPCODE.text;
  const payloads = payloadsOf(workload, workload.inFlight);
  const request = Buffer.concat(payloads.map((payload) => maskedFrame(opcode, payload)));
  // The limit sends bytes back as they came, masked.
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
