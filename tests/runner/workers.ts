/** How many files of tests run at the same time. */
import { availableParallelism } from "node:os";

/**
 * Three for each two cores. Much of the time of the tests goes into waiting: for time-outs, for processes that start,
 * for servers that come back.
 */
export const WORKERS: number = Math.ceil(1.5 * availableParallelism());
