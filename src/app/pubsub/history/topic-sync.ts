import type { Buffer } from "node:buffer";
import type { HistoryPage, HistoryPosition, HistoryRange } from "../broker.ts";
import type { FollowingSocket } from "./follower.ts";
import { decodeRecord } from "./record.ts";
import type { TopicHistory } from "./topic-history.ts";

/** A message that the broker has sent as it was appended. */
interface LiveMessage {
  readonly position: HistoryPosition;
  readonly data: string | Buffer;
}

/** Reads from the history that the broker keeps. Resolves to undefined when nobody waits for it any more. */
export type ReadHistory = (range: HistoryRange) => Promise<HistoryPage | undefined>;

/** How much is read at once when messages were missed. */
const PAGE = { maxMessages: 256, maxBytes: 1024 * 1024 };
/** The most new messages that wait while missed ones are read. Above it, all of them are read. */
const MAX_WAITING = 1_024;
/** The time between two reads if the first did not bring what has come already. */
const READ_AGAIN_MS = 100;

/**
 * Keeps the end of a topic's history in this process equal to what the broker has.
 *
 * Each new message tells its position. One that does not follow its predecessor shows that messages were missed: the
 * broker was away, or the link was slow. They are read from the history then, before the new one. If they are not kept
 * any more, followers are told that they were lost.
 */
export class TopicSync<Socket extends FollowingSocket> {
  readonly #history: TopicHistory<Socket>;
  readonly #read: ReadHistory;
  readonly #onAppended: () => void;
  #isReady = false;
  #isSyncing = false;
  /** True if the history has to be read once more, because something may have come since. */
  #isStale = false;
  #waiting: LiveMessage[] = [];
  /** When the last message came, or the history was last read. */
  #freshAtMs = performance.now();
  #isClosed = false;

  /** @param onAppended is called when the history has taken a message, so that there may be too many */
  constructor(history: TopicHistory<Socket>, read: ReadHistory, onAppended: () => void) {
    this.#history = history;
    this.#read = read;
    this.#onAppended = onAppended;
  }

  get freshAtMs(): number {
    return this.#freshAtMs;
  }

  /** A message has come from the broker. */
  onMessage(position: HistoryPosition, bytes: Uint8Array): void {
    const message = { position, data: decodeRecord(bytes) };
    this.#freshAtMs = performance.now();
    if (!this.#isReady || this.#isSyncing) {
      if (this.#waiting.length < MAX_WAITING) this.#waiting.push(message);
      else this.#isStale = true;
    } else if (!this.#take(message)) {
      this.#waiting.push(message);
      void this.sync();
    }
  }

  /** Reads what was missed. */
  async sync(): Promise<void> {
    this.#isStale = true;
    if (this.#isSyncing) return;
    this.#isSyncing = true;
    while (this.#isStale && !this.#isClosed) {
      this.#isStale = false;
      await (this.#isReady ? this.#readMissed() : this.#readEnd());
      if (!this.#isClosed) this.#takeWaiting();
      // What has come is in the history. The part of the broker that was read may not have it yet.
      if (this.#isStale) await new Promise<void>((resolve) => void setTimeout(resolve, READ_AGAIN_MS).unref());
    }
    this.#isSyncing = false;
  }

  close(): void {
    this.#isClosed = true;
    this.#history.onReady();
  }

  async #readEnd(): Promise<void> {
    const page = await this.#read({ maxMessages: 0, maxBytes: 0 });
    if (page === undefined || this.#isClosed) return;
    // What has come since the subscription began is for its subscribers, also if the history has it by now.
    const first = this.#waiting.find(({ position }) => position.epoch === page.epoch)?.position.offset ?? Infinity;
    this.#history.log.reset({ epoch: page.epoch, offset: Math.min(page.newest, first - 1) });
    this.#takeWaiting();
    // Some of what has come since may have been lost on the link.
    if (this.#history.log.newest < page.newest) this.#isStale = true;
    this.#isReady = true;
    this.#history.onReady();
  }

  async #readMissed(): Promise<void> {
    const { log } = this.#history;
    for (;;) {
      const page = await this.#read({ after: log.end, ...PAGE });
      if (page === undefined || this.#isClosed) return;
      this.#freshAtMs = performance.now();
      const { epoch, newest, messages } = page;
      if (!page.isComplete) return this.#history.lose({ epoch, offset: newest });
      if (messages.length === 0) return;
      if (epoch !== log.epoch) log.begin(epoch);
      for (const { bytes } of messages) this.#append(decodeRecord(bytes));
      if (log.newest >= newest) return;
    }
  }

  #takeWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const message of waiting) if (!this.#take(message)) this.#isStale = true;
  }

  /** Takes a message that is the next one, or that is known. Returns false for one that has others before it. */
  #take({ position: { epoch, offset }, data }: LiveMessage): boolean {
    const { log } = this.#history;
    // The first message of an epoch is no exception. Only the broker knows whether another epoch lay before it.
    if (epoch !== log.epoch) return false;
    if (offset <= log.newest) return true;
    if (offset !== log.newest + 1) return false;
    this.#append(data);
    return true;
  }

  #append(data: string | Buffer): void {
    this.#history.append(data, performance.now());
    this.#onAppended();
  }
}
