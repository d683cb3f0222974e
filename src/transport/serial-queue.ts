/** A unit of work. A task that takes time returns a promise, which must not reject. */
export type Task = () => void | Promise<void>;

interface QueuedTask {
  readonly task: Task;
  readonly byteLength: number;
  readonly memoryBytes: number;
  next: QueuedTask | undefined;
}

/** The cost of a task besides its data: functions and a place in the queue take 200 to 300 bytes on all runtimes. */
const TASK_BYTES = 300;

/** Runs tasks one after another, each of which may take time, and counts the bytes of those that are not done yet. */
export class SerialQueue {
  /** The two ends of a linked list: `shift` on a long array would move all other elements. */
  #first: QueuedTask | undefined;
  #last: QueuedTask | undefined;
  readonly #onIdle: () => void;
  #isRunning = false;
  #bufferedAmount = 0;
  #cost = 0;

  /** @param onIdle called when the queue is empty after a task that took time */
  constructor(onIdle: () => void) {
    this.#onIdle = onIdle;
  }

  /** True when no task is running and none waits. */
  get isIdle(): boolean {
    return !this.#isRunning;
  }

  /** The sum of `byteLength` of the tasks that are not done yet. */
  get bufferedAmount(): number {
    return this.#bufferedAmount;
  }

  /** About how many bytes of memory these tasks take. */
  get cost(): number {
    return this.#cost;
  }

  /**
   * Runs a task behind all others, at once when there are none.
   *
   * @param byteLength what the task counts for in `bufferedAmount`
   * @param memoryBytes how much memory its data takes until it is done
   */
  run(task: Task, byteLength: number, memoryBytes: number): void {
    this.#bufferedAmount += byteLength;
    this.#cost += memoryBytes + TASK_BYTES;
    const queued: QueuedTask = { task, byteLength, memoryBytes, next: undefined };
    if (this.#last === undefined) this.#first = queued;
    else this.#last.next = queued;
    this.#last = queued;
    if (!this.#isRunning) this.#runNext();
  }

  /** Drops all waiting tasks. A task that is running goes on. */
  discard(): void {
    this.#first = this.#last = undefined;
  }

  #shift(): QueuedTask | undefined {
    const first = this.#first;
    this.#first = first?.next;
    if (this.#first === undefined) this.#last = undefined;
    return first;
  }

  #runNext(): void {
    for (let next = this.#shift(); next !== undefined; next = this.#shift()) {
      const { task, byteLength, memoryBytes } = next;
      this.#isRunning = true;
      const end = (): void => {
        this.#isRunning = false;
        this.#bufferedAmount -= byteLength;
        this.#cost -= memoryBytes + TASK_BYTES;
      };
      const doing = task();
      if (doing !== undefined) {
        void doing.then(() => {
          end();
          this.#runNext();
          if (!this.#isRunning) this.#onIdle();
        });
        return;
      }
      end();
    }
  }
}
