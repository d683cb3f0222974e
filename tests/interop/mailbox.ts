/** A queue of events that tests wait for. */

interface Waiting<T> {
  resolve: (item: T) => void;
  reject: (reason: Error) => void;
}

/** Keeps items in order until a test takes them. A test that asks before an item is there waits for it. */
export class Mailbox<T> {
  readonly #kept: T[] = [];
  readonly #waiting: Waiting<T>[] = [];
  #end: Error | undefined;

  put(item: T): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting.resolve(item);
    else this.#kept.push(item);
  }

  /** Says that no more items come. All waits, now or later, reject with `reason`. Items that are kept can be taken. */
  end(reason: Error): void {
    this.#end = reason;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(reason);
  }

  /** Takes the next item, and waits for it if necessary. */
  next(): Promise<T> {
    if (this.#kept.length > 0) return Promise.resolve(this.#kept.shift()!);
    if (this.#end) return Promise.reject(this.#end);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Takes the next `count` items. */
  async take(count: number): Promise<T[]> {
    const items: T[] = [];
    while (items.length < count) items.push(await this.next());
    return items;
  }
}
