import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import type { HistoryPosition } from "../broker.ts";
import type { FollowingSocket } from "./follower.ts";
import type { Histories, HistoryPart, KeptHistories, TopicMessages } from "./histories.ts";
import type { ResolvedHistory } from "./history-options.ts";
import { type LogMemory, MessageLog } from "./message-log.ts";
import { formatId, parseSince } from "./position.ts";
import { type Followed, TopicHistory } from "./topic-history.ts";

/** The limits of all histories of an app together. */
export interface HistoryLimitsOfApp {
  readonly maxHistoryBytes: number;
  readonly maxHistoryTopics: number;
}

/** The history of a topic, and what is known of its use. */
interface Kept<Socket extends FollowingSocket> {
  readonly history: TopicHistory<Socket>;
  readonly options: ResolvedHistory;
  lastAppendMs: number;
}

/** How often messages that are too old are looked for. A message is not given any more as soon as it is too old. */
const SWEEP_MS = 10_000;
/** When there are too many topics, this part of them is forgotten at once: looking for the idle ones takes its time. */
const EVICTED_PART = 16;

/**
 * The histories of an app without a broker, in the memory of this process.
 *
 * A topic begins to exist with its first message, or with its first follower. One that has neither messages nor
 * followers is forgotten. Epochs and offsets are kept when messages are too old, so that a client that has missed
 * nothing is told so, however long it was away.
 */
export class MemoryHistories<Socket extends FollowingSocket> implements Histories<Socket> {
  readonly #limits: HistoryLimitsOfApp;
  readonly #membersOf: (topic: string) => readonly Socket[];
  readonly #topics = new Map<string, Kept<Socket>>();
  readonly #memory: LogMemory = { messages: 0, bytes: 0 };
  readonly #id: string = randomBytes(9).toString("base64url");
  /** The number of topics that have, or had, a message. */
  #begun = 0;
  /** How often topics with messages were forgotten. Positions of topics without messages have this number. */
  #evictions = 0;
  /** The next epoch's number. */
  #epochs = 0;
  /** The topics among which the next one is looked for that takes more than its share. */
  #round: IterableIterator<Kept<Socket>> | undefined;
  readonly #sweeper: ReturnType<typeof setInterval>;

  constructor(limits: HistoryLimitsOfApp, membersOf: (topic: string) => readonly Socket[]) {
    this.#limits = limits;
    this.#membersOf = membersOf;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#sweeper.unref();
  }

