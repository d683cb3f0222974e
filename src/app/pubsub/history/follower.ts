import type { HistoryPosition } from "../broker.ts";
import type { LoggedMessage, MessageLog } from "./message-log.ts";

/** A socket that follows topics. */
export interface FollowingSocket {
  readonly isOpen: boolean;
  /** Whether no more than `highWaterMark` waits to be sent. */
  readonly hasRoom: boolean;
  /** The names of the topics that the socket is subscribed to. */
  readonly subscriptions: ReadonlySet<string> | undefined;
  /**
   * Sends a message. Returns true if the message was taken, even if the socket has no room for the next one: that is
   * the difference from `send` of a socket.
   */
  deliver(data: string | Uint8Array): boolean;
  /** Resolves once nothing waits to be sent. Rejects if the socket ends first. */
  drained(): Promise<void>;
  /** Closes the socket, because a function of the application has thrown. */
  onHandlerError(where: string, error: unknown): void;
}

/** The topic of a follower. */
export interface FollowedTopic {
  readonly log: MessageLog;
  frameOf(epoch: string, message: LoggedMessage): string | Uint8Array;
  noticeOf(position: HistoryPosition, recovered: boolean): string | Uint8Array;
  /**
   * Reads messages that the log does not have.
   *
   * @param isWanted tells whether the reader still waits
   * @returns undefined if the reader waits no longer
   */
  readBehind(position: HistoryPosition, isWanted: () => boolean): Promise<MessageRun | LostRun | undefined>;
}

/** Messages one behind the other. There are none if the reader is at the end of the history. */
export interface MessageRun {
  readonly epoch: string;
  readonly messages: readonly LoggedMessage[];
}

/** Messages that are not kept any more, and the position behind which the history goes on. */
export interface LostRun {
  readonly lostUntil: HistoryPosition;
}

/**
 * A socket that follows a topic: it gets all messages behind a position, in order, each once, or is told that some were
 * lost.
 *
 * A follower is a place in the history of the topic. While the socket takes what it is sent, the place is the end, and
 * new messages are sent as they come. When the socket has no room, new messages wait in the history: the follower reads
 * on when the socket has drained. So a slow socket takes no more memory than `highWaterMark` and one message, however
 * many topics it follows.
 */
export class Follower {
  readonly #socket: FollowingSocket;
  readonly #topic: FollowedTopic;
  #epoch = "";
  /** The offset behind which the follower goes on. */
  #offset = 0;
  /** True while the follower reads on by itself, and until it has begun. New messages are not handed to it then. */
  #isBehind = true;
  /** True when the socket has refused a message, which it takes once nothing waits to be sent. */
  #isRefused = false;
  /** What the socket has to be told before anything else: whether the messages that follow are those it lacked. */
  #notice: { readonly position: HistoryPosition; readonly recovered: boolean } | undefined;
  #hasLeft = false;

  constructor(socket: FollowingSocket, topic: FollowedTopic) {
    this.#socket = socket;
    this.#topic = topic;
  }

  /** Whether the follower still wants messages. */
  get isFollowing(): boolean {
    return !this.#hasLeft && this.#socket.isOpen;
  }

  /** Begins behind a position, and tells the socket so. */
  begin(position: HistoryPosition, recovered: boolean): void {
    this.#moveTo(position, recovered);
    void this.#catchUp();
  }

