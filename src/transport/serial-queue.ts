/** Something to be done in its turn. One that takes its time gives a promise, which must not reject. */
export type Step = () => void | Promise<void>;

interface Waiting {
  readonly step: Step;
  readonly byteLength: number;
  readonly heldBytes: number;
  next: Waiting | undefined;
}

/** What a step costs besides what it holds: functions and a place in the queue, 200 to 300 bytes on all runtimes. */
const STEP_BYTES = 300;

/** Does one thing after another while each may take its time. What it holds is counted in bytes. */
export class Sequence {
  /** The ends of a list: to take the first out of a long array would move all others. */
  #first: Waiting | undefined;
  #last: Waiting | undefined;
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

  /** Does the step, at once when nothing is before it. Until then it holds `heldBytes` of memory. */
  run(step: Step, byteLength: number, heldBytes: number): void {
    this.#bufferedAmount += byteLength;
    this.#cost += heldBytes + STEP_BYTES;
    const waiting: Waiting = { step, byteLength, heldBytes, next: undefined };
    if (this.#last === undefined) this.#first = waiting;
    else this.#last.next = waiting;
    this.#last = waiting;
    if (!this.#isRunning) this.#runNext();
  }

  /** Nothing that waits is done any more. */
  clear(): void {
    this.#first = this.#last = undefined;
  }

  #shift(): Waiting | undefined {
    const first = this.#first;
    this.#first = first?.next;
    if (this.#first === undefined) this.#last = undefined;
    return first;
  }

  #runNext(): void {
    for (let next = this.#shift(); next !== undefined; next = this.#shift()) {
      const { step, byteLength, heldBytes } = next;
      this.#isRunning = true;
      const end = (): void => {
        this.#isRunning = false;
        this.#bufferedAmount -= byteLength;
        this.#cost -= heldBytes + STEP_BYTES;
      };
      const doing = step();
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
