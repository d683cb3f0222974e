/** Something to be done in its turn. One that takes its time gives a promise, which must not reject. */
export type Task = () => void | Promise<void>;

interface QueuedTask {
  readonly task: Task;
  readonly byteLength: number;
  readonly memoryBytes: number;
  next: QueuedTask | undefined;
}

/** What a task costs besides what it holds: functions and a place in the queue, 200 to 300 bytes on all runtimes. */
const TASK_BYTES = 300;

/** Does one thing after another while each may take its time. What it holds is counted in bytes. */
export class SerialQueue {
  /** The ends of a list: to take the first out of a long array would move all others. */
  #first: QueuedTask | undefined;
  #last: QueuedTask | undefined;
  readonly #onIdle: () => void;
  #isRunning = false;
  #bufferedAmount = 0;
  #cost = 0;

  constructor(onIdle: () => void) {
    this.#onIdle = onIdle;
  }

  get isIdle(): boolean {
    return !this.#isRunning;
  }

  /** The bytes of the steps that are not done yet. */
  get bufferedAmount(): number {
    return this.#bufferedAmount;
  }

  /** The memory that these steps take, about. */
  get cost(): number {
    return this.#cost;
  }

  /** Does the task, at once when nothing is before it. Until then it holds `memoryBytes` of memory. */
  run(task: Task, byteLength: number, memoryBytes: number): void {
    this.#bufferedAmount += byteLength;
    this.#cost += memoryBytes + TASK_BYTES;
    const queued: QueuedTask = { task, byteLength, memoryBytes, next: undefined };
    if (this.#last === undefined) this.#first = queued;
    else this.#last.next = queued;
    this.#last = queued;
    if (!this.#isRunning) this.#runNext();
  }

  /** Nothing that waits is done any more. */
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
