import type { HistoryPage, HistoryPosition, HistoryRange } from "../broker.ts";
import type { FollowingSocket, LostRun, MessageRun } from "./follower.ts";
import type { Histories, HistoryPart, KeptHistories, TopicMessages } from "./histories.ts";
import { type HistoryBroker, HistoryLink } from "./history-link.ts";
import type { ResolvedHistory } from "./history-options.ts";
import { type LogMemory, MessageLog } from "./message-log.ts";
import { formatId, offsetBefore, parseSince } from "./position.ts";
import { decodeRecord } from "./record.ts";
import { type Followed, TopicHistory, type TopicStore } from "./topic-history.ts";
import { TopicSync } from "./topic-sync.ts";

/** What the histories of a broker use. */
export interface RemoteHistoryParts<Socket> {
  readonly broker: HistoryBroker;
  readonly maxHistoryBytes: number;
  readonly maxRecoveries: number;
  readonly membersOf: (topic: string) => readonly Socket[];
  readonly optionsOf: (topic: string) => ResolvedHistory | undefined;
  /** A call of the broker has failed. */
  readonly onFailure: (method: string, error: unknown) => void;
}

/** The end of a topic's history in this process. */
interface Followable<Socket extends FollowingSocket> {
  readonly history: TopicHistory<Socket>;
  readonly sync: TopicSync<Socket>;
  readonly options: ResolvedHistory;
}

/** What a follower that lags behind reads at once. It must not fill the memory with what the socket does not take. */
const RECOVERED_AT_ONCE = { maxMessages: 256, maxBytes: 64 * 1024 };
/** The most bytes that one read for the application has, unless its first message is longer. */
const MAX_READ_BYTES = 16 * 1024 * 1024;
/**
 * The histories of topics from which nothing has come for this long are read: a link may be dead without a sign, and
 * the last message of a topic has no successor that would show that it was missed.
 */
const CHECK_MS = 30_000;

/**
 * The histories that a broker keeps. This process has the end of those to which its sockets are subscribed, so that
 * most of what followers lack is read once, however many they are.
 */
export class RemoteHistories<Socket extends FollowingSocket> implements Histories<Socket> {
  readonly #parts: RemoteHistoryParts<Socket>;
  readonly #link: HistoryLink;
  readonly #topics = new Map<string, Followable<Socket>>();
  readonly #memory: LogMemory = { messages: 0, bytes: 0 };
  readonly #checker: ReturnType<typeof setInterval>;

  constructor(parts: RemoteHistoryParts<Socket>) {
    this.#parts = parts;
    this.#link = new HistoryLink(parts.broker, parts.maxRecoveries, parts.onFailure);
    this.#checker = setInterval(() => this.#check(), CHECK_MS / 3);
    this.#checker.unref();
  }

  publish(topic: string, options: ResolvedHistory, data: string | Uint8Array): number {
    // The failure is logged by the link.
    this.#link.append(topic, data, options).catch(() => {});
    return this.#parts.membersOf(topic).length;
  }

  append(topic: string, options: ResolvedHistory, data: string | Uint8Array): Promise<HistoryPosition> {
    return this.#link.append(topic, data, options);
  }

  async follow(
    socket: Socket,
    topic: string,
    options: ResolvedHistory,
    since: string | undefined,
  ): Promise<Followed> {
    return await this.#open(topic, options).history.follow(socket, since);
  }

  isFollowedBy(socket: Socket, topic: string): boolean {
    return this.#topics.get(topic)?.history.isFollowedBy(socket) ?? false;
  }

  leave(socket: Socket, topic: string): void {
    this.#topics.get(topic)?.history.leave(socket);
  }

  async read(topic: string, options: ResolvedHistory, { since, limit }: HistoryPart): Promise<TopicMessages> {
    const read = (range: HistoryRange): Promise<HistoryPage> => this.#link.readOnce(topic, range, options);
    const parsed = since === undefined ? undefined : parseSince(since);
    if (parsed === undefined) {
      const { epoch, oldest, newest } = await read({ maxMessages: 0, maxBytes: 0 });
      const first = since === undefined ? Math.max(oldest - 1, newest - limit) : newest;
      const page = await read({ after: { epoch, offset: first }, maxMessages: limit, maxBytes: MAX_READ_BYTES });
      return messagesOf(topic, page, first, false);
    }
    const page = await read({ ...parsed, maxMessages: limit, maxBytes: MAX_READ_BYTES });
    return messagesOf(topic, page, offsetBefore(page, parsed.after), page.isComplete);
  }

