/** What followers of a topic are sent. */
import type { Buffer } from "node:buffer";

/** A message of a topic with a history. */
export interface TopicMessage {
  /** The name of the topic. */
  readonly topic: string;
  /** The position of the message. A client that has it goes on right behind it: `since` of {@link Socket.follow}. */
  readonly id: string;
  /** What was published: a string for a text, and a `Buffer` for bytes. */
  readonly data: string | Buffer;
}

/**
 * Says where a follower stands: the first thing that it gets, and what it gets when messages were lost to it.
 */
export interface TopicNotice {
  /** The name of the topic. */
  readonly topic: string;
  /** The position behind which messages follow. */
  readonly id: string;
  /**
   * True if the messages that follow are those behind the position that the client had. False if there was no such
   * position, or if messages were lost: the client has to load anew what it shows.
   */
  readonly recovered: boolean;
}

/** Makes the message that is sent to followers of a topic. */
export type TopicFrame = (content: TopicMessage | TopicNotice) => string | Uint8Array;

/**
 * Makes a JSON text of what followers get. Bytes are in base64, and `encoding` says so, because JSON has none.
 */
export function toJsonFrame(content: TopicMessage | TopicNotice): string {
  if ("recovered" in content || typeof content.data === "string") return JSON.stringify(content);
  return JSON.stringify({ ...content, data: content.data.toString("base64"), encoding: "base64" });
}
