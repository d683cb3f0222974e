/** Which sockets are present at which topics, in this process and in the others. */
import {
  ENTRIES_PER_MESSAGE,
  type Entry,
  type Exit,
  parsePresenceMessage,
  type PresenceMessage,
} from "./presence-message.ts";

/** A socket that is present at a topic, as {@link App.presence} lists it. */
export interface Present {
  /** The `id` of the socket. */
  readonly id: string;
  /** The `id` of the app that the socket is connected to. */
  readonly processId: string;
  /** The value of the `presence` option with which the socket has subscribed, copied through JSON. */
  readonly data: unknown;
}

/** The times of the heartbeat between processes. */
export interface PresenceOptions {
  /** The time from one heartbeat of this process to the next. */
  readonly intervalMs: number;
  /** A process that has been silent for this long counts as dead. */
  readonly timeoutMs: number;
}

/** The sockets that are present: by topic, and then by id, each with its data. */
type Members = Map<string, Map<string, unknown>>;

/** The state of another process, as far as it is known here. */
interface Remote {
  readonly members: Members;
  /** The number of entries in `members`. */
  size: number;
  /** The number of the last message that was applied. -1 while the whole state is awaited. */
  sequence: number;
  lastMessageAtMs: number;
  askedAtMs: number;
}

/** Limits of the memory that other processes can fill, in entries and in processes. */
const MAX_REMOTE_ENTRIES = 1_000_000;
const MAX_REMOTES = 4096;
/** The whole state is sent this long after a process has asked for it, so that one message serves all that ask. */
const STATE_DELAY_MS = 50;
/** A process that has been asked for its whole state is asked again no sooner than after this time. */
const ASK_AGAIN_MS = 1000;
/** A heartbeat that comes after this many intervals is late: this process has stood still. */
const LATE_BEAT = 1.5;

/**
 * The sockets that are present, of this process and of the others.
 *
 * Each process sends three kinds of messages about its own sockets: changes at the end of the turn in which they
 * happen, a heartbeat, and its whole state when another process asks for it. A process that has missed a message asks
 * for the whole state of the sender. A process that has been silent for too long counts as dead, and its sockets are
 * forgotten.
 */
