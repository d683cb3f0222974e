import type { Buffer } from "node:buffer";
import { toBytes } from "../../common/bytes.ts";
import type { HistoryPage, HistoryPosition } from "../broker.ts";
import { type FollowedTopic, Follower, type FollowingSocket, type LostRun, type MessageRun } from "./follower.ts";
import type { TopicMessage, TopicNotice } from "./frames.ts";
import type { ResolvedHistory } from "./history-options.ts";
import type { LoggedMessage, MessageLog } from "./message-log.ts";
import { formatId, offsetBefore, parseSince } from "./position.ts";

/** What {@link Socket.follow} resolves to. */
export interface Followed {
  /**
   * True if the socket gets all messages behind the position that it was to begin at. False if it had none, if the
   * messages behind it are not kept any more, or if they are more than `maxRecover`.
   */
  readonly recovered: boolean;
  /** The position behind which messages follow. Empty if the socket has closed before it could begin. */
  readonly id: string;
}

/** What the history of a topic uses. */
export interface TopicHistoryParts<Socket> {
  readonly options: ResolvedHistory;
  readonly log: MessageLog;
  /** The sockets of this process that are subscribed to the topic, followers and others. */
  readonly members: () => readonly Socket[];
  /** Where the messages are that the log does not have. Undefined if it has all that are kept. */
  readonly store: TopicStore | undefined;
}

/** Where a follower begins. */
interface Start {
  readonly position: HistoryPosition;
  readonly recovered: boolean;
}

/** The whole history of a topic, of which this process may have the end only. */
export interface TopicStore {
  /** Finds out what is kept behind a position. */
  find(after: HistoryPosition | undefined, isWanted: () => boolean): Promise<HistoryPage | undefined>;
  read(after: HistoryPosition, isWanted: () => boolean): Promise<MessageRun | LostRun | undefined>;
}

/** The history of one topic in this process, with the sockets that follow it. */
export class TopicHistory<Socket extends FollowingSocket> implements FollowedTopic {
  readonly name: string;
  readonly log: MessageLog;
  readonly #parts: TopicHistoryParts<Socket>;
  readonly #followers = new Map<Socket, Follower>();
  /** Lets the followers begin that came before the end of the history was known. Undefined when it is known. */
  #waiting: Map<Follower, () => void> | undefined;
  /** The frame that was made last: followers of a new message all get the same. */
  #lastFrame: { readonly message: LoggedMessage; readonly frame: string | Uint8Array } | undefined;

  constructor(name: string, parts: TopicHistoryParts<Socket>) {
    this.name = name;
    this.log = parts.log;
    this.#parts = parts;
    // Without a store, the log is the whole history.
    if (parts.store !== undefined) this.#waiting = new Map();
  }

  get followers(): number {
    return this.#followers.size;
  }

  isFollowedBy(socket: Socket): boolean {
    return this.#followers.has(socket);
  }

  /** Puts a message at the end, and sends it to all sockets of this process that want it. Returns their number. */
  append(data: string | Buffer, nowMs: number): number {
    const message = this.log.append(data, nowMs);
    let count = 0;
    for (const socket of this.#parts.members()) {
      const follower = this.#followers.get(socket);
      if (follower !== undefined) follower.onAppended(message);
      // A follower that has just left is not a subscriber.
      else if (!socket.subscriptions?.has(this.name) || !socket.deliver(data)) continue;
      count++;
    }
    this.#lastFrame = undefined;
    this.log.trim(this.#parts.options, nowMs);
    return count;
  }

  /** Messages were lost: goes on behind a position, and tells the followers. */
  lose(position: HistoryPosition): void {
    const oldEnd = this.log.end;
    this.log.reset(position);
    for (const follower of [...this.#followers.values()]) follower.onLost(oldEnd);
  }

  /**
   * Makes a socket a follower.
   *
   * @param since the id that the client has: empty for the oldest message, undefined for none
   */
  async follow(socket: Socket, since: string | undefined): Promise<Followed> {
    const follower = new Follower(socket, this);
    this.#followers.set(socket, follower);
    const waiting = this.#waiting;
    if (waiting !== undefined) await new Promise<void>((resolve) => void waiting.set(follower, resolve));
    const isWanted = (): boolean => follower.isFollowing;
    const start = since === undefined ? undefined : await this.#startOf(since, isWanted);
    if (!isWanted()) return { recovered: false, id: "" };
    const { position = this.log.end, recovered = false } = start ?? {};
    follower.begin(position, recovered);
    return { recovered, id: formatId(position) };
  }

  leave(socket: Socket): void {
    const follower = this.#followers.get(socket);
    if (follower === undefined) return;
    follower.leave();
    this.#followers.delete(socket);
    this.#waiting?.get(follower)?.();
    this.#waiting?.delete(follower);
  }

  /** The end of the log is the end of the history: followers may begin. */
  onReady(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    for (const begin of waiting?.values() ?? []) begin();
  }

  frameOf(epoch: string, message: LoggedMessage): string | Uint8Array {
    if (this.#lastFrame?.message === message) return this.#lastFrame.frame;
    const { offset, data } = message;
    const frame = this.#makeFrame({ topic: this.name, id: formatId({ epoch, offset }), data });
    this.#lastFrame = { message, frame };
    return frame;
  }

  noticeOf(position: HistoryPosition, recovered: boolean): string | Uint8Array {
    return this.#makeFrame({ topic: this.name, id: formatId(position), recovered });
  }

  #makeFrame(content: TopicMessage | TopicNotice): string | Uint8Array {
    const frame: unknown = this.#parts.options.frame(content);
    return typeof frame === "string" ? frame : toBytes(frame);
  }

  async readBehind(position: HistoryPosition, isWanted: () => boolean): Promise<MessageRun | LostRun | undefined> {
    const { store } = this.#parts;
    return store === undefined ? { lostUntil: this.log.end } : await store.read(position, isWanted);
  }

  /**
   * Finds the position from which a client goes on.
   *
   * @returns undefined if it is the end of the log
   */
  async #startOf(since: string, isWanted: () => boolean): Promise<Start | undefined> {
    const parsed = parseSince(since);
    if (parsed === undefined) return undefined;
    const { after } = parsed;
    const { log } = this;
    const { store, options: { maxRecover } } = this.#parts;
    // The log is the end of the history, so it does not know the oldest message if there is more elsewhere.
    const offset = store !== undefined && after === undefined ? undefined : log.offsetOf(after);
    if (offset !== undefined) {
      const isNear = log.newest - offset <= maxRecover;
      return isNear ? { position: { epoch: log.epoch, offset }, recovered: true } : undefined;
    }
    const page = await store?.find(after, isWanted);
    if (page === undefined) return undefined;
    const { epoch, newest, isComplete } = page;
    const first = offsetBefore(page, after);
    if (isComplete && newest - first <= maxRecover) return { position: { epoch, offset: first }, recovered: true };
    // The log may lag behind the history. The client may have had more than the log has, and must not get it again.
    const end = epoch === log.epoch ? Math.max(newest, log.newest) : newest;
    return { position: { epoch, offset: end }, recovered: false };
  }
}
