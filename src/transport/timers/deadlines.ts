/** Timers are set no finer than this part of their duration, so that ten thousand items cost a few dozen wake-ups, not as many. */
const SLACK_PARTS = 32;
const MAX_SLACK_MS = 1_000;

/**
 * Items that are all due the same time after they were added, with one timer for all of them. Because the duration is the
 * same, the order of insertion is the order in which they fall due. An item falls due never early, and late by at most 1/32
 * of the duration, or a second.
 *
 * The timer keeps no process alive.
 */
export class Deadlines<Item> {
  readonly #durationMs: number;
  readonly #slackMs: number;
  readonly #onDue: (item: Item) => void;
  readonly #dueAtMs = new Map<Item, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(durationMs: number, onDue: (item: Item) => void) {
    this.#durationMs = durationMs;
    this.#slackMs = Math.min(durationMs / SLACK_PARTS, MAX_SLACK_MS);
    this.#onDue = onDue;
  }

  get size(): number {
    return this.#dueAtMs.size;
  }

  /** The items, those that fall due first at the front. */
  [Symbol.iterator](): Iterator<Item> {
    return this.#dueAtMs.keys();
  }

  /** Sets, or sets again, the item's deadline. */
  add(item: Item): void {
    this.#dueAtMs.delete(item);
    // Whole milliseconds are small integers, which take no memory of their own in the map.
    this.#dueAtMs.set(item, Math.ceil(performance.now()) + this.#durationMs);
    this.#timer ??= this.#startTimer(this.#durationMs);
  }

  delete(item: Item): void {
    this.#dueAtMs.delete(item);
  }

  clear(): void {
    this.#dueAtMs.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #startTimer(delayMs: number): ReturnType<typeof setTimeout> {
    return setTimeout(() => this.#run(), Math.max(delayMs, this.#slackMs)).unref();
  }

  #run(): void {
    const nowMs = Math.floor(performance.now());
    try {
      // `#timer` stays set until the end: what is added meanwhile is due later than all that is here.
      for (const [item, dueAtMs] of this.#dueAtMs) {
        if (dueAtMs > nowMs) break;
        this.#dueAtMs.delete(item);
        this.#onDue(item);
      }
    } finally {
      // Also when `onDue` has thrown, or nothing would fall due any more.
      const [next] = this.#dueAtMs.values();
      this.#timer = next === undefined ? undefined : this.#startTimer(next - nowMs);
    }
  }
}
