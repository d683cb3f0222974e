/** Who can be subscribed. The set is the topics' own, and made with the first of them: most sockets have none. */
export interface Subscriber {
  subscriptions: Set<string> | undefined;
}

interface Topic<Member> {
  readonly members: Set<Member>;
  /** The members at the moment of a publish, kept until somebody comes or goes: what a receiver's reaction changes does not disturb the loop over it. */
  list: readonly Member[] | undefined;
}

/** Who is subscribed to what, in this process. A topic exists while it has a member. */
export class Topics<Member extends Subscriber> {
  readonly #topics = new Map<string, Topic<Member>>();

  /** How many topics there are. */
  get size(): number {
    return this.#topics.size;
  }

  names(): Iterable<string> {
    return this.#topics.keys();
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
    if (topic.members.size === 0) this.#topics.delete(name);
    return true;
  }
}

const NOBODY: readonly never[] = [];