  /** The subscription to a topic has begun, or has begun anew because the broker was away. */
  onSubscribed(topic: string): void {
    const options = this.#parts.optionsOf(topic);
    if (options !== undefined) void this.#open(topic, options).sync.sync();
  }

  /** No socket of this process wants the messages of a topic any more, and the subscription has ended. */
  onUnsubscribed(topic: string): void {
    const followable = this.#topics.get(topic);
    if (followable === undefined) return;
    this.#topics.delete(topic);
    followable.sync.close();
    followable.history.log.clear();
  }

  onMessage(topic: string, position: HistoryPosition, bytes: Uint8Array): void {
    const followable = this.#topics.get(topic) ?? this.#openWanted(topic);
    followable?.sync.onMessage(position, bytes);
  }

  get kept(): KeptHistories {
    return { topics: this.#topics.size, ...this.#memory };
  }

  close(): void {
    clearInterval(this.#checker);
    this.#link.close();
    for (const topic of [...this.#topics.keys()]) this.onUnsubscribed(topic);
  }

  #open(topic: string, options: ResolvedHistory): Followable<Socket> {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    const history = new TopicHistory<Socket>(topic, {
      options,
      log: new MessageLog(this.#memory, "0"),
      members: () => this.#parts.membersOf(topic),
      store: this.#storeOf(topic, options),
    });
    const isWanted = (): boolean => this.#topics.get(topic)?.history === history;
    const sync = new TopicSync(
      history,
      (range) => this.#link.read(topic, range, options, isWanted),
      () => this.#makeRoom(),
    );
    const followable = { history, sync, options };
    this.#topics.set(topic, followable);
    return followable;
  }

  /** A message may come before the broker has answered that it has taken the subscription. */
  #openWanted(topic: string): Followable<Socket> | undefined {
    const options = this.#parts.membersOf(topic).length > 0 ? this.#parts.optionsOf(topic) : undefined;
    return options === undefined ? undefined : this.#open(topic, options);
  }

  #storeOf(topic: string, options: ResolvedHistory): TopicStore {
    return {
      find: (after, isWanted) => this.#link.read(topic, { after, maxMessages: 0, maxBytes: 0 }, options, isWanted),
      read: async (after, isWanted) => {
        const page = await this.#link.read(topic, { after, ...RECOVERED_AT_ONCE }, options, isWanted);
        return page === undefined ? undefined : runOf(page);
      },
    };
  }

  /** Forgets messages that the broker has too, half of those of each topic, until there is room. */
  #makeRoom(): void {
    while (this.#memory.bytes > this.#parts.maxHistoryBytes) {
      for (const { history: { log } } of this.#topics.values()) {
        for (let left = Math.ceil(log.size / 2); left > 0; left--) log.dropOldest();
      }
    }
  }

  #check(): void {
    const dueAtMs = performance.now() - CHECK_MS;
    for (const { history, sync, options } of this.#topics.values()) {
      history.log.trim(options, performance.now());
      if (history.followers > 0 && sync.freshAtMs < dueAtMs) void sync.sync();
    }
  }
}

function runOf({ epoch, newest, isComplete, messages }: HistoryPage): MessageRun | LostRun {
  if (!isComplete) return { lostUntil: { epoch, offset: newest } };
  return { epoch, messages: messages.map(({ offset, bytes }) => ({ offset, data: decodeRecord(bytes) })) };
}

/** @param first the offset behind which the page begins, if it is complete */
function messagesOf(topic: string, page: HistoryPage, first: number, recovered: boolean): TopicMessages {
  const { epoch, newest, isComplete } = page;
  const messages = page.messages.map(({ offset, bytes }) => ({
    topic,
    id: formatId({ epoch, offset }),
    data: decodeRecord(bytes),
  }));
  const last = page.messages.at(-1)?.offset ?? (isComplete ? first : newest);
  return { messages, id: formatId({ epoch, offset: last }), recovered };
}