  /** A message was put at the end of the log. */
  onAppended(message: LoggedMessage): void {
    if (this.#isBehind || this.#isAtEnd) return;
    // A handler that was called meanwhile may have published more: this message is not the next one then.
    const { epoch } = this.#topic.log;
    if (epoch === this.#epoch && message.offset === this.#offset + 1 && this.#socket.hasRoom) {
      // What `frame` publishes while it is called for this message comes behind this message.
      this.#isBehind = true;
      this.#send(epoch, message);
      this.#isBehind = false;
    }
    if (!this.#isAtEnd) void this.#catchUp();
  }

  /** The log has lost messages behind its old end, and goes on behind its new end. */
  onLost(oldEnd: HistoryPosition): void {
    // A follower that reads on finds out when it gets there, unless it still gets what it needs from elsewhere.
    if (this.#isBehind) return;
    const wasAtEnd = this.#epoch === oldEnd.epoch && this.#offset === oldEnd.offset;
    if (wasAtEnd) this.begin(this.#topic.log.end, false);
    else void this.#catchUp();
  }

  leave(): void {
    this.#hasLeft = true;
  }

  /**
   * Whether the follower has all that the log has. It has more when it has read from the history what is still on its
   * way to the log.
   */
  get #isAtEnd(): boolean {
    const { log } = this.#topic;
    return this.#epoch === log.epoch && this.#offset >= log.newest;
  }

  /** Sends what lies between the follower and the end of the log, as fast as the socket takes it. */
  async #catchUp(): Promise<void> {
    const { log } = this.#topic;
    this.#isBehind = true;
    let hasSent = false;
    while (this.isFollowing) {
      if (this.#mustWait) {
        // Followers of the same socket that could not send get in front.
        if (hasSent) await undefined;
        hasSent = false;
        await this.#drained();
        continue;
      }
      const position = { epoch: this.#epoch, offset: this.#offset };
      const offset = log.offsetOf(position);
      if (this.#notice !== undefined) this.#sendNotice(this.#notice);
      else if (offset !== undefined) {
        if (offset === log.newest) break;
        this.#send(log.epoch, log.at(offset + 1)!);
        hasSent = true;
      } else {
        const { end } = log;
        const hasRead = await this.#readBehind(position);
        // A log that has moved meanwhile may have come as far as the follower, or farther.
        if (!hasRead && log.epoch === end.epoch && log.newest === end.offset) break;
      }
    }
    this.#isBehind = false;
  }

  /** Returns false if there is nothing: the log has not come as far as the follower. */
  async #readBehind(position: HistoryPosition): Promise<boolean> {
    const run = await this.#topic.readBehind(position, () => this.isFollowing);
    if (run === undefined || !this.isFollowing) return false;
    if ("lostUntil" in run) {
      this.#moveTo(run.lostUntil, false);
      return true;
    }
    for (const message of run.messages) {
      while (this.#epoch !== run.epoch || this.#offset < message.offset) {
        if (!this.isFollowing) return false;
        if (this.#mustWait) await this.#drained();
        else this.#send(run.epoch, message);
      }
    }
    return run.messages.length > 0;
  }

  get #mustWait(): boolean {
    return this.#isRefused || !this.#socket.hasRoom;
  }

  /** Waits until nothing waits to be sent. Another follower of the socket may fill it again before this one goes on. */
  async #drained(): Promise<void> {
    // The promise rejects when the socket ends.
    await this.#socket.drained().catch(() => {});
    this.#isRefused = false;
  }

  #send(epoch: string, message: LoggedMessage): void {
    // With `slowConsumer: "drop"` the socket refuses what it has no room for. It gets that later.
    if (!this.#deliver(() => this.#topic.frameOf(epoch, message))) return;
    this.#epoch = epoch;
    this.#offset = message.offset;
  }

  #sendNotice({ position, recovered }: { position: HistoryPosition; recovered: boolean }): void {
    if (this.#deliver(() => this.#topic.noticeOf(position, recovered))) this.#notice = undefined;
  }

  #moveTo(position: HistoryPosition, recovered: boolean): void {
    this.#epoch = position.epoch;
    this.#offset = position.offset;
    this.#notice = { position, recovered };
  }

  #deliver(makeFrame: () => string | Uint8Array): boolean {
    let frame: string | Uint8Array;
    try {
      frame = makeFrame();
    } catch (error) {
      this.#socket.onHandlerError("frame of a topic", error);
      return false;
    }
    const isTaken = this.#socket.deliver(frame);
    this.#isRefused = !isTaken;
    return isTaken;
  }
}