  publish(topic: string, options: ResolvedHistory, data: string | Uint8Array): number {
    const kept = this.#open(topic, options);
    const { history } = kept;
    if (history.log.newest === 0) this.#begin(kept);
    kept.lastAppendMs = performance.now();
    const count = history.append(typeof data === "string" ? data : Buffer.from(data), kept.lastAppendMs);
    if (this.#memory.bytes > this.#limits.maxHistoryBytes) this.#makeRoom(kept);
    return count;
  }

  // deno-lint-ignore require-await -- an error must reject the promise
  async append(topic: string, options: ResolvedHistory, data: string | Uint8Array): Promise<HistoryPosition> {
    const before = this.#topics.get(topic)?.history.log.newest ?? 0;
    this.publish(topic, options, data);
    const { epoch } = this.#topics.get(topic)!.history.log;
    return { epoch, offset: before + 1 };
  }

  async follow(
    socket: Socket,
    topic: string,
    options: ResolvedHistory,
    since: string | undefined,
  ): Promise<Followed> {
    const kept = this.#open(topic, options);
    this.#trim(kept);
    return await kept.history.follow(socket, since);
  }

  isFollowedBy(socket: Socket, topic: string): boolean {
    return this.#topics.get(topic)?.history.isFollowedBy(socket) ?? false;
  }

  leave(socket: Socket, topic: string): void {
    const kept = this.#topics.get(topic);
    if (kept === undefined) return;
    kept.history.leave(socket);
    this.#forgetUnused(kept);
  }

  // deno-lint-ignore require-await -- a broker has to be waited for
  async read(topic: string, _options: ResolvedHistory, { since, limit }: HistoryPart): Promise<TopicMessages> {
    const kept = this.#topics.get(topic);
    if (kept !== undefined) this.#trim(kept);
    const log = kept?.history.log ?? new MessageLog({ messages: 0, bytes: 0 }, this.#emptyEpoch);
    const parsed = parseSince(since ?? "");
    const found = parsed === undefined ? undefined : log.offsetOf(parsed.after);
    if (found === undefined) return { messages: [], id: formatId(log.end), recovered: false };
    const first = since === undefined ? Math.max(found, log.newest - limit) : found;
    const last = Math.min(log.newest, first + limit);
    const messages = [];
    for (let offset = first + 1; offset <= last; offset++) {
      messages.push({ topic, id: formatId({ epoch: log.epoch, offset }), data: log.at(offset)!.data });
    }
    return { messages, id: formatId({ epoch: log.epoch, offset: last }), recovered: since !== undefined };
  }

  get kept(): KeptHistories {
    return { topics: this.#topics.size, ...this.#memory };
  }

  close(): void {
    clearInterval(this.#sweeper);
    for (const { history } of this.#topics.values()) history.log.clear();
    this.#topics.clear();
  }

  /**
   * The epoch of topics without a message. It changes when a topic with messages is forgotten: nobody would know then
   * whether a topic without messages has had some.
   */
  get #emptyEpoch(): string {
    return `0-${this.#id}-${this.#evictions}`;
  }

  #open(topic: string, options: ResolvedHistory): Kept<Socket> {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    const history = new TopicHistory<Socket>(topic, {
      options,
      log: new MessageLog(this.#memory, this.#emptyEpoch),
      members: () => this.#membersOf(topic),
      store: undefined,
    });
    const kept = { history, options, lastAppendMs: performance.now() };
    this.#topics.set(topic, kept);
    return kept;
  }

  /** @throws RangeError if there is no room for another history */
  #begin(kept: Kept<Socket>): void {
    const { maxHistoryTopics } = this.#limits;
    if (this.#begun >= maxHistoryTopics && !this.#evict()) {
      this.#forgetUnused(kept);
      throw new RangeError(
        `All ${maxHistoryTopics} topics with a history are followed (maxHistoryTopics), there can be no other`,
      );
    }
    this.#begun++;
    kept.history.log.begin(`${this.#id}-${++this.#epochs}`);
  }

  #forgetUnused({ history }: Kept<Socket>): void {
    if (history.followers === 0 && history.log.newest === 0) this.#topics.delete(history.name);
  }

  /**
   * Forgets the topics that nobody follows, and to which nothing was published for the longest time. Returns false if
   * all are followed.
   */
  #evict(): boolean {
    const { maxHistoryTopics } = this.#limits;
    const idle = [...this.#topics.values()].filter(({ history }) => history.followers === 0 && history.log.newest > 0)
      .sort((one, other) => one.lastAppendMs - other.lastAppendMs)
      .slice(0, Math.ceil(maxHistoryTopics / EVICTED_PART));
    if (idle.length === 0) return false;
    this.#evictions++;
    this.#begun -= idle.length;
    for (const { history } of idle) {
      history.log.clear();
      this.#topics.delete(history.name);
    }
    return true;
  }

  #sweep(): void {
    for (const kept of this.#topics.values()) this.#trim(kept);
  }

  #trim({ history, options }: Kept<Socket>): void {
    history.log.trim(options, performance.now());
  }

  /**
   * Drops messages until all have room. Those that have come last are of a topic that may have more than its share: its
   * oldest messages go first. Otherwise another topic has more than its share, because all together have.
   */
  #makeRoom(last: Kept<Socket>): void {
    const { maxHistoryBytes } = this.#limits;
    for (let victim = last; this.#memory.bytes > maxHistoryBytes; victim = this.#next()) {
      const share = maxHistoryBytes / this.#topics.size;
      const { log } = victim.history;
      while (log.bytes > share && this.#memory.bytes > maxHistoryBytes) log.dropOldest();
    }
  }

  #next(): Kept<Socket> {
    const next = this.#round?.next();
    if (next?.done === false) return next.value;
    this.#round = this.#topics.values();
    return this.#round.next().value!;
  }
}
