import { afterReading } from "../../platform.ts";

/**
 * The slack is this part of the duration: ten thousand items then cost a few dozen wake-ups instead of ten thousand.
 */
const SLACK_PARTS = 32;
const MAX_SLACK_MS = 1_000;
/**
 * The timer looks at the clock at least that many times in a duration. So an item loses no more than this part of its
 * time when the process stands still, and no delay is longer than `setTimeout` accepts.
 */
const LOOKS = 8;
/** A timer that is later than this shows that the process has stood still: it was blocked or stopped, or it slept. */
const STANDSTILL_MS = 1_000;
/** Other sockets have their turn after this many items: ten thousand Pings at once would take a tenth of a second. */
const MAX_ITEMS_PER_TURN = 64;

/**
 * Items that fall due a fixed duration after they were added, with one timer for all of them. Because the duration is
 * the same for all, the items fall due in the order in which they were added. No item falls due early. An item may be
 * late by the slack, which is 1/32 of the duration and at most one second.
 *
 * No peer is blamed for what the process has not read. What has come is read before an item falls due, and the time for
 * which the process stood still does not count: an item keeps the rest of its duration, and what would have happened in
 * that time does not happen all at once.
 *
 * The timer does not keep the process alive.
 */
export class Deadlines<Item> {
  readonly #durationMs: number;
  readonly #slackMs: number;
  readonly #onDue: (item: Item) => void;
  /** When each item falls due, by `#readClock`. */
  readonly #dueAtMs = new Map<Item, number>();
  /** Set while there are items, also after the timer has fired, until its items have fallen due. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer is to fire or, while its items fall due, when that was last looked at; by `#readClock`. */
  #timerAtMs = 0;
  /** The time for which the process stood still, as far as the timer has shown it. */
  #lostMs = 0;

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
    this.#dueAtMs.set(item, Math.ceil(this.#readClock()) + this.#durationMs);
    if (this.#timer === undefined) this.#startTimer(this.#durationMs);
  }

  delete(item: Item): void {
    this.#dueAtMs.delete(item);
  }

  clear(): void {
    this.#dueAtMs.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /**
   * The time in milliseconds, without the time for which the process stood still. `performance.now()` is a clock that
   * nobody sets. On some systems it goes on while the machine sleeps.
   */
  #readClock(): number {
    const nowMs = performance.now() - this.#lostMs;
    if (this.#timer === undefined || nowMs - this.#timerAtMs <= STANDSTILL_MS) return nowMs;
    const lostMs = Math.floor(nowMs - this.#timerAtMs);
    this.#lostMs += lostMs;
    return nowMs - lostMs;
  }

  #startTimer(wantedMs: number): void {
    // Parts of the same length, so that the last one is not shorter than the slack and nothing is late without need.
    const partMs = wantedMs / Math.ceil(wantedMs * LOOKS / this.#durationMs);
    const delayMs = Math.max(partMs, this.#slackMs, 1);
    this.#timerAtMs = this.#readClock() + delayMs;
    this.#timer = setTimeout(() => this.#next(Math.floor(this.#readClock())), delayMs).unref();
  }

  /** Goes on with the items that are due, or waits for the next one. */
  #next(nowMs: number): void {
    const [dueAtMs] = this.#dueAtMs.values();
    if (dueAtMs === undefined) this.#timer = undefined;
    else if (dueAtMs > nowMs) this.#startTimer(dueAtMs - nowMs);
    else this.#runAfterReading(nowMs);
  }

  #runAfterReading(nowMs: number): void {
    const timer = this.#timer;
    this.#timerAtMs = this.#readClock();
    afterReading(() => {
      // The items may have been cleared meanwhile, and others added.
      if (this.#timer === timer) this.#run(nowMs);
    });
  }

  /** Calls `onDue` with the items that were due at `nowMs`, when all that had come by then has been read. */
  #run(nowMs: number): void {
    const timer = this.#timer;
    let itemsLeft = MAX_ITEMS_PER_TURN;
    try {
      // `#timer` stays set during the loop: an item that `onDue` adds falls due later than all that are here.
      for (const [item, dueAtMs] of this.#dueAtMs) {
        if (dueAtMs > nowMs || itemsLeft-- === 0) break;
        this.#dueAtMs.delete(item);
        this.#onDue(item);
      }
    } finally {
      // This runs also when `onDue` has thrown: without a new timer no other item would fall due.
      if (this.#timer === timer) this.#next(nowMs);
    }
  }
}
