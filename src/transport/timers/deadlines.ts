/**
 * The slack is this part of the duration: ten thousand items then cost a few dozen wake-ups instead of ten thousand.
 */
const SLACK_PARTS = 32;
const MAX_SLACK_MS = 1_000;

/**
 * Items that fall due a fixed duration after they were added, with one timer for all of them. Because the duration is
 * the same for all, the items fall due in the order in which they were added. No item falls due early. An item may be
 * late by the slack, which is 1/32 of the duration and at most one second.
 *
 * The timer does not keep the process alive.
 */
export class Deadlines<Item> {
  readonly #durationMs: number;
  readonly #slackMs: number;
  readonly #onDue: (item: Item) => void;
  readonly #dueAtMs = new Map<Item, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param onDue called with each item that falls due, which is removed before */
  constructor(durationMs: number, onDue: (item: Item) => void) {
    this.#durationMs = durationMs;
    this.#slackMs = Math.min(durationMs / SLACK_PARTS, MAX_SLACK_MS);
    this.#onDue = onDue;
  }

  get size(): number {
    return this.#dueAtMs.size;
  }

  /** The items, in the order in which they fall due. */
  [Symbol.iterator](): Iterator<Item> {
    return this.#dueAtMs.keys();
  }

  /** Adds an item, or gives an item that is there its whole duration again. */
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
      // `#timer` stays set during the loop: an item that `onDue` adds falls due later than all that are here.
      for (const [item, dueAtMs] of this.#dueAtMs) {
        if (dueAtMs > nowMs) break;
        this.#dueAtMs.delete(item);
        this.#onDue(item);
      }
    } finally {
      // This runs also when `onDue` has thrown: without a new timer no other item would fall due.
      const [next] = this.#dueAtMs.values();
      this.#timer = next === undefined ? undefined : this.#startTimer(next - nowMs);
    }
  }
}
