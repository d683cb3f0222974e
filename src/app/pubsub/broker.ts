/** The interface of a broker, which an application may implement itself. */

/** The state of the link between a broker and its server. */
export interface BrokerStatus {
  /** True when the link is up: messages that are published now can reach other processes. */
  readonly isConnected: boolean;
  /** The error that has cut the link, if it is known. */
  readonly error?: unknown;
}

/**
 * The start of the name under which a broker knows a topic with a history. An app never uses `publish` with such a
 * name, and never uses `append` with another one.
 */
export const HISTORY_PREFIX = "\0history:";

/** The place of a message in the history of a topic. */
export interface HistoryPosition {
  /**
   * Names one life of a history: 1 to 64 letters, digits, `_` and `-`. A history that was lost gets another epoch. A
   * topic that has no history yet has an epoch too, in which no message lies. It may be another one at each read:
   * `isComplete` tells whether the history that has begun meanwhile is the first one since.
   */
  readonly epoch: string;
  /** 1 for the first message of an epoch, and one more for each message after it. 0 is the place before the first. */
  readonly offset: number;
}

/** How much of a topic is kept. */
export interface HistoryLimits {
  /** The most messages. The oldest ones go first. */
  readonly size: number;
  /** The age in milliseconds from which on a message is not kept any more. */
  readonly maxAgeMs: number;
}

/** Which messages of a history are wanted. */
export interface HistoryRange {
  /** The position behind which to begin. Undefined: at the oldest message that is kept. */
  readonly after?: HistoryPosition | undefined;
  /** The most messages. With 0, only the state of the history is wanted. */
  readonly maxMessages: number;
  /** The most bytes that the messages have together. The first one comes in any case, even if it has more. */
  readonly maxBytes: number;
}

/** A part of a history, and the state of the whole, at one moment. */
export interface HistoryPage {
  /** The epoch of the history. */
  readonly epoch: string;
  /** The offset of the oldest message that is kept: `newest` + 1 if none is. */
  readonly oldest: number;
  /** The offset of the newest message. It stays when the message is not kept any more. 0 if there never was one. */
  readonly newest: number;
  /**
   * True if all messages behind `after` are kept, or if `after` is undefined. Otherwise the position is of an epoch
   * that was lost, or of none, or what follows it is not kept any more, and `messages` is empty.
   */
  readonly isComplete: boolean;
  /** The messages, one behind the other, without a gap. */
  readonly messages: readonly HistoryMessage[];
}

/** A message of a history. */
export interface HistoryMessage {
  /** See {@link HistoryPosition}. */
  readonly offset: number;
  /** What was appended, unchanged. */
  readonly bytes: Uint8Array;
}

/**
 * Carries published messages between processes. {@link redisBroker} and {@link natsBroker} make one, and an object of
 * your own with these methods is one too.
 *
 * A broker brings bytes, unchanged, to every process that is subscribed to a topic. What the bytes mean is known to the
 * app only. A broker may also bring its own bytes back to the process that has published them: the app recognises and
 * ignores them.
 *
 * A broker that has `append` and `read` keeps the histories of topics. A broker without them serves all other topics.
 *
 * A broker does not keep anything for a server that is away: `publish`, `subscribe` and `unsubscribe` reject then.
 * Meanwhile the app goes on within its process. When `onStatus` reports that the link is up again, the app subscribes
 * to all its topics again.
 */
export interface Broker {
  /**
   * Sets the listener of messages. The app calls this method once, before any other. The broker begins to connect here,
   * if it has to.
   *
   * @param listener is called with the topic and the bytes of each message, and with the position of one that was
   *   appended; the broker must not change the bytes afterwards
   */
  onMessage(listener: (topic: string, bytes: Uint8Array, position?: HistoryPosition) => void): void;

  /**
   * Sets the listener of the link's state. The app calls this method once.
   *
   * @param listener is called at once with the present state, and then whenever the link is cut and whenever it is up
   *   again
   */
  onStatus(listener: (status: BrokerStatus) => void): void;

  /**
   * Sends bytes to all processes that are subscribed to a topic.
   *
   * @param topic a well-formed string of 1 to 512 characters; the app uses one topic of its own, which begins with
   *   U+0000, and the names of topics with a history begin with U+0000 and `history:`
   * @param bytes the message; the app does not change the bytes afterwards
   * @returns a promise that resolves once the server has taken the message, and rejects if it could not be sent; by
   *   these promises the app limits how many bytes are on their way
   */
  publish(topic: string, bytes: Uint8Array): Promise<unknown>;

  /**
   * Subscribes this process to a topic. Nothing changes if it is subscribed already.
   *
   * @returns a promise that resolves once the server has taken the subscription, and rejects if it could not; the app
   *   tries again then
   */
  subscribe(topic: string): Promise<unknown>;

  /**
   * Ends the subscription to a topic.
   *
   * @returns a promise that resolves once the server has ended the subscription, and rejects if it could not
   */
  unsubscribe(topic: string): Promise<unknown>;

  /**
   * Puts messages at the end of a topic's history, and sends them to all processes that are subscribed to the topic, in
   * one step: a message that is sent is in the history, and the messages of all processes are sent in the order of
   * their offsets. The history begins with its first message.
   *
   * @param topic the name of a topic with a history: it begins with U+0000 and `history:`, and may have 512 characters
   *   behind that
   * @param messages one or more messages, which become neighbours; the app does not change the bytes afterwards
   * @param limits how much of the topic is kept
   * @returns a promise of the position of the last message; it rejects if the messages are not in the history, or if
   *   that is not known because the answer of the server was lost
   */
  append?(topic: string, messages: readonly Uint8Array[], limits: HistoryLimits): Promise<HistoryPosition>;

  /**
   * Reads a part of a topic's history. Reading begins no history.
   *
   * @param topic the name of a topic with a history
   * @param range which messages are wanted
   * @param limits how much of the topic is kept: what is older is not given, even if it is still there
   * @returns a promise of the messages, and of the state of the history at the same moment
   */
  read?(topic: string, range: HistoryRange, limits: HistoryLimits): Promise<HistoryPage>;

  /**
   * Closes what the broker itself has opened, such as its connections. A client that was handed to the broker stays
   * open.
   *
   * @returns a promise that settles once all that was published before is sent, or cannot be sent any more
   */
  close(): Promise<unknown>;
}
