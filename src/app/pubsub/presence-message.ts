import { Buffer } from "node:buffer";
import { show } from "../common/show.ts";
import { isObject } from "../common/validate.ts";

/** What processes tell each other. Each counts its messages, so that a lost one is noticed, at the latest by the next heartbeat. */
export interface PresenceMessage {
  /** How many messages with changes the sender has sent, this one included. Absent: it has just begun to listen, and asks everyone. */
  readonly sequence?: number;
  /** All that was known of the sender before is void. */
  readonly reset?: boolean;
  readonly joined?: readonly Entry[];
  readonly left?: readonly Exit[];
  /** The process whose whole state the sender needs. */
  readonly asks?: string;
  /** The sender has ended. */
  readonly bye?: boolean;
}

export type Entry = readonly [topic: string, id: string, data: unknown];

export type Exit = readonly [topic: string, id: string];

/** JSON of one presence. */
const MAX_DATA_BYTES = 1024;

/** Entries of one message; a whole state is sent in several. */
export const ENTRIES_PER_MESSAGE = 500;

/** More than any message of ours has. */
const MAX_MESSAGE_LENGTH = ENTRIES_PER_MESSAGE * (6 * MAX_DATA_BYTES + 4096);

/**
 * A copy of what a socket wants to be known by, as other processes will see it.
 *
 * @throws TypeError for what JSON cannot say, RangeError for what is too long
 */
export function copyData(data: unknown): unknown {
  const text = toJson(data);
  if (text === undefined) throw new TypeError(`presence must be a value that JSON can say; got ${show(data)}`);
  const byteLength = Buffer.byteLength(text);
  if (byteLength > MAX_DATA_BYTES) {
    throw new RangeError(`presence has at most ${MAX_DATA_BYTES} bytes as JSON; got ${byteLength}`);
  }
  return JSON.parse(text);
}

function toJson(data: unknown): string | undefined {
  try {
    return JSON.stringify(data);
  } catch {
    return undefined;
  }
}

export function parsePresenceMessage(text: string): PresenceMessage | undefined {
  if (text.length > MAX_MESSAGE_LENGTH) return undefined;
  try {
    const news: unknown = JSON.parse(text);
    return isObject(news) && isNews(news) ? news : undefined;
  } catch {
    return undefined;
  }
}

function isNews({ sequence, joined = [], left = [] }: PresenceMessage): boolean {
  return (sequence === undefined || Number.isInteger(sequence)) && Array.isArray(joined) && Array.isArray(left) &&
    [...joined, ...left].every((entry) =>
      Array.isArray(entry) && typeof entry[0] === "string" && typeof entry[1] === "string"
    );
}
