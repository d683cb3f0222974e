/** Who can be subscribed. The set is the topics' own, and made with the first of them: most sockets have none. */
export interface Subscriber {
  subscriptions: Set<string> | undefined;
}

interface Topic<Member> {
  readonly members: Set<Member>;
  /** The members at the moment of a publish, kept until somebody comes or goes: what a receiver's reaction changes does not disturb the loop over it. */
  list: readonly Member[] | undefined;
}

/** Below this, empty topics are not worth looking for. */
const SWEEP_FROM = 64;

/** Who is subscribed to what, in this process. */
export class Topics<Member extends Subscriber> {
  /**
   * Topics that have lost their last member stay until they are more than the others: a key that is deleted from a large map and added again, over and over, makes it
   * slower each time, by a hundred microseconds in the end.
   */
  readonly #topics = new Map<string, Topic<Member>>();
  #empty = 0;

  /** How many topics have members. */
  get size(): number {
    return this.#topics.size - this.#empty;
  }

  /** How many members a topic has. */
  count(name: string): number {
    return this.#topics.get(name)?.members.size ?? 0;
  }

  /** The members of a topic, in the order in which they came. */
  membersOf(name: string): readonly Member[] {
    const topic = this.#topics.get(name);
    if (topic === undefined) return NOBODY;
    return topic.list ??= [...topic.members];
  }

  /** Subscribes; false when it was so already. */
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

  /** Unsubscribes; false when it was not subscribed. */
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
