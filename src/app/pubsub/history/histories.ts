/** What keeps the histories of an app's topics: the memory of this process, or a broker. */
import type { HistoryPosition } from "../broker.ts";
import type { FollowingSocket } from "./follower.ts";
import type { TopicMessage } from "./frames.ts";
import type { ResolvedHistory } from "./history-options.ts";
import type { Followed } from "./topic-history.ts";

/** The histories of an app. `options` are those of the topic at each call. */
export interface Histories<Socket extends FollowingSocket> {
  /**
   * Puts a message into a history without waiting for it. Returns the number of sockets of this process that get it.
   *
   * @throws RangeError if there is no room for another history
   */
  publish(topic: string, options: ResolvedHistory, data: string | Uint8Array): number;
  /** Puts a message into a history. Resolves with its position when it is there, and rejects if it is not. */
  append(topic: string, options: ResolvedHistory, data: string | Uint8Array): Promise<HistoryPosition>;
  /** Makes a subscriber of a topic a follower. */
  follow(socket: Socket, topic: string, options: ResolvedHistory, since: string | undefined): Promise<Followed>;
  isFollowedBy(socket: Socket, topic: string): boolean;
  /** A socket has unsubscribed from a topic. */
  leave(socket: Socket, topic: string): void;
  read(topic: string, options: ResolvedHistory, part: HistoryPart): Promise<TopicMessages>;
  /** What of the histories is in this process. */
  readonly kept: KeptHistories;
  close(): void;
}

/** The part of an app's histories that is in the memory of its process. */
export interface KeptHistories {
  readonly topics: number;
  readonly messages: number;
  readonly bytes: number;
}

/** Which part of a history is read. */
export interface HistoryPart {
  /** The id behind which to begin. Empty: at the oldest message. Undefined: so that the newest message is the last. */
  readonly since: string | undefined;
  /** The most messages. */
  readonly limit: number;
}

/** A part of the history of a topic, as {@link App.history} returns it. */
export interface TopicMessages {
  /** The messages, the oldest first. */
  readonly messages: readonly TopicMessage[];
  /** The position behind the messages: `since` of the next part, or of {@link Socket.follow}. */
  readonly id: string;
  /**
   * True if all messages behind `since` are kept, so that none is missing in front of these. False if `since` was not
   * given, or if what follows it is lost: `messages` are the newest ones if `since` was not given, and none otherwise.
   */
  readonly recovered: boolean;
}
