interface Waiting<T> {
  resolve: (item: T) => void;
  reject: (reason: Error) => void;
}

/** Keeps what has happened, in order, until a test asks for it; a test that asks first waits. */
export class Mailbox<T> {
  readonly #kept: T[] = [];
  readonly #waiting: Waiting<T>[] = [];
  #end: Error | undefined;

  put(item: T): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting.resolve(item);
    else this.#kept.push(item);
  }

  /** Whoever waits, now or later, for what can no longer come is told why. */
  end(reason: Error): void {
    this.#end = reason;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(reason);
  }

  next(): Promise<T> {
    if (this.#kept.length > 0) return Promise.resolve(this.#kept.shift()!);
    if (this.#end) return Promise.reject(this.#end);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  async take(count: number): Promise<T[]> {
    const items: T[] = [];
    while (items.length < count) items.push(await this.next());
    return items;
  }
}
