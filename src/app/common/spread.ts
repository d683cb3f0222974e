/** Tasks that run one after another, spread over a time. */
export interface Spreading {
  /** Resolves when the last task has run. Stays open after `stop`. */
  readonly done: Promise<void>;
  /** Leaves the tasks out that have not run yet. */
  stop(): void;
}

/**
 * Runs a task with each item, evenly spread over a time: the first at once, and the last one step before the end. With
 * a time of 0, all of them run inside of this call. A process that could not keep the pace makes up for it.
 */
export function spread<Item>(items: readonly Item[], overMs: number, task: (item: Item) => void): Spreading {
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const stepMs = overMs / items.length;
  const startMs = performance.now();
  let next = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const run = (): void => {
    const passedMs = performance.now() - startMs;
    while (next < items.length && next * stepMs <= passedMs) task(items[next++]!);
    if (next === items.length) resolve();
    else timer = setTimeout(run, Math.max(next * stepMs - passedMs, 1));
  };
  run();
  return { done, stop: () => clearTimeout(timer) };
}
