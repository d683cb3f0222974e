/** Which sockets of this process are subscribed to which topics. */

/**
 * A socket as {@link Topics} sees it. The set belongs to `Topics`, and is made with the first subscription, because
 * most sockets have none.
 */
export interface Subscriber {
  subscriptions: Set<string> | undefined;
}

interface Topic<Member> {
  readonly members: Set<Member>;
  /**
   * The members as an array, made for a publish and kept until a member comes or goes. A receiver may subscribe or
   * unsubscribe while a message is published: the loop over the array is not disturbed by that.
   */
  list: readonly Member[] | undefined;
}

/** Fewer empty topics than this are not worth a sweep. */
const SWEEP_FROM = 64;

/** The topics of this process, each with the sockets that are subscribed to it. */
export class Topics<Member extends Subscriber> {
  /**
   * All topics with members, and some without. A topic that has lost its last member stays in the map until half of the
   * topics are empty, and then all empty ones are deleted at once. If a key of a large map were deleted and added again
   * over and over, each such change would take longer than the one before, up to a hundred microseconds.
   */
  readonly #topics = new Map<string, Topic<Member>>();
  #empty = 0;

  /** The number of topics that have members. */
  get size(): number {
    return this.#topics.size - this.#empty;
  }

  /** The names of the topics that have members. */
  *names(): Generator<string> {
    for (const [name, { members }] of this.#topics) if (members.size > 0) yield name;
  }

  /** Counts the members of a topic. */
  count(name: string): number {
    return this.#topics.get(name)?.members.size ?? 0;
  }

  /** Returns the members of a topic, in the order in which they subscribed. */
  membersOf(name: string): readonly Member[] {
    const topic = this.#topics.get(name);
    if (topic === undefined) return NOBODY;
    return topic.list ??= [...topic.members];
  }

  /** Subscribes a member to a topic. Returns false if it was subscribed already. */
  add(name: string, member: Member): boolean {
    const subscriptions = member.subscriptions ??= new Set();
    if (subscriptions.has(name)) return false;
    subscriptions.add(name);
    const topic = this.#topics.get(name);
    if (topic === undefined) {
      this.#topics.set(name, { members: new Set([member]), list: undefined });
    } else {
      if (topic.members.size === 0) this.#empty--;
      topic.members.add(member);
      topic.list = undefined;
    }
    return true;
  }

  /** Unsubscribes a member from a topic. Returns false if it was not subscribed. */
  delete(name: string, member: Member): boolean {
    if (!member.subscriptions?.delete(name)) return false;
    const topic = this.#topics.get(name)!;
    topic.members.delete(member);
    topic.list = undefined;
    if (topic.members.size === 0) {
      this.#empty++;
      this.#sweep();
    }
    return true;
  }

  #sweep(): void {
    if (this.#empty < SWEEP_FROM || this.#empty * 2 < this.#topics.size) return;
    for (const [name, { members }] of this.#topics) if (members.size === 0) this.#topics.delete(name);
    this.#empty = 0;
  }
}

const NOBODY: readonly never[] = [];
