import {
  ENTRIES_PER_MESSAGE,
  type Entry,
  type Exit,
  parsePresenceMessage,
  type PresenceMessage,
} from "./presence-message.ts";

/** One who is present at a topic. */
export interface Present {
  /** The socket's `id`. */
  readonly id: string;
  /** The `id` of the app that it is connected to. */
  readonly processId: string;
  /** What it subscribed with. */
  readonly data: unknown;
}

export interface PresenceOptions {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

type Members = Map<string, Map<string, unknown>>;

/** What is known of another process. */
interface Remote {
  readonly members: Members;
  size: number;
  /** The last message that was taken in; -1 while the whole state is awaited. */
  sequence: number;
  heardAtMs: number;
  askedAtMs: number;
}

/** What other processes may make us remember. */
const MAX_REMOTE_ENTRIES = 1_000_000;
const MAX_REMOTES = 4096;
/** How long a state waits for others to ask for it too, and how long a question waits for its answer. */
const STATE_DELAY_MS = 50;
const ASK_AGAIN_MS = 1000;

/**
 * Who is present where, in this process and in the others. Each process tells the others of its own: changes as they happen, a heartbeat, and its whole state to who
 * asks for it. Who has missed something asks; who is silent for too long has died.
 */
export class Presence {
  readonly #processId: string;
  readonly #options: PresenceOptions;
  /** Sends to all other processes; undefined while there are none. */
  readonly #send: ((text: string) => void) | undefined;
  readonly #local: Members = new Map();
  readonly #remotes = new Map<string, Remote>();
  #remoteEntries = 0;
  #sequence = 0;
  /** What has changed in this turn: the last word on each. */
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

  /** Everyone at a topic: of this process first. */
  of(topic: string): Present[] {
    const present: Present[] = [];
    collect(present, this.#local, topic, this.#processId);
    for (const [processId, { members }] of this.#remotes) collect(present, members, topic, processId);
    return present;
  }

  /** Whether anyone of this process is listed there. */
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

  /** The link to the other processes is there, for the first time or again: who is there has to be told, and asked. */
  greet(): void {
    this.#tell({});
    this.#scheduleState();
  }

  /** Takes what another process has told. What is not understood is from another version, and is left alone. */
  receive(text: string, processId: string): void {
    const news = parsePresenceMessage(text);
    if (news === undefined) return;
    if (news.bye === true) return this.#forget(processId);
    if (news.sequence === undefined || news.asks === this.#processId) this.#scheduleState();
    if (news.sequence !== undefined) this.#take(processId, news, news.sequence);
  }

  /** Says goodbye. */
  stop(): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#stateTimer);
    this.#tell({ bye: true });
  }

  #tell(news: PresenceMessage): void {
    this.#send?.(JSON.stringify(news));
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

  /** After a cut all processes ask at once: one answer serves them all. */
  #scheduleState(): void {
    this.#stateTimer ??= setTimeout(() => {
      this.#stateTimer = undefined;
      this.#tellChanges([...entriesOf(this.#local)], [], true);
    }, STATE_DELAY_MS).unref();
  }

  #tellChanges(joined: readonly Entry[], left: readonly Exit[], isState: boolean): void {
    let reset = isState;
    for (let at = 0; reset || at < joined.length || at < left.length; at += ENTRIES_PER_MESSAGE) {
      const to = at + ENTRIES_PER_MESSAGE;
      this.#tell({ sequence: ++this.#sequence, reset, joined: joined.slice(at, to), left: left.slice(at, to) });
      reset = false;
    }
  }

  #take(processId: string, { reset, joined = [], left = [] }: PresenceMessage, sequence: number): void {
    const remote = this.#remotes.get(processId) ?? this.#meet(processId);
    if (remote === undefined) return;
    remote.heardAtMs = performance.now();
    const isChange = reset !== undefined;
    if (reset === true) this.#clear(remote);
    else if (remote.sequence !== (isChange ? sequence - 1 : sequence)) return this.#ask(processId, remote);
    remote.sequence = sequence;
    for (const [topic, id] of left) if (remove(remote.members, topic, id)) this.#count(remote, -1);
    for (const [topic, id, data] of joined) {
      if (this.#remoteEntries < MAX_REMOTE_ENTRIES && put(remote.members, topic, id, data)) this.#count(remote, 1);
    }
  }

  /** Something was lost. Nothing more is taken in until the whole state comes. */
  #ask(processId: string, remote: Remote): void {
    remote.sequence = -1;
    const nowMs = performance.now();
    if (nowMs - remote.askedAtMs < ASK_AGAIN_MS) return;
    remote.askedAtMs = nowMs;
    this.#tell({ sequence: this.#sequence, asks: processId });
  }

  #meet(processId: string): Remote | undefined {
    if (this.#remotes.size >= MAX_REMOTES) return undefined;
    const remote: Remote = { members: new Map(), size: 0, sequence: -1, heardAtMs: 0, askedAtMs: -Infinity };
    this.#remotes.set(processId, remote);
    return remote;
  }

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

  #beat(): void {
    this.#tell({ sequence: this.#sequence });
    const oldestMs = performance.now() - this.#options.timeoutMs;
    for (const [processId, { heardAtMs }] of this.#remotes) if (heardAtMs < oldestMs) this.#forget(processId);
  }
}

function* entriesOf(members: Members): Iterable<Entry> {
  for (const [topic, ids] of members) for (const [id, data] of ids) yield [topic, id, data];
}

function collect(present: Present[], members: Members, topic: string, processId: string): void {
  for (const [id, data] of members.get(topic) ?? []) present.push({ id, processId, data });
}

/** True when it is new. */
function put(members: Members, topic: string, id: string, data: unknown): boolean {
  const ids = members.get(topic);
  if (ids === undefined) return members.set(topic, new Map([[id, data]])) !== undefined;
  const isNew = !ids.has(id);
  ids.set(id, data);
  return isNew;
}

/** True when it was there. */
function remove(members: Members, topic: string, id: string): boolean {
  const ids = members.get(topic);
  if (ids === undefined || !ids.delete(id)) return false;
  if (ids.size === 0) members.delete(topic);
  return true;
}
