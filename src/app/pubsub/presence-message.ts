/**
 * The messages by which processes tell each other which of their sockets are present: their form, their limits and
 * their parser.
 */
import { Buffer } from "node:buffer";
import { show } from "../common/show.ts";
import { isObject } from "../common/validate.ts";

/**
 * A message between processes about the sockets that are present. Each process numbers its messages that have changes.
 * By the numbers, a receiver notices that a message was lost, at the latest with the next heartbeat.
 */
export interface PresenceMessage {
  /**
   * The number of messages with changes that the sender has sent so far, this one included. A message without it comes
   * from a process that has just begun to listen, and asks all others for their whole state.
   */
  readonly sequence?: number;
  /** True if the sender's whole state begins with this message: all that was known of the sender before is void. */
  readonly reset?: boolean;
  /** Sockets that are present from now on. */
  readonly joined?: readonly Entry[];
  /** Sockets that are not present any more. */
  readonly left?: readonly Exit[];
  /** The id of the process whose whole state the sender asks for. */
  readonly asks?: string;
  /** True if the sender is closing, and has no sockets any more. */
  readonly bye?: boolean;
}

/** A socket that is present at a topic. `data` is what it has subscribed with. */
export type Entry = readonly [topic: string, id: string, data: unknown];

/** A socket that has left a topic. */
export type Exit = readonly [topic: string, id: string];

/** The longest `presence` of a socket, as JSON. */
const MAX_DATA_BYTES = 1024;

/** The most entries of one message. A whole state with more entries is sent in several messages. */
export const ENTRIES_PER_MESSAGE = 500;

/** Longer than any message that an app sends. Longer texts are not even parsed. */
const MAX_MESSAGE_LENGTH = ENTRIES_PER_MESSAGE * (6 * MAX_DATA_BYTES + 4096);

/**
 * Copies the `presence` that a socket subscribes with. The copy went through JSON, so that it is the same in this
 * process as in all others.
 *
 * @throws TypeError if the value has no JSON, RangeError if its JSON is longer than 1,024 bytes
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

/**
 * Parses a message of another process.
 *
 * @returns undefined if the text is not a valid message
 */
export function parsePresenceMessage(text: string): PresenceMessage | undefined {
  if (text.length > MAX_MESSAGE_LENGTH) return undefined;
  try {
    const message: unknown = JSON.parse(text);
    return isObject(message) && isPresenceMessage(message) ? message : undefined;
  } catch {
    return undefined;
  }
}

function isPresenceMessage({ sequence, joined = [], left = [] }: PresenceMessage): boolean {
  return (sequence === undefined || Number.isInteger(sequence)) && Array.isArray(joined) && Array.isArray(left) &&
    [...joined, ...left].every((entry) =>
      Array.isArray(entry) && typeof entry[0] === "string" && typeof entry[1] === "string"
    );
}