export class Presence {
  readonly #processId: string;
  readonly #options: PresenceOptions;
  /** Sends a message to all other processes. Undefined if the app has no broker. */
  readonly #send: ((text: string) => void) | undefined;
  readonly #local: Members = new Map();
  readonly #remotes = new Map<string, Remote>();
  #remoteEntries = 0;
  #sequence = 0;
  #lastBeatMs = performance.now();
  /** The changes of this turn: for each socket and topic only the last one. */
  readonly #joined = new Map<string, Entry>();
  readonly #left = new Map<string, Exit>();
  #isScheduled = false;
  readonly #heartbeat: ReturnType<typeof setInterval> | undefined;
  #stateTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(processId: string, options: PresenceOptions, send?: (text: string) => void) {
    this.#processId = processId;
    this.#options = options;
    this.#send = send;
    if (send === undefined) return;
    this.#heartbeat = setInterval(() => this.#beat(), options.intervalMs);
    this.#heartbeat.unref();
  }

  /** Lists the sockets that are present at a topic, those of this process first. */
  of(topic: string): Present[] {
    const present: Present[] = [];
    collect(present, this.#local, topic, this.#processId);
    for (const [processId, { members }] of this.#remotes) collect(present, members, topic, processId);
    return present;
  }

  /** Whether a socket of this process is present at a topic. */
  isUsedAt(topic: string): boolean {
    return this.#local.has(topic);
  }

  join(topic: string, id: string, data: unknown): void {
    put(this.#local, topic, id, data);
    if (this.#send === undefined) return;
    const key = JSON.stringify([topic, id]);
    this.#left.delete(key);
    this.#joined.set(key, [topic, id, data]);
    this.#scheduleChanges();
  }

  leave(topic: string, id: string): void {
    if (!remove(this.#local, topic, id) || this.#send === undefined) return;
    const key = JSON.stringify([topic, id]);
    this.#joined.delete(key);
    this.#left.set(key, [topic, id]);
    this.#scheduleChanges();
  }

  /**
   * Called when the link to other processes is up, for the first time or again: asks all others for their state, and
   * sends that of this process.
   */
  greet(): void {
    this.#tell({});
    this.#scheduleState();
  }

  /**
   * Takes a message of another process. A text that is not a valid message comes from another version, and is ignored.
   */
  receive(text: string, processId: string): void {
    const message = parsePresenceMessage(text);
    if (message === undefined) return;
    if (message.bye === true) return this.#forget(processId);
    if (message.sequence === undefined || message.asks === this.#processId) this.#scheduleState();
    if (message.sequence !== undefined) this.#take(processId, message, message.sequence);
  }

  /** Stops the timers, and tells the other processes that this one is closing. */
  stop(): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#stateTimer);
    this.#tell({ bye: true });
  }

  #tell(message: PresenceMessage): void {
    this.#send?.(JSON.stringify(message));
  }

  #scheduleChanges(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#tellChanges([...this.#joined.values()], [...this.#left.values()], false);
      this.#joined.clear();
      this.#left.clear();
    });
  }

  /**
   * Sends the whole state, after a delay: when a link is up again, all processes ask at once, and one message serves
   * them all.
   */
  #scheduleState(): void {
    this.#stateTimer ??= setTimeout(() => {
      this.#stateTimer = undefined;
      this.#tellChanges([...entriesOf(this.#local)], [], true);
    }, STATE_DELAY_MS).unref();
  }

  /**
   * Sends changes, or the whole state, in messages of at most `ENTRIES_PER_MESSAGE` entries. Even an empty state is one
   * message.
   */
  #tellChanges(joined: readonly Entry[], left: readonly Exit[], isState: boolean): void {
    let reset = isState;
    for (let at = 0; reset || at < joined.length || at < left.length; at += ENTRIES_PER_MESSAGE) {
      const to = at + ENTRIES_PER_MESSAGE;
      this.#tell({ sequence: ++this.#sequence, reset, joined: joined.slice(at, to), left: left.slice(at, to) });
      reset = false;
    }
  }

  /** Applies the changes of another process, unless a message before this one was lost. */
  #take(processId: string, { reset, joined = [], left = [] }: PresenceMessage, sequence: number): void {
    const remote = this.#remotes.get(processId) ?? this.#meet(processId);
    if (remote === undefined) return;
    remote.lastMessageAtMs = performance.now();
    const isChange = reset !== undefined;
    if (reset === true) this.#clear(remote);
    else if (remote.sequence !== (isChange ? sequence - 1 : sequence)) return this.#ask(processId, remote);
    remote.sequence = sequence;
    for (const [topic, id] of left) if (remove(remote.members, topic, id)) this.#count(remote, -1);
    for (const [topic, id, data] of joined) {
      if (this.#remoteEntries < MAX_REMOTE_ENTRIES && put(remote.members, topic, id, data)) this.#count(remote, 1);
    }
  }

  /**
   * Asks a process for its whole state because a message was lost. Changes of that process are not applied until the
   * state comes.
   */
  #ask(processId: string, remote: Remote): void {
    remote.sequence = -1;
    const nowMs = performance.now();
    if (nowMs - remote.askedAtMs < ASK_AGAIN_MS) return;
    remote.askedAtMs = nowMs;
    this.#tell({ sequence: this.#sequence, asks: processId });
  }

  /** Adds a process that was not known before, unless there are too many. */
  #meet(processId: string): Remote | undefined {
    if (this.#remotes.size >= MAX_REMOTES) return undefined;
    const remote: Remote = { members: new Map(), size: 0, sequence: -1, lastMessageAtMs: 0, askedAtMs: -Infinity };
    this.#remotes.set(processId, remote);
    return remote;
  }

  /** Keeps the two counts of entries up to date. */
  #count(remote: Remote, by: number): void {
    remote.size += by;
    this.#remoteEntries += by;
  }

  #clear(remote: Remote): void {
    this.#count(remote, -remote.size);
    remote.members.clear();
  }

  #forget(processId: string): void {
    const remote = this.#remotes.get(processId);
    if (remote !== undefined) this.#clear(remote);
    this.#remotes.delete(processId);
  }

  /**
   * Sends a heartbeat, and forgets the processes that have sent none for too long. The time for which this process was
   * blocked or stopped does not count: the messages of the others may have come meanwhile, and are read after this.
   */
  #beat(): void {
    this.#tell({ sequence: this.#sequence });
    const { intervalMs, timeoutMs } = this.#options;
    const nowMs = performance.now();
    const sinceMs = nowMs - this.#lastBeatMs;
    const lostMs = sinceMs > LATE_BEAT * intervalMs ? sinceMs : 0;
    this.#lastBeatMs = nowMs;
    for (const [processId, remote] of this.#remotes) {
      remote.lastMessageAtMs += lostMs;
      if (remote.lastMessageAtMs < nowMs - timeoutMs) this.#forget(processId);
    }
  }
}

function* entriesOf(members: Members): Iterable<Entry> {
  for (const [topic, ids] of members) for (const [id, data] of ids) yield [topic, id, data];
}

function collect(present: Present[], members: Members, topic: string, processId: string): void {
  for (const [id, data] of members.get(topic) ?? []) present.push({ id, processId, data });
}

/** Adds a socket to a topic, or replaces its data. Returns true if it is new. */
function put(members: Members, topic: string, id: string, data: unknown): boolean {
  const ids = members.get(topic);
  if (ids === undefined) return members.set(topic, new Map([[id, data]])) !== undefined;
  const isNew = !ids.has(id);
  ids.set(id, data);
  return isNew;
}

/** Removes a socket from a topic. Returns true if it was there. */
function remove(members: Members, topic: string, id: string): boolean {
  const ids = members.get(topic);
  if (ids === undefined || !ids.delete(id)) return false;
  if (ids.size === 0) members.delete(topic);
  return true;
}
