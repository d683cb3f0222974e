/** Something to be done in its turn. One that takes its time gives a promise, which must not reject. */
export type Step = () => void | Promise<void>;

interface Waiting {
  readonly step: Step;
  readonly byteLength: number;
}

/** Does one thing after another while each may take its time. What it holds is counted in bytes. */
export class Sequence {
  readonly #waiting: Waiting[] = [];
  readonly #onIdle: () => void;
  #isRunning = false;
  #bufferedAmount = 0;

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

  /** Does the step, at once when nothing is before it. */
  run(step: Step, byteLength: number): void {
    this.#bufferedAmount += byteLength;
    this.#waiting.push({ step, byteLength });
    if (!this.#isRunning) this.#runNext();
  }

  /** Nothing that waits is done any more. */
  clear(): void {
    this.#waiting.length = 0;
  }

  #runNext(): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const { step, byteLength } = next;
      this.#isRunning = true;
      const end = (): void => {
        this.#isRunning = false;
        this.#bufferedAmount -= byteLength;
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
