/** The messages of a workload, encoded beforehand, and how the replies to them are counted and checked. */
import { shuffle } from "simple-statistics";
import { TOPICS } from "../shared/topics.ts";
import { header, maskedFrame, OPCODE } from "./frames.ts";
import { payloadsOf, type Shape } from "./payloads.ts";
import type { Workload } from "./workload.ts";

/** Counts on one connection the replies to one batch after the other. */
export interface Expectation {
  /**
   * Starts to wait for the replies to the next batch.
   *
   * @param turn how many batches were sent before it; 0 when the first batch is the only one that is sent
   */
  begin(turn?: number): void;
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

type Plain = Shape & Pick<Workload, "inFlight">;

/** Messages that are written at once, without compression. */
class Batch {
  readonly request: Buffer;
  readonly #replies: Buffer[];

  constructor(opcode: number, payloads: Buffer[]) {
    this.request = Buffer.concat(payloads.map((payload) => maskedFrame(opcode, payload)));
    this.#replies = payloads.flatMap((payload) => [header(opcode, payload.length, false), payload]);
  }

  /** What comes back. The raw peer sends the bytes back as they came, masked. */
  reply(raw: boolean): Buffer {
    return raw ? this.request : Buffer.concat(this.#replies);
  }

  replyBytes(raw: boolean): number {
    return raw ? this.request.length : this.#replies.reduce((sum, { length }) => sum + length, 0);
  }
}

/** As many batches as this differ from each other, unless they would take too much memory. */
const BATCHES = 61;
const MOST_BYTES = 8 * 1024 * 1024;

function batchesOf(workload: Plain): Batch[] {
  const { payload, payloadBytes, inFlight, same = false } = workload;
  const opcode = payload === "binary" ? OPCODE.binary : OPCODE.text;
  const fitting = Math.floor(MOST_BYTES / (payloadBytes * inFlight));
  const most = payload === "topic" ? TOPICS : BATCHES;
  const count = same ? 1 : Math.max(2, Math.min(most, fitting));
  return Array.from({ length: count }, (_, index) => {
    return new Batch(opcode, payloadsOf(workload, inFlight, index * inFlight));
  });
}

/** Traffic of these batches. The length of the replies is known, so that it is enough to count bytes. */
function trafficOf(batches: Batch[], raw: boolean): Traffic {
  const lengths = batches.map((batch) => batch.replyBytes(raw));
  return {
    batches: batches.map(({ request }) => request),
    expect(): Expectation {
      let missing = 0;
      return {
        begin: (turn = 0) => void (missing = lengths[turn % lengths.length]),
        take(bytes) {
          missing -= bytes.length;
          if (missing < 0) throw tooMuch();
          return missing === 0;
        },
      };
    },
    verify(replies) {
      const expected = Buffer.concat(batches.map((batch) => batch.reply(raw)));
      if (expected.equals(replies)) return;
      const difference = expected.findIndex((byte, index) => byte !== replies[index]);
      throw new Error(`the reply differs from what was sent at byte ${difference} of ${expected.length}`);
    },
  };
}

/** The error of an expectation that has counted too much. */
export function tooMuch(): Error {
  return new Error("the server sent more than the replies");
}

/** The traffic of one sender: batches of messages that differ, unless the workload says that all are the same. */
export function plainTraffic(workload: Plain, raw: boolean): Traffic {
  return trafficOf(batchesOf(workload), raw);
}

let built: { id: string; batches: Batch[] } | undefined;

/**
 * The traffic of each connection. All of them share the batches, which saves memory, and each sends them in an order of
 * its own: a server that keeps the last message of any connection gains nothing. The batches are kept until another
 * workload comes, so that they are encoded once for all peers in a cell.
 */
export function plainTraffics(workload: Workload, raw: boolean, connections: number): Traffic[] {
  if (built?.id !== workload.id) built = { id: workload.id, batches: batchesOf(workload) };
  const { batches } = built;
  return Array.from({ length: connections }, (_, connection) => {
    // A connection that falls idle has sent a single batch before.
    if (workload.work === "idle") return trafficOf([batches[connection % batches.length]], raw);
    return trafficOf(shuffle(batches), raw);
  });
}
